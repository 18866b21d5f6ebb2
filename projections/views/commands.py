"""The answer to each command: what was decided, where, and about which request."""

from typing import Final

from projections.views.table import Row, Table
from rights.decisions import Decision

TABLE: Final = Table(
    name="commands",
    columns=(
        *("command_id", "partition", "seq", "command_type", "verdict", "code", "hash"),
        *("decided_at", "tenant_ref", "subject_ref", "request_id", "reference"),
    ),
    key=("command_id", "partition"),
)


def row(decision: Decision, request_id: str | None, reference: str | None) -> Row:
    command = decision.command
    return (
        command.id,
        decision.partition,
        decision.seq,
        command.type,
        decision.verdict,
        decision.code,
        command.hash,
        decision.decided_at,
        decision.tenant_ref,
        decision.subject_ref,
        request_id,
        reference,
    )
