"""Wait for what another program will have done soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE = 0.1

# Seconds: twice what is promised, for the machine of the tests has other things to do.
ANSWERS = 2  # OPTIONS, while parts of the server fail
RECOVERS = 2  # after its database has
RETURNS = 10  # after a crash


def eventually(look: Callable[[], T], what: str, timeout: float = 15) -> T:
    """The first answer of look that is true. It is asked every tenth of a second; AssertionError
    with the last answer when none is true within timeout seconds."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {timeout} s, but {seen!r}")
        time.sleep(PAUSE)
    return seen
