"""Module maxfwd: Max-Forwards (RFC 3261 16.3, modules/maxfwd of Kamailio)."""

from __future__ import annotations

from ksr_stub.message import SipMessage
from ksr_stub.registry import model
from ksr_stub.world import World

_MISSING, _BAD = -1, -2
_NOTE = "maxfwd"


@model("maxfwd")
def process_maxfwd(world: World, limit: int) -> int:
    """Count Max-Forwards down.

    Returns:
        1; 2 where the header was added; -1 where it is 0; -2 where it is no number.
    """
    if not 0 <= limit <= 255:
        world.say(-1, f"maxfwd: invalid param value: {limit}")
        return -1
    message = world.msg
    value = _value(message)
    if value == _MISSING:
        message.insert(message.headers[0].start, f"Max-Forwards: {limit}\r\n")
        return 2
    if value == _BAD:
        world.say(-1, "maxfwd: unable to parse the max forwards number")
        return -2
    if value == 0:
        return -1
    highest = world.param("maxfwd", "max_limit", 70)
    _write(message, (highest if value > highest else value - 1))
    return 1


@model("maxfwd")
def is_maxfwd_lt(world: World, limit: int) -> int:
    """Whether Max-Forwards is lower: 1, else -1; -2 without the header, -3 no number."""
    if not 0 <= limit <= 255:
        world.say(-1, f"maxfwd: invalid param value: {limit}")
        return -1
    value = _value(world.msg)
    if value < 0:
        return value - 1
    return -1 if value >= limit else 1


def _value(message: SipMessage) -> int:
    header = message.first("max-forwards")
    if header is None:
        return _BAD if message.unreadable() else _MISSING
    stored = message.notes.get(_NOTE)
    if isinstance(stored, int):
        return stored
    digits = header.body.strip()
    if digits and not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return _BAD
    # a 16-bit number in Kamailio: 70000 is 4464 to it
    return int(digits or 0) % 65536


def _write(message: SipMessage, value: int) -> None:
    """Kamailio writes into the received bytes, so `$mf` and $hdr() see the new value too."""
    header = message.first("max-forwards")
    assert header is not None  # noqa: S101
    length = len(header.body.rstrip())
    text = str(value)[-length:].rjust(length) if length else ""
    message.overwrite(header, text + header.body[length:])
    message.notes[_NOTE] = value
