"""Kamailio's log on its way out: long lines are cut, and a flood of them is thinned out.

Kamailio logs what it can't parse, whole and on many lines: who sends such packets would fill the
disk. At LOG_LEVEL 2 and 3, and as JSON, everything is passed on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import IO

LONGEST = 300  # bytes
BURST = 500  # lines, as a start needs them
RATE = 50  # lines/s, in the long run


class Thinner:
    """Decides which lines are passed on: a bucket of BURST lines that fills with RATE a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._since = clock()
        self._dropped = 0

    def thin(self, line: bytes) -> bytes:
        """What is to be passed on of a line, '' for nothing; with what was left out before it."""
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._since) * RATE)
        self._since = now
        if self._left < 1:
            self._dropped += 1
            return b""
        self._left -= 1
        shown, self._dropped = self._dropped, 0
        note = f"kemi-routes: {shown} lines of the log left out\n".encode() if shown else b""
        return note + cut(line)


def cut(line: bytes) -> bytes:
    """A line of at most LONGEST bytes, which says how long it was."""
    if len(line) <= LONGEST:
        return line
    return line[:LONGEST] + f"... ({len(line)} bytes)\n".encode()


def follow(log: IO[bytes], out: IO[bytes]) -> threading.Thread:
    """Pass a log on until it ends, in a thread.

    Args:
        log: what Kamailio writes.
        out: where it goes.
    """
    thread = threading.Thread(target=_pass_on, args=(log, out), daemon=True)
    thread.start()
    return thread


def _pass_on(log: IO[bytes], out: IO[bytes]) -> None:
    thinner = Thinner()
    with log:
        for line in iter(lambda: log.readline(1 << 16), b""):
            out.write(thinner.thin(line))
            out.flush()
