"""How often and how long an operation is tried again: bounded, with jitter, and said aloud.

It does not decide what may be tried again; the caller names the errors after which it is safe.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from plumbing import telemetry

_log = telemetry.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Tries at most `attempts` times and starts none after `timeout`."""

    attempts: int = 5
    timeout: timedelta = timedelta(seconds=30)
    wait_first: timedelta = timedelta(milliseconds=100)
    wait_max: timedelta = timedelta(seconds=3)
    jitter: timedelta = timedelta(milliseconds=200)


IMPATIENT = Patience(
    attempts=3,
    wait_first=timedelta(milliseconds=1),
    wait_max=timedelta(milliseconds=2),
    jitter=timedelta(0),
)


def retrying(error: type[Exception], patience: Patience) -> Iterator[stamina.Attempt]:
    """Attempts, each a context manager to work in; the last one's error comes out as it is."""
    return iter(
        stamina.retry_context(
            on=error,
            attempts=patience.attempts,
            timeout=patience.timeout,
            wait_initial=patience.wait_first,
            wait_max=patience.wait_max,
            wait_jitter=patience.jitter,
        )
    )


def _say(details: RetryDetails) -> None:
    _log.warning(
        "retrying",
        error=details.caused_by,
        attempt=details.retry_num,
        wait_seconds=round(details.wait_for, 3),
    )


# stamina's own hook logs the repr of the exception, which may quote what was being stored.
set_on_retry_hooks([_say])
