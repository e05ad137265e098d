"""Kamailio's log on its way out: long lines are cut, and a flood of them is thinned out.

Kamailio logs what it can't parse, whole and on many lines: who sends such packets would fill the
disk. At LOG_LEVEL 2 and 3 everything is passed on.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import IO

LONGEST = 300  # bytes, or characters of a field
BURST = 500  # lines, as a start needs them
RATE = 50  # lines/s, in the long run


class Text:
    """The log as Kamailio writes it for people."""

    @staticmethod
    def cut(line: bytes) -> bytes:
        """A line of at most LONGEST bytes, which says how long it was."""
        if len(line) <= LONGEST:
            return line
        return line[:LONGEST] + f"... ({len(line)} bytes)\n".encode()

    @staticmethod
    def line(text: str) -> bytes:
        """A line of ours."""
        return f"kemi-routes: {text}\n".encode()


class Json(Text):
    """The log with a JSON object on each line (core parameter log_engine_data)."""

    @staticmethod
    def cut(line: bytes) -> bytes:
        """An entry whose texts have LONGEST characters at most, and say how many they had."""
        if len(line) <= LONGEST:
            return line
        text = line.decode(errors="replace")
        try:
            entry = dict(json.loads(text))
        except (ValueError, TypeError):
            entry = {"message": text}
        return (json.dumps({name: _shortened(entry[name]) for name in entry}) + "\n").encode()

    @staticmethod
    def line(text: str) -> bytes:
        """An entry of ours."""
        return (json.dumps({"level": "NOTICE", "message": f"kemi-routes: {text}"}) + "\n").encode()


FORMS: dict[str, type[Text]] = {"text": Text, "json": Json}


class Thinner:
    """Decides which lines are passed on: a bucket of BURST lines that fills with RATE a second."""

    def __init__(
        self, form: type[Text] = Text, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._form = form
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
        note = self._form.line(f"{shown} lines of the log left out") if shown else b""
        return note + self._form.cut(line)


def follow(log: IO[bytes], out: IO[bytes], form: str = "text") -> threading.Thread:
    """Pass a log on until it ends, in a thread.

    Args:
        log: what Kamailio writes.
        out: where it goes.
        form: `text` or `json`.
    """
    thread = threading.Thread(target=_pass_on, args=(log, out, FORMS[form]), daemon=True)
    thread.start()
    return thread


def _pass_on(log: IO[bytes], out: IO[bytes], form: type[Text]) -> None:
    thinner = Thinner(form)
    with log:
        for line in iter(lambda: log.readline(1 << 16), b""):
            out.write(thinner.thin(line))
            out.flush()


def _shortened(value: object) -> object:
    if not isinstance(value, str) or len(value) <= LONGEST:
        return value
    return f"{value[:LONGEST]}... ({len(value)} characters)"
