"""A copy of the log in a file: JSON lines, one a record, and one that ends it.

Each line holds topic, partition, offset, timestamp, and key and value in base64. Nothing in a copy
is trusted. The last line says how many records and decisions each partition had while it was read
from the broker, the root of its tree, and the SHA-256 of its lines. That protects against
accidents, a flipped byte in the very last record included, and not against a forger, who would
write a last line that fits. Against forgers compare with what was seen before (`--checkpoint`,
`--expect-root`); signed and witnessed checkpoints come with the keys.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from auditor.findings import Finding, Wrong
from auditor.verifying import Ending, LogCheck, Verdict
from plumbing.kafka import Record

_FIELDS: Final = {"topic", "partition", "offset", "timestamp", "key", "value"}


def write(records: Iterable[Record], path: Path) -> Verdict:
    """Copy records to a file that is there whole or not at all; what their chain and tree were."""
    check = LogCheck(folds=False)
    digests: dict[int, Any] = {}
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as out:
        for record in records:
            line = _line(record)
            out.write(line)
            digests.setdefault(record.partition, hashlib.sha256()).update(line)
            check.take(record)
        verdict = check.verdict()
        out.write(_end(verdict, digests))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    return verdict


def _line(record: Record) -> bytes:
    fields = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.isoformat(timespec="milliseconds"),
        "key": _base64(record.key),
        "value": _base64(record.value),
    }
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _end(verdict: Verdict, digests: Mapping[int, Any]) -> bytes:
    partitions = [
        {
            "partition": p.partition,
            "records": p.records,
            "decisions": p.decisions,
            "root": p.root.hex(),
            "sha256": digests[p.partition].hexdigest(),
        }
        for p in verdict.partitions
    ]
    return orjson.dumps({"end": {"partitions": partitions}}, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class Copy:
    """A copy as it is read: `findings` and `endings` are complete when the records are."""

    path: Path
    findings: list[Finding] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    _ended_at: int | None = None
    _digests: dict[int, Any] = field(default_factory=dict)

    def records(self) -> Iterator[Record]:
        number = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if self._ended_at is not None:
                    self._find(Wrong.OUT_OF_ORDER, f"line {number} stands behind the copy's end")
                try:
                    fields = orjson.loads(line)
                    if "end" in fields:
                        self._end(fields["end"], number)
                        continue
                    record = _record(fields)
                except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                    self._find(Wrong.DAMAGED, f"line {number} of the copy cannot be read")
                    continue
                self._digests.setdefault(record.partition, hashlib.sha256()).update(line)
                yield record
        if number and self._ended_at is None:
            self._find(Wrong.TRUNCATED, f"the copy has no end; it breaks off after line {number}")

    def _end(self, end: Mapping[str, Any], number: int) -> None:
        self._ended_at = number
        for said in end["partitions"]:
            partition = int(said["partition"])
            digest = self._digests.get(partition, hashlib.sha256())
            self.endings.append(
                Ending(
                    partition=partition,
                    records=int(said["records"]),
                    decisions=int(said["decisions"]),
                    root=bytes.fromhex(said["root"]),
                    is_intact=digest.hexdigest() == said["sha256"],
                )
            )

    def _find(self, wrong: Wrong, detail: str) -> None:
        self.findings.append(
            Finding(wrong=wrong, partition=None, offset=None, seq=None, detail=detail)
        )


def _record(fields: Any) -> Record:
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise ValueError("not a record's fields")
    partition, offset = fields["partition"], fields["offset"]
    if type(partition) is not int or type(offset) is not int:
        raise TypeError("a partition and an offset are numbers")
    return Record(
        topic=str(fields["topic"]),
        partition=partition,
        offset=offset,
        key=_bytes(fields["key"]),
        value=_bytes(fields["value"]),
        timestamp=datetime.fromisoformat(fields["timestamp"]),
        headers=(),
    )


def _bytes(text: str | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error as failure:
        raise ValueError("not base64") from failure
