"""What a pseudo-variable can be worth: nothing, an int, a str, or both at once."""

from __future__ import annotations

import re
from typing import TypeAlias

from ksr_stub.world import World

# Latin-1 text, see text.py. A str or int may carry the other form: Worded and Numbered below.
Value: TypeAlias = str | int | None

_INT = re.compile(r"([+-]?)([0-9]*)")
_INT_MAX = 2**31 - 1
_NULL = "<null>"


class NoValue(Exception):
    """Kamailio can't get the value at all: it logs an error, and the route sees None."""


class Numbered(str):
    """A str that is an int for those who ask for one: `$rm` is `INVITE` and 1."""

    __slots__ = ("number",)

    number: int

    def __new__(cls, text: str, number: int) -> Numbered:
        value = super().__new__(cls, text)
        value.number = number
        return value


class Worded(int):
    """An int that is written in its own way: the port `` of a URI without one is 0."""

    text: str

    def __new__(cls, number: int, text: str) -> Worded:
        value = super().__new__(cls, number)
        value.text = text
        return value


def text_of(value: Value) -> str:
    """The value as text, `<null>` for none."""
    if value is None:
        return _NULL
    if isinstance(value, Worded):
        return value.text
    return str(int(value)) if isinstance(value, int) else str(value)


def number_of(value: Value) -> int | None:
    """The value as int; None where it has no number of its own (text is not converted)."""
    if isinstance(value, int):
        return int(value)
    return value.number if isinstance(value, Numbered) else None


def parse_int(text: str) -> int | None:
    """A whole text as int, as str2sint reads it: '' and '+' are 0, more than 31 bits is none."""
    number = leading_int(text)
    return number if _INT.fullmatch(text) and number == _number(text) else None


def leading_int(text: str, greatest: int = _INT_MAX) -> int:
    """The int at the start of a text, 0 without one, the last of 31 bits for a greater one."""
    return max(-greatest - 1, min(greatest, _number(text)))


def _number(text: str) -> int:
    match = _INT.match(text)
    assert match is not None  # noqa: S101
    return int(match[1] + (match[2] or "0"))


def signed(number: int) -> int:
    """The number as a 32-bit int: flags above the 31st bit come out negative."""
    return (number + 2**31) % 2**32 - 2**31


def no_value(world: World, reason: str) -> NoValue:
    """Log why there is no value; raise the result."""
    world.say(-1, f"pv: {reason}")
    return NoValue(reason)
