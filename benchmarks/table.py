"""What was measured, against what was wished."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure: what each run gave, and the goal; `is_floor` if more is better."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: float
    is_floor: bool
    limit: str = ""
    # Only ratios may fail a quick run: seconds depend on the machine.
    is_ratio: bool = False

    @property
    def is_met(self) -> bool:
        value = median(self.values)
        return value >= self.goal if self.is_floor else value <= self.goal

    @property
    def has_collapsed(self) -> bool:
        return self.is_ratio and median(self.values) < self.goal / 3


def show(rows: Sequence[Row]) -> None:
    table = Table(title="habeas, measured")
    for name in ("measure", "min", "median", "max", "unit", "goal", "met", "against"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row.name,
            f"{min(row.values):.3g}",
            f"{median(row.values):.3g}",
            f"{max(row.values):.3g}",
            row.unit,
            f"{'≥' if row.is_floor else '≤'} {row.goal:g}",
            "yes" if row.is_met else "no",
            row.limit,
        )
    Console(width=150).print(table)
