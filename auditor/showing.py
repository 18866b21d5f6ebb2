"""Verdicts for people and for machines, and a bar while they wait."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from auditor.findings import Finding
from auditor.verifying import Seen, Verdict
from plumbing.kafka import Record

_SHOWN_MAX: Final = 10
_STEP: Final = 500


def with_bar(records: Iterable[Record], span: int | None) -> Iterator[Record]:
    """The same records; a person at a terminal sees on standard error how far they are."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from records
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("records", total=span)
        count = 0
        for count, record in enumerate(records, start=1):
            if count % _STEP == 0:
                progress.advance(task, _STEP)
            yield record
        progress.advance(task, count % _STEP)


def as_document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON has it; `partitions` of an earlier one is what `--checkpoint` reads."""
    kinds = sorted({kind for kind, _ in verdict.requests})
    return {
        "verdict": "BAD" if verdict.first_bad else "OK",
        "log_id": verdict.log_id,
        "records": verdict.records,
        "decisions": sum(p.decisions for p in verdict.partitions),
        "voids": sum(p.voids for p in verdict.partitions),
        "requests": {
            kind: {state: n for (k, state), n in sorted(verdict.requests.items()) if k == kind}
            for kind in kinds
        },
        "partitions": [
            {
                "partition": p.partition,
                "records": p.records,
                "decisions": p.decisions,
                "voids": p.voids,
                "next_offset": p.next_offset,
                "head_hash": p.head_hash.hex(),
                "root": p.root.hex(),
            }
            for p in verdict.partitions
        ],
        "first_bad": _finding(verdict.first_bad) if verdict.first_bad else None,
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "wrong": str(finding.wrong),
        "partition": finding.partition,
        "offset": finding.offset,
        "seq": finding.seq,
        "detail": finding.detail,
    }


def seen_in(document: dict[str, Any]) -> tuple[str | None, tuple[Seen, ...]]:
    """The log and the trees of an earlier verdict.

    Raises:
        ValueError: it is none.
    """
    try:
        seen = tuple(
            Seen(
                partition=int(p["partition"]),
                size=int(p["decisions"]),
                root=bytes.fromhex(p["root"]),
            )
            for p in document["partitions"]
        )
        log_id = document["log_id"]
    except (KeyError, TypeError) as failure:
        raise ValueError("not a verdict") from failure
    return (None if log_id is None else str(log_id)), seen


def show_document(verdict: Verdict) -> None:
    print(json.dumps(as_document(verdict), indent=2))


def show(verdict: Verdict) -> None:
    """A verdict for a person: what the log holds, and the first thing that is wrong with it."""
    print(f"log {verdict.log_id or 'unknown'}")
    print(f"{'partition':>9}  {'decisions':>9}  {'void':>5}  root")
    for p in verdict.partitions:
        print(f"{p.partition:>9}  {p.decisions:>9}  {p.voids:>5}  {p.root.hex()}")
    for (kind, state), count in sorted(verdict.requests.items()):
        print(f"{kind.lower():>9}  {count:>9}         {state}")
    if verdict.first_bad is None:
        print("OK: chain and tree hold, and every state follows lawfully.")
        return
    print(f"BAD: {verdict.first_bad}")
    for finding in verdict.findings[1:_SHOWN_MAX]:
        print(f"     {finding}")
    if len(verdict.findings) > _SHOWN_MAX:
        print(f"     and {len(verdict.findings) - _SHOWN_MAX} more (--json lists them)")


def complain(sentence: str) -> None:
    print(sentence, file=sys.stderr)
