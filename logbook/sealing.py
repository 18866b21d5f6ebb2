"""What ties a sealed thing to its place, and how long a worker may hold the keys to it.

Collectors seal fragments, the bundler opens them and seals archives, and request_api opens those:
all three must name the same circumstances (K-4), so they are spelled out here once.
"""

import time
from collections.abc import Callable
from typing import Final

from plumbing.vault import Opened, VaultUnavailable
from proofs.envelope import context
from rights.orders import Order

FRAGMENT_FORMAT: Final = b"habeas-fragment/1"
ARCHIVE_FORMAT: Final = b"habeas-archive/1"
ARCHIVE_KEY: Final = "archive"


def fragment_context(
    order: Order, *, source: str, run_id: str, ordinal: int, is_last: bool
) -> bytes:
    """The circumstances of the fragment that comes `ordinal`th (from 0) in its run.

    The order is the one to collect it or the one to put it into an archive.
    """
    return context(
        "fragment",
        tenant=order.tenant_ref,
        subject_ref=order.subject_ref.encode(),
        request_id=order.request_id,
        source=source,
        section="",
        run_id=run_id,
        chunk_index=ordinal,
        last=is_last,
        schema_fingerprint=FRAGMENT_FORMAT,
    )


def archive_context(*, tenant_ref: str, subject_ref: str, request_id: str, order_id: str) -> bytes:
    """The circumstances of the archive that the seal order `order_id` asked for."""
    return context(
        "archive",
        tenant=tenant_ref,
        subject_ref=subject_ref.encode(),
        request_id=request_id,
        source="",
        section="",
        run_id=order_id,
        chunk_index=0,
        last=True,
        schema_fingerprint=ARCHIVE_FORMAT,
    )


class Lease:
    """What the vault lends for one order; renewed at half time, and let go when it runs out.

    One thread's at a time.
    """

    def __init__(
        self, ask: Callable[[], Opened], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._held: Opened | None = None
        self._asked_at_s = 0.0

    def get(self) -> Opened:
        """Fields and keys, as of now.

        Raises:
            VaultUnavailable: nothing is held, and the vault does not answer.
            VaultRefused: the order is not pending any more, or its keys are gone.
        """
        held, now_s = self._held, self._monotonic()
        age_s = now_s - self._asked_at_s
        if held is not None and age_s < held.lease.total_seconds() / 2:
            return held
        self._held = None
        try:
            renewed = self._ask()
        except VaultUnavailable:
            # Destruction waits for the whole lease, so the rest of it is still ours.
            if held is None or self._monotonic() - self._asked_at_s >= held.lease.total_seconds():
                raise
            self._held = held
            return held
        # The lease counts from the moment of asking.
        self._held, self._asked_at_s = renewed, now_s
        return renewed
