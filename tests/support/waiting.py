"""Waiting for something to become true, with an end to the patience."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_LOOK_AGAIN_SECONDS = 0.01


def until(predicate: Callable[[], _T], seconds: float = 15.0) -> _T:
    """Ask again and again; gives the first true answer.

    Raises:
        AssertionError: there was none within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} s; the last answer: {answer!r}")
        time.sleep(_LOOK_AGAIN_SECONDS)
