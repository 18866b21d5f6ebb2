"""Which policies were published, folded from the whole log."""

import hashlib

from rights.events import PolicyPublished
from rights.policies import PolicyBook, PolicyInForce, PolicyReference
from schemas.log import Entry


def fold_policies(book: PolicyBook, entry: Entry) -> None:
    """Add the policies that an entry publishes to the book."""
    # Most decisions publish nothing, and then nothing of them needs to be decoded.
    if not entry.may_hold(PolicyPublished):
        return
    decision = entry.decision
    for event, body in zip(entry.events, decision.events, strict=True):
        if isinstance(event, PolicyPublished) and decision.tenant_ref:
            reference = PolicyReference(
                partition=decision.partition,
                seq=decision.seq,
                hash=hashlib.sha256(body.body).digest(),
            )
            in_force = PolicyInForce(
                policy=event.policy, reference=reference, effective_at=event.effective_at
            )
            book.publish(decision.tenant_ref, in_force)
