"""`habeas audit …`: for whoever must not take our word for it.

Exit codes: 0 the log holds; 2 the command cannot be understood; 3 something is wrong, and the first
bad record is named; 4 there is no log here; 7 the broker does not answer.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from auditor import dump as dumping
from auditor.records import LiveLog, NothingFoundError
from auditor.showing import complain, seen_in, show, show_document, with_bar
from auditor.verifying import LogCheck, Seen, Verdict
from plumbing.kafka import BrokerError, KafkaConnection
from proofs.tree import HASH_BYTES

BAD, NOT_FOUND, UNAVAILABLE = 3, 4, 7
CLIENT: Final = "auditor"
app = typer.Typer(
    help="Reads the log on its own and says whether it holds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Bootstrap = Annotated[
    str | None,
    typer.Option(envvar="AUDIT_KAFKA", help="The broker to read from, host:port.", metavar="…"),
]


@app.command()
def verify(
    *,
    bootstrap: Bootstrap = None,
    dump: Annotated[
        Path | None, typer.Option(help="A copy made by `habeas audit dump`.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    expect_root: Annotated[
        list[str] | None,
        typer.Option(help="A tree that was seen before; may be repeated.", metavar="P:SIZE:HEX"),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="What --json printed before.", metavar="FILE")
    ] = None,
) -> None:
    """Replay the whole log: chain, tree, and whether every state follows lawfully.

    Examples:
      habeas audit verify --bootstrap 127.0.0.1:9092
      habeas audit verify --dump log.jsonl --checkpoint last-week.json
    """
    log_id, seen = _seen(expect_root or [], checkpoint)
    check = LogCheck(seen=seen, log_id=log_id)
    with _failures_as_exit_codes():
        verdict = _verify_copy(dump, check) if dump else _verify_live(bootstrap, check)
    (show_document if as_json else show)(verdict)
    if verdict.first_bad is not None:
        raise typer.Exit(BAD)


@app.command(name="dump")
def copy(
    *,
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
    bootstrap: Bootstrap = None,
) -> None:
    """Copy the log to a file that `verify --dump` reads.

    Example:
      habeas audit dump --bootstrap 127.0.0.1:9092 --out log.jsonl
    """
    with _failures_as_exit_codes(), closing(LiveLog(_broker(bootstrap))) as log:
        verdict = dumping.write(with_bar(log.records(), log.span), out)
    complain(f"{verdict.records} records copied to {out}. Check them: habeas audit verify --dump")
    if verdict.first_bad is not None:
        complain(f"What was copied does not hold: {verdict.first_bad}")


def _verify_live(bootstrap: str | None, check: LogCheck) -> Verdict:
    with closing(LiveLog(_broker(bootstrap))) as log:
        for record in with_bar(log.records(), log.span):
            check.take(record)
        return _not_empty(check.verdict(partitions=log.partitions))


def _verify_copy(path: Path, check: LogCheck) -> Verdict:
    copied = dumping.Copy(path)
    for record in with_bar(copied.records(), None):
        check.take(record)
    return _not_empty(check.verdict(endings=copied.endings, findings=copied.findings))


def _not_empty(verdict: Verdict) -> Verdict:
    if not verdict.records and not verdict.findings:
        raise NothingFoundError
    return verdict


def _broker(bootstrap: str | None) -> KafkaConnection:
    if bootstrap is None:
        raise typer.BadParameter("name a broker (--bootstrap or AUDIT_KAFKA), or a copy (--dump)")
    return KafkaConnection(bootstrap=bootstrap, client_id=CLIENT)


@contextmanager
def _failures_as_exit_codes() -> Iterator[None]:
    try:
        yield
    except (NothingFoundError, FileNotFoundError):
        complain("No log was found there.")
        raise typer.Exit(NOT_FOUND) from None
    except (BrokerError, TimeoutError) as failure:
        complain(f"The broker does not answer ({getattr(failure, 'code', 'TIMED_OUT')}).")
        raise typer.Exit(UNAVAILABLE) from None


def _seen(roots: list[str], checkpoint: Path | None) -> tuple[str | None, tuple[Seen, ...]]:
    log_id, seen = None, tuple(_seen_root(text) for text in roots)
    if checkpoint is not None:
        try:
            log_id, before = seen_in(json.loads(checkpoint.read_text()))
        except (OSError, ValueError):
            raise typer.BadParameter(f"{checkpoint} is not what --json printed") from None
        seen += before
    return log_id, seen


def _seen_root(text: str) -> Seen:
    try:
        partition, size, root = text.split(":")
        seen = Seen(partition=int(partition), size=int(size), root=bytes.fromhex(root))
    except ValueError:
        raise typer.BadParameter(f"{text} is not PARTITION:SIZE:HEX") from None
    if len(seen.root) != HASH_BYTES:
        raise typer.BadParameter(f"a root has {HASH_BYTES} bytes")
    return seen
