"""Whatever happens to a copy of the log, the auditor says so and names the record."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from auditor import dump
from auditor.cli import app
from auditor.findings import Wrong
from auditor.verifying import Ending, LogCheck
from plumbing.kafka import Record
from rights import orders as od
from rights.decisions import Decision
from schemas.codec import decode_as, encode
from tests.support.log_writer import LogWriter, eventful_log, person

Lines = list[dict[str, Any]]
PARTITION = 1


@pytest.fixture(scope="module")
def log() -> LogWriter:
    return eventful_log(people=2)


@pytest.fixture
def copy(log: LogWriter, tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    dump.write(log.records, path)
    return path


def verify(path: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["verify", "--dump", str(path), "--json", *more])


def lines_of(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(path: Path, lines: Lines) -> None:
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def own(lines: Lines) -> list[int]:
    """The line numbers of the partition that is tampered with."""
    return [i for i, line in enumerate(lines) if line.get("partition") == PARTITION]


def flipped(text: str, index: int) -> str:
    content = bytearray(base64.b64decode(text))
    content[index] ^= 1
    return base64.b64encode(content).decode()


def test_an_untouched_copy_is_green_and_counted(log: LogWriter, copy: Path) -> None:
    result = verify(copy)

    assert result.exit_code == 0, result.output
    verdict = json.loads(result.stdout)
    assert verdict["verdict"] == "OK"
    assert verdict["decisions"] == verdict["records"] == len(log.records)
    assert verdict["voids"] == 0
    assert verdict["requests"]["EXPORT"]["COMPLETED"] == 4
    assert verdict["requests"]["ERASURE"]["COMPLETED"] == 2


def test_a_person_is_told_the_same(copy: Path) -> None:
    result = CliRunner().invoke(app, ["verify", "--dump", str(copy)])

    assert result.exit_code == 0
    assert "OK: chain and tree hold" in result.stdout
    assert "COMPLETED" in result.stdout


@pytest.mark.parametrize("which", ["first", "second", "middle", "last but one", "last"])
@pytest.mark.parametrize("part", ["key", "value"])
def test_a_flipped_byte_is_found_in_its_record(copy: Path, which: str, part: str) -> None:
    lines = lines_of(copy)
    places = own(lines)
    place = places[
        {"first": 0, "second": 1, "middle": len(places) // 2, "last but one": -2, "last": -1}[which]
    ]
    for index in (0, -1, 20):
        tampered = [dict(line) for line in lines]
        content = base64.b64decode(tampered[place][part])
        tampered[place][part] = flipped(tampered[place][part], min(index, len(content) - 1))
        rewrite(copy, tampered)

        result = verify(copy)

        assert result.exit_code == 3
        first = json.loads(result.stdout)["first_bad"]
        assert (first["partition"], first["offset"]) == (PARTITION, lines[place]["offset"])


def drop(position: int) -> Callable[[Lines], tuple[Lines, int | None]]:
    def tamper(lines: Lines) -> tuple[Lines, int | None]:
        place = own(lines)[position]
        behind = [i for i in own(lines) if i > place]
        return lines[:place] + lines[place + 1 :], lines[behind[0]]["offset"] if behind else None

    return tamper


def swap(lines: Lines) -> tuple[Lines, int | None]:
    first, second = own(lines)[4:6]
    lines[first], lines[second] = lines[second], lines[first]
    return lines, min(lines[first]["offset"], lines[second]["offset"])


def swap_contents(lines: Lines) -> tuple[Lines, int | None]:
    first, second = (lines[i] for i in own(lines)[4:6])
    for part in ("key", "value"):
        first[part], second[part] = second[part], first[part]
    return lines, first["offset"]


def duplicate(lines: Lines) -> tuple[Lines, int | None]:
    place = own(lines)[5]
    return [*lines[: place + 1], lines[place], *lines[place + 1 :]], lines[place]["offset"]


def duplicate_at_the_end(lines: Lines) -> tuple[Lines, int | None]:
    again = lines[own(lines)[5]] | {"offset": lines[own(lines)[-1]]["offset"] + 1}
    return [*lines[:-1], again, lines[-1]], again["offset"]


def other_log(lines: Lines) -> tuple[Lines, int | None]:
    foreign = LogWriter(log_id="00" * 16).records
    theirs = next(record for record in foreign if record.partition == PARTITION)
    place = own(lines)[5]
    lines[place]["value"] = base64.b64encode(theirs.value or b"").decode()
    return lines, lines[place]["offset"]


def date(by: timedelta) -> Callable[[Lines], tuple[Lines, int | None]]:
    def tamper(lines: Lines) -> tuple[Lines, int | None]:
        line = lines[own(lines)[9]]
        decision = decode_as(Decision, base64.b64decode(line["value"]))
        dated = replace(decision, decided_at=decision.decided_at + by)
        line["value"] = base64.b64encode(encode(dated)).decode()
        return lines, line["offset"]

    return tamper


def cut(lines: Lines) -> tuple[Lines, int | None]:
    return lines[:-9], None


def without_partition(lines: Lines) -> tuple[Lines, int | None]:
    return [line for line in lines if line.get("partition") != PARTITION], None


def other_offset(lines: Lines) -> tuple[Lines, int | None]:
    lines[own(lines)[-1]]["offset"] += 1
    return lines, None


def other_time(lines: Lines) -> tuple[Lines, int | None]:
    lines[own(lines)[5]]["timestamp"] = "2026-03-02T09:00:00.000+00:00"
    return lines, None


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        pytest.param(drop(0), {Wrong.GAP}, id="first dropped"),
        pytest.param(drop(7), {Wrong.GAP}, id="middle dropped"),
        pytest.param(drop(-1), {Wrong.TRUNCATED}, id="last dropped"),
        pytest.param(swap, {Wrong.OUT_OF_ORDER}, id="lines swapped"),
        pytest.param(swap_contents, {Wrong.VOID, Wrong.GAP}, id="contents swapped"),
        pytest.param(duplicate, {Wrong.VOID}, id="line doubled"),
        pytest.param(duplicate_at_the_end, {Wrong.VOID}, id="record written again"),
        pytest.param(other_log, {Wrong.WRONG_LOG}, id="record of another log"),
        pytest.param(date(timedelta(days=-1)), {Wrong.ALTERED}, id="dated back"),
        pytest.param(date(timedelta(seconds=0.5)), {Wrong.ALTERED}, id="dated ahead a little"),
        pytest.param(cut, {Wrong.TRUNCATED}, id="cut off"),
        pytest.param(without_partition, {Wrong.PARTITIONS_MISMATCH}, id="without a partition"),
        pytest.param(other_offset, {Wrong.COPY_CHANGED}, id="other offset"),
        pytest.param(other_time, {Wrong.COPY_CHANGED}, id="other time of appending"),
    ],
)
def test_a_tampered_copy_is_refused_and_the_place_named(
    copy: Path,
    tamper: Callable[[Lines], tuple[Lines, int | None]],
    expected: set[Wrong],
) -> None:
    tampered, offset = tamper(lines_of(copy))
    rewrite(copy, tampered)

    result = verify(copy)

    assert result.exit_code == 3
    first = json.loads(result.stdout)["first_bad"]
    assert first["wrong"] in expected
    assert first["offset"] == offset
    assert first["partition"] in (PARTITION, None)


@pytest.mark.parametrize("line", [b"no json\n", b'{"topic":1}\n', b"[]\n", b'{"end":{}}\n'])
def test_a_line_that_cannot_be_read_is_named(copy: Path, line: bytes) -> None:
    lines = copy.read_bytes().splitlines(keepends=True)
    copy.write_bytes(b"".join((*lines[:3], line, *lines[3:])))

    result = verify(copy)

    assert result.exit_code == 3
    assert "line 4" in json.loads(result.stdout)["first_bad"]["detail"]


def test_every_flipped_byte_of_a_small_log_is_found_in_its_record(tmp_path: Path) -> None:
    log = LogWriter(partitions=1)
    log.publish_policy()
    log.file_export(person(1))
    log.carry_out(person(1), while_owed=(od.CollectSections,))
    path = tmp_path / "log.jsonl"
    dump.write(log.records, path)
    endings = _endings(path)
    for number, record in enumerate(log.records):
        for part in ("key", "value"):
            for index in range(0, len(getattr(record, part)), 3):
                tampered = list(log.records)
                content = bytearray(getattr(record, part))
                content[index] ^= 1 << (index % 8)
                named: dict[str, Any] = {part: bytes(content)}
                tampered[number] = record._replace(**named)

                first = _first_bad(tampered, endings)

                assert first == (0, record.offset), (number, part, index)


def _endings(path: Path) -> list[Ending]:
    copied = dump.Copy(path)
    assert list(copied.records())
    return copied.endings


def _first_bad(records: list[Record], endings: list[Ending]) -> tuple[int | None, int | None]:
    check = LogCheck()
    for record in records:
        check.take(record)
    first = check.verdict(endings=endings).first_bad
    assert first is not None
    return first.partition, first.offset


def test_a_shorter_or_other_log_than_was_seen_before_is_refused(
    log: LogWriter, copy: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before.json"
    before.write_text(verify(copy).stdout)
    shorter = tmp_path / "shorter.jsonl"
    dump.write(log.records[:-3], shorter)

    assert verify(copy, "--checkpoint", str(before)).exit_code == 0
    assert verify(shorter).exit_code == 0
    result = verify(shorter, "--checkpoint", str(before))

    assert result.exit_code == 3
    assert json.loads(result.stdout)["first_bad"]["wrong"] == Wrong.TRUNCATED


def test_a_longer_log_fits_what_was_seen_before(log: LogWriter, copy: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    shorter = tmp_path / "shorter.jsonl"
    dump.write(log.records[:-3], shorter)
    before.write_text(verify(shorter).stdout)

    assert verify(copy, "--checkpoint", str(before)).exit_code == 0


def test_a_root_that_was_noted_down_is_compared(copy: Path) -> None:
    partition = json.loads(verify(copy).stdout)["partitions"][PARTITION]
    noted = f"{PARTITION}:{partition['decisions']}"

    assert verify(copy, "--expect-root", f"{noted}:{partition['root']}").exit_code == 0
    result = verify(copy, "--expect-root", f"{noted}:{'00' * 32}")

    assert result.exit_code == 3
    first = json.loads(result.stdout)["first_bad"]
    assert (first["wrong"], first["partition"]) == (Wrong.ROOT_MISMATCH, PARTITION)


@pytest.mark.parametrize("root", ["1:2", "1:2:xx", "1:2:00", "a:2:" + "00" * 32])
def test_a_root_that_is_none_is_a_usage_error(copy: Path, root: str) -> None:
    assert verify(copy, "--expect-root", root).exit_code == 2


def test_no_log_is_found_where_none_is(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()

    assert verify(tmp_path / "absent.jsonl").exit_code == 4
    assert verify(empty).exit_code == 4


def test_neither_broker_nor_copy_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["verify"], env={"AUDIT_KAFKA": ""}).exit_code == 2
