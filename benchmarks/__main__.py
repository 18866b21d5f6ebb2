"""`python -m benchmarks`: everything in one run; `--quick` in under three minutes."""

import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import bare, deciding, replaying
from benchmarks.ground import LIMIT, Plot, appended, lay_out, preload, rate
from benchmarks.living import live
from benchmarks.table import Row, show
from devstack.stack import Stack, StackSettings
from plumbing.config import load
from schemas.topics import DECISIONS

KINDS: Final = (("trivial", 0.50), ("filing", 0.25))
REPLAY_GOAL: Final = 0.40


def main(arguments: list[str]) -> int:
    quick = arguments == ["--quick"]
    if arguments and not quick:
        sys.stderr.write("usage: python -m benchmarks [--quick]\n")
        return 2
    runs, commands, exports = (1, 2_000, 5) if quick else (3, 10_000, 15)
    with tempfile.TemporaryDirectory(prefix="habeas-bench-") as folder:
        measured = _log(Path(folder) / "log", runs, commands) + _life(Path(folder), exports)
    show(measured)
    return 1 if quick and any(row.has_collapsed for row in measured) else 0


def _log(state: Path, runs: int, commands: int) -> list[Row]:
    """Decider and replay, each beside its limit, run after run on partitions of their own."""
    settings = replace(load(StackSettings), state=state)
    ratios: dict[str, list[float]] = {kind: [] for kind, _ in KINDS}
    replays: list[float] = []
    with Stack(state=state, cache=settings.jar_cache(print)) as stack:
        bootstrap = stack.start("kafka").kafka_bootstrap
        partitions = runs * len(KINDS)
        lay_out(bootstrap, partitions)
        for number in range(partitions):
            kind = KINDS[number % len(KINDS)][0]
            plot = Plot(
                bootstrap=bootstrap, partition=number, partitions=partitions, commands=commands
            )
            preload(plot, kind)
            limit = _during(bare.exactly_once, plot, LIMIT)
            ours = _during(deciding.run, plot, DECISIONS)
            ratios[kind].append(ours / limit)
            print(f"{kind}: {ours:,.0f} decisions/s, limit {limit:,.0f}")
            if kind == "filing":
                folded, decoded = replaying.fold(plot), bare.decode_all(plot)
                replays.append(folded / decoded)
                print(f"replay: {folded:,.0f} decisions/s, limit {decoded:,.0f}")
    rows = [
        Row(
            name=f"decider, {kind}",
            unit="ratio",
            values=tuple(ratios[kind]),
            goal=goal,
            is_floor=True,
            is_ratio=True,
            limit="bare exactly-once loop, same batch size",
        )
        for kind, goal in KINDS
    ]
    rows.append(
        Row(
            name="replay",
            unit="ratio",
            values=tuple(replays),
            goal=REPLAY_GOAL,
            is_floor=True,
            is_ratio=True,
            limit="bare consume + decode",
        )
    )
    return rows


def _during(work: Callable[[Plot], None], plot: Plot, topic: str) -> float:
    """Records a second that `work`, in a process of its own, appends to a topic."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(plot,))
    process.start()
    try:
        return rate(appended(plot, topic, plot.commands))
    finally:
        process.terminate()
        process.join(30)


def _life(folder: Path, exports: int) -> list[Row]:
    lived = live(folder / "installation", exports)
    rows = [
        Row(
            name="small export, filed to ready",
            unit="s",
            values=tuple(lived.ready_s),
            goal=0.5,
            is_floor=False,
        ),
        Row(
            name="filing, to its answer",
            unit="ms",
            values=tuple(1000 * s for s in lived.answered_s),
            goal=25,
            is_floor=False,
        ),
    ]
    rows += [
        Row(name=f"peak memory, {name}", unit="MiB", values=(mib,), goal=256, is_floor=False)
        for name, mib in sorted(lived.peak_mib.items())
    ]
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
