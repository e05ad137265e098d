"""KSR.textopsx: the values of a header's list, and their parameters (modules/textopsx)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from ksr_stub import pv
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header, header_key
from ksr_stub.models import hdr
from ksr_stub.registry import model
from ksr_stub.world import World

SPACE = " \t\r\n"
_EXPRESSION = re.compile(
    r"\s*([\w\-]*)\s*(\[\s*(?:(\*)|\s*([+-]?\d+))?\s*\])?\s*(?:\.\s*([\w\-]+))?", re.ASCII
)
# `;name = "value"`: the place of `= "value"` is what an assignment replaces
_PARAM = re.compile(r'\s*;\s*([^\s=;]*)(\s*(?:=\s*(?:"[^"]*"?|[^\s;]*))?)', re.ASCII)
_DEEPEST = 10


@attrs.frozen
class Place:
    """The header expression `Name[index].param`; `every` is `[*]`."""

    name: str
    indexed: bool
    every: bool
    index: int
    param: str


@attrs.frozen
class Value:
    """One of the values of a header field, and what goes if it is taken out."""

    header: Header
    start: int
    end: int
    cut_start: int
    cut_end: int


def _place(world: World, text: str) -> Place | None:
    match = _EXPRESSION.fullmatch(text)
    if match is None or not hdr.NAME.fullmatch(match[1]):
        world.say(-1, f"textopsx: cannot parse header near '{text}'")
        return None
    return Place(match[1], bool(match[2]), bool(match[3]), int(match[4] or 0), match[5] or "")


def fields(world: World, name: str) -> list[Header]:
    """The header fields of a name."""
    key = header_key(name)
    return [one for one in world.msg.headers if one.key == key]


def _values(world: World, header: Header) -> Iterator[Value]:
    buf, at = world.msg.buf, header.body_start
    stop = at + len(header.body)
    more = True
    while more:
        cut, quoted = at, False
        while at < stop and buf[at] in SPACE:
            at += 1
        start = at
        while at < stop and (buf[at] != "," or quoted):
            if buf[at] == '"' and (not quoted or buf[at - 1] != "\\"):
                quoted = not quoted
            at += 1
        end = start + len(buf[start:at].rstrip(SPACE))
        at = min(at + 1, stop)
        more = at < stop
        yield Value(header, start, end, cut, at)


def _value_at(world: World, place: Place) -> Value | None:
    found = [one for header in fields(world, place.name) for one in _values(world, header)]
    if place.index > 0:
        return found[place.index - 1] if place.index <= len(found) else None
    return found[place.index] if -place.index <= len(found) else None


def field_at(world: World, place: Place) -> Header | None:
    """The header field that an expression means."""
    found = fields(world, place.name)
    if place.index > 0:
        return found[place.index - 1] if place.index <= len(found) else None
    return found[place.index] if -place.index <= len(found) else None


def _delete(world: World, value: Value) -> int:
    """Take a value out, with the comma before it if it is the last; a lone one with its header."""
    header = value.header
    end = header.body_start + len(header.body)
    start = value.cut_start - (value.cut_end == end and value.cut_start > header.body_start)
    if (start, value.cut_end) == (header.body_start, end):
        return delete_header(world, header)
    world.msg.delete(start, value.cut_end - start)
    return 1


def delete_header(world: World, header: Header) -> int:
    """Take a header field out. Returns 1."""
    world.msg.delete(header.start, header.end - header.start)
    return 1


def _insert_header(world: World, at: int, name: str, value: str) -> int:
    world.msg.insert(at, f"{name}: {value}\r\n")
    return 1


def _insert_value(world: World, header: Header, at: int, value: str) -> int:
    last = at == header.body_start + len(header.body)
    world.msg.insert(at, f",{value}" if last else f"{value},")
    return 1


def shown_as(world: World, value: str) -> str | None:
    """The value with its variables; None where one of them is none."""
    return pv.evaluate(world, value)


def _matching(world: World, name: str, value: str) -> tuple[Place, str, list[Value]] | None:
    if not value:
        raise world.fault(
            Unpredictable(f"an empty value for header {name!r} crashes Kamailio 5.6.3: check it")
        )
    place, shown = _place(world, name), shown_as(world, value)
    if place is None or place.indexed or place.param or not shown:
        return None
    buf = world.msg.buf
    found = [
        one
        for header in fields(world, place.name)
        for one in _values(world, header)
        if buf[one.start : one.end].lower() == shown.lower()
    ]
    return place, shown, found


@model("textopsx", unreadable=-1)
def hf_value_exists(world: World, name: str, value: str) -> int:
    """1 where a header has the value in its list, else -1; case does not count."""
    matching = _matching(world, name, value)
    return 1 if matching is not None and matching[2] else -1


@model("textopsx", unreadable=-1)
def include_hf_value(world: World, name: str, value: str) -> int:
    """Add a value to a header's list, unless it is there. Returns 1, -1 for what is no header."""
    matching = _matching(world, name, value)
    if matching is None:
        return -1
    place, shown, found = matching
    if found:
        return 1
    same = fields(world, place.name)
    if not same:
        return _insert_header(world, world.msg.headers_end, place.name, shown)
    return _insert_value(world, same[0], same[0].body_start + len(same[0].body), shown)


@model("textopsx", unreadable=-1)
def exclude_hf_value(world: World, name: str, value: str) -> int:
    """Take a value out of a header's list, and the header with its last one.

    Returns 1, -1 for what is no header.
    """
    matching = _matching(world, name, value)
    if matching is None:
        return -1
    for one in matching[2]:
        _delete(world, one)
    return 1


def place_or_default(
    world: World, text: str, default: int, *, every: bool, param: bool
) -> Place | None:
    """Read a header expression; `every` and `param`: whether it may have them."""
    place = _place(world, text)
    if place is None:
        return None
    if (place.every and not every) or (place.param and not param):
        world.say(-1, "textopsx: asterisk or param not supported")
        return None
    index = place.index or default
    if index < -_DEEPEST:
        world.say(-1, f"textopsx: index cannot be lower than {-_DEEPEST}")
        return None
    return attrs.evolve(place, index=index)


@model("textopsx", unreadable=-1)
def append_hf_value(world: World, name: str, value: str) -> int:
    """Put a value behind the one that `Name[index]` means, `Name` alone: into a new header.

    Returns 1, also where there is no such value: it comes as a new header; -1 for a bad name.
    """
    place = place_or_default(world, name, -1, every=False, param=False)
    shown = shown_as(world, value)
    if place is None or shown is None:
        return -1
    found = _value_at(world, place) if place.indexed else None
    if found is None:
        return _insert_header(world, world.msg.headers_end, place.name, shown)
    return _insert_value(world, found.header, found.cut_end, shown)


@model("textopsx", unreadable=-1)
def insert_hf_value(world: World, name: str, value: str) -> int:
    """Put a value before the one that `Name[index]` means, `Name` alone: into a new header.

    Returns 1; -1 for a bad name, and where there is no such value unless it would be the first.
    """
    place = place_or_default(world, name, 1, every=False, param=False)
    shown = shown_as(world, value)
    if place is None or shown is None:
        return -1
    found = _value_at(world, place)
    if found is None:
        if place.index != 1:
            return -1
        return _insert_header(world, world.msg.headers_end, place.name, shown)
    if not place.indexed:
        return _insert_header(world, found.header.start, place.name, shown)
    return _insert_value(world, found.header, found.cut_start, shown)


@model("textopsx", unreadable=-1)
def remove_hf_value(world: World, name: str) -> int:
    """Take out a value of a header's list, or a parameter of one: `Name[index].param`.

    Returns 1; -1 where there is none, or for a bad name. `[*]` means all of them.
    """
    place = place_or_default(world, name, 1, every=True, param=True)
    return -1 if place is None else _change(world, place, None, removes=True)


@model("textopsx", unreadable=-1)
def assign_hf_value(world: World, name: str, value: str) -> int:
    """Give a value of a header's list another text, or a parameter of one: `Name[index].param`.

    Returns 1; -1 where there is none, or for a bad name. An empty text takes a parameter out.
    """
    assigned = assignment(world, name, value)
    return -1 if assigned is None else _change(world, *assigned, removes=False)


def assignment(
    world: World, name: str, value: str, *, removes: bool = False
) -> tuple[Place, str | None] | None:
    """Read where something is assigned to, and what: None for an empty text.

    Returns:
        None for a bad name or value; only what removes may mean all values, `[*]` without param.
    """
    place = place_or_default(world, name, 1, every=True, param=True)
    if place is not None and place.every and not place.param and not removes:
        world.say(-1, "textopsx: asterisk not supported without param")
        return None
    shown = shown_as(world, value) if value else None
    return None if place is None or (value and shown is None) else (place, shown)


def _change(world: World, place: Place, shown: str | None, *, removes: bool) -> int:
    if place.every:
        same = fields(world, place.name)
        if not place.param:
            return max((delete_header(world, one) for one in same), default=-1)
        values = [one for header in same for one in _values(world, header)]
        return max((_set_param(world, one, place.param, shown) for one in values), default=-1)
    found = _value_at(world, place)
    if found is None:
        return -1
    if place.param:
        return _set_param(world, found, place.param, shown)
    if removes:
        return _delete(world, found)
    world.msg.replace(found.start, found.end - found.start, shown or "")
    return 1


def _params_start(buf: str, start: int, end: int) -> int:
    """Behind the name and the URI of a value."""
    at = start
    while at < end and buf[at] != ";":
        at = _after_name(buf, at, end)
        while at < end and buf[at] in SPACE:
            at += 1
        if at < end and buf[at] == "<":
            at = _after_uri(buf, at, end)
    return at


def _after_name(buf: str, at: int, end: int) -> int:
    quoted = False
    while at < end:
        if not quoted and buf[at] in "<;" + SPACE:
            break
        if buf[at] == '"' and (not quoted or buf[at - 1] != "\\"):
            quoted = not quoted
        at += 1
    return at


def _after_uri(buf: str, at: int, end: int) -> int:
    """At the `>` of the URI; at the end without one."""
    quoted = False
    while at < end:
        if not quoted and buf[at] == ">":
            break
        if buf[at] == '"' and (not quoted or buf[at - 1] != "\\"):
            quoted = not quoted
        at += 1
    return at


def _set_param(world: World, value: Value, name: str, shown: str | None) -> int:
    """Set a parameter, None: take all of that name out."""
    buf = world.msg.buf
    at, done = _params_start(buf, value.start, value.end), False
    while match := _PARAM.match(buf, at, value.end):
        at = match.end()
        if match[1].lower() != name.lower():
            continue
        if shown is not None:
            world.msg.replace(match.end(1), at - match.end(1), f"={shown}" if shown else "")
            return 1
        world.msg.delete(match.start(), at - match.start())
        done = True
    if shown is None:
        return 1 if done else -1
    world.msg.insert(at, f";{name}" + (f"={shown}" if shown else ""))
    return 1
