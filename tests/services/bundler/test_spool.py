"""Members between the passes: encrypted on disk, under a quota, gone with the process."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.failures import Tampered
from services.bundler.spool import QuotaExceededError, Spool

TEXT = b"a person's own words, again and again " * 5000


def on_disk(folder: Path) -> bytes:
    """What lies in the spool's nameless file: the only file this process has open there."""
    for link in Path("/proc/self/fd").iterdir():
        if os.path.realpath(link).startswith(str(folder)):
            return link.read_bytes()
    raise AssertionError("nothing is open in the spool")


def test_what_is_written_is_read_back_deflated_and_whole(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 24, os.urandom) as spool:
        first = spool.add("a.json", TEXT)
        second = spool.add("b.bin", os.urandom(100_000))
        empty = spool.add("c.json", b"")

        assert b"".join(spool.content(first)) == TEXT
        assert first.size == len(TEXT)
        assert first.deflated_bytes == len(b"".join(spool.deflated(first))) < len(TEXT) / 10
        assert len(b"".join(spool.content(second))) == 100_000
        assert b"".join(spool.content(empty)) == b""


def test_a_member_that_inflates_much_comes_in_bounded_pieces(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 24, os.urandom) as spool:
        member = spool.add("zeros", bytes(1 << 26))

        sizes = [len(piece) for piece in spool.content(member)]

        assert sum(sizes) == 1 << 26
        assert max(sizes) <= 1 << 19


def test_nothing_readable_and_nothing_named_lies_on_the_disk(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 24, os.urandom) as spool:
        spool.add("a.bin", os.urandom(50_000) + b"ines@example.org")

        assert list(tmp_path.iterdir()) == []
        lying = on_disk(tmp_path)
        assert len(lying) > 50_000
        assert b"ines@example.org" not in lying


def test_a_byte_altered_on_the_disk_is_found_out(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 24, os.urandom) as spool:
        member = spool.add("a.bin", os.urandom(50_000))
        spool._file.seek(member.start + 30_000)
        spool._file.write(b"\x00\x01")

        with pytest.raises(Tampered):
            b"".join(spool.deflated(member))


def test_one_member_is_not_taken_for_another(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 24, os.urandom) as spool:
        a, b = spool.add("a", b"one"), spool.add("b", b"two")
        with pytest.raises(Tampered):
            b"".join(spool.deflated(replace(a, start=b.start, stop=b.stop)))


def test_more_than_the_quota_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path, 60_000, os.urandom) as spool:
        spool.add("a", os.urandom(40_000))

        with pytest.raises(QuotaExceededError):
            spool.add("b", os.urandom(40_000))


def test_a_full_disk_is_a_quota_too(tmp_path: Path) -> None:
    class Full:
        def seek(self, at: int) -> None:
            pass

        def write(self, octets: bytes) -> None:
            pass

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "no space left")

        def close(self) -> None:
            pass

    with Spool(tmp_path, 1 << 20, os.urandom) as spool:
        spool._file.close()
        spool._file = Full()  # type: ignore[assignment] # a disk that is full

        with pytest.raises(QuotaExceededError):
            spool.add("a", b"content")
