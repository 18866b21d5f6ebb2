"""Every message by its wire name; the name is the class name and never changes its meaning."""

from types import UnionType
from typing import Final, get_args

from rights import commands, events, incoming, orders, reports
from rights.decisions import Decision
from schemas import wire


def _members(union: UnionType | type) -> tuple[type, ...]:
    return get_args(union) or (union,)


COMMANDS: Final = tuple(_members(incoming.Body))
EVENTS: Final = tuple(_members(events.Event))
ORDERS: Final = tuple(_members(orders.Order))
ENVELOPES: Final = (
    Decision,
    wire.CommandMessage,
    wire.OrderMessage,
    wire.ProgressMessage,
    wire.IntakeRequest,
    wire.IntakeOutcome,
    wire.DeadLetter,
)
REPORTS: Final = tuple(_members(reports.Report))
CLOCK_COMMANDS: Final = tuple(_members(commands.ClockCommand))
MESSAGES: Final[dict[str, type]] = {
    cls.__name__: cls for cls in (*COMMANDS, *EVENTS, *ORDERS, *ENVELOPES)
}
