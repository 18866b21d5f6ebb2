"""Second pass: members in the spool, out as one ZIP or as one JSON document. Opens no file.

Rule 1: the manifest comes first, and every size is known before its member is written, so that
whoever reads from the front needs nothing from behind.
Rule 2: same members, same bytes: fixed times, sorted names.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol, cast

import orjson

from proofs import sshsig
from proofs.keys import SigningKey
from rights.policies import PackageFormat
from services.bundler.assembling import Part
from services.bundler.manifest import Sum, encoded, sums
from services.bundler.readme import readme
from services.bundler.spool import Member, Spool

# The first moment a ZIP can name; a real one would make every archive different.
NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
UNIX: Final = 3
READABLE: Final = 0o644 << 16
# A multiple of three, so that pieces of base64 can be put end to end.
BASE64_BYTES: Final = 3 * 64 * 1024


class Sink(Protocol):
    def write(self, octets: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What an archive is made of: its manifest and its parts, which lie in the spool."""

    manifest: dict[str, Any]
    parts: tuple[Part, ...]
    spool: Spool
    signer: SigningKey


class Archive(Protocol):
    """A form that an archive can have."""

    media_type: str
    # What a file's name ends in, and what the name of a section's rows ends in.
    suffix: str
    rows_suffix: str

    def write(self, package: Package, sink: Sink) -> Iterator[int]:
        """Write everything; yields the size of each piece of content that was written."""
        ...

    def size_of(self, part: Part) -> int:
        """What the pieces of a part add up to."""
        ...


class ZipArchive:
    media_type = "application/zip"
    suffix = ".zip"
    rows_suffix = ".json"

    def write(self, package: Package, sink: Sink) -> Iterator[int]:
        spool = package.spool
        leading = list(_leading(package))
        members = sorted((part.member for part in package.parts), key=lambda m: m.path)
        with zipfile.ZipFile(cast("IO[bytes]", sink), "w") as archive:
            for member in (*leading, *members):
                yield from _append(archive, member, spool.deflated(member))

    def size_of(self, part: Part) -> int:
        return part.member.deflated_bytes


def _leading(package: Package) -> Iterator[Member]:
    """Manifest, sums, signature and letter: in this order, before everything else."""
    spool = package.spool
    content = {
        "manifest.json": encoded(package.manifest),
        "README.txt": readme(package.manifest),
    }
    own = [Sum(path, hashlib.sha256(octets).hexdigest()) for path, octets in content.items()]
    listed = sums([*own, *(Sum(p.member.path, p.member.sha256) for p in package.parts)])
    yield spool.add("manifest.json", content["manifest.json"])
    yield spool.add("SHA256SUMS", listed)
    yield spool.add("SHA256SUMS.sig", sshsig.sign(package.signer, listed))
    yield spool.add("README.txt", content["README.txt"])


def _append(archive: zipfile.ZipFile, member: Member, deflated: Iterable[bytes]) -> Iterator[int]:
    """Add a member that is deflated already.

    zipfile would deflate it itself, and on a stream put the sizes behind the content, where old
    readers do not look for them.
    """
    entry = zipfile.ZipInfo(member.path, NO_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = UNIX
    entry.external_attr = READABLE
    entry.CRC = member.crc32
    entry.file_size = member.size
    entry.compress_size = member.deflated_bytes
    out = archive.fp
    assert out is not None, "the archive is open"
    entry.header_offset = out.tell()
    out.write(entry.FileHeader())
    for piece in deflated:
        out.write(piece)
        yield len(piece)
    archive.filelist.append(entry)
    archive.NameToInfo[entry.filename] = entry
    archive.start_dir = out.tell()


class JsonArchive:
    """`{"manifest": …, "sections": {place: rows}, "files": {place: base64}}`.

    A section's value is its rows exactly as they were summed, so its SHA-256 is over the text from
    the value's first bracket to the line end behind its last one.
    """

    media_type = "application/json"
    suffix = ".json"
    rows_suffix = ""

    def write(self, package: Package, sink: Sink) -> Iterator[int]:
        ordered = sorted(package.parts, key=lambda part: part.member.path)
        rows = [part.member for part in ordered if not part.is_attachment]
        files = [part.member for part in ordered if part.is_attachment]
        sink.write(b'{"manifest":' + encoded(package.manifest) + b',"sections":{')
        for index, member in enumerate(rows):
            sink.write(_key(index, member.path))
            for piece in package.spool.content(member):
                sink.write(piece)
                yield len(piece)
        sink.write(b'},"files":{')
        for index, member in enumerate(files):
            sink.write(_key(index, member.path) + b'"')
            for piece in _whole_triples(package.spool.content(member)):
                sink.write(base64.b64encode(piece))
                yield len(piece)
            sink.write(b'"')
        sink.write(b"}}\n")

    def size_of(self, part: Part) -> int:
        return part.member.size


def _key(index: int, name: str) -> bytes:
    return (b",\n" if index else b"\n") + orjson.dumps(name) + b":"


def _whole_triples(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= BASE64_BYTES:
            yield bytes(memoryview(waiting)[:BASE64_BYTES])
            del waiting[:BASE64_BYTES]
    if waiting:
        yield bytes(waiting)


def archive_for(form: PackageFormat) -> Archive:
    return JsonArchive() if form is PackageFormat.JSON_BUNDLE else ZipArchive()
