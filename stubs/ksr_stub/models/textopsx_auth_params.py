"""KSR.textopsx: parameters of a header such as `Digest realm="x", nonce="y"` (modules/textopsx)."""

from __future__ import annotations

import re

from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header
from ksr_stub.models.textopsx_values import (
    SPACE,
    Place,
    assignment,
    delete_header,
    field_at,
    fields,
)
from ksr_stub.registry import model
from ksr_stub.world import World


@model("textopsx")
def remove_hf_value2(world: World, name: str, value: str) -> int:
    """Take out a header, or a parameter of one such as `Digest realm="x", nonce="y"`.

    Returns 1; -1 where there is none, or for a bad name. A value that is not empty is written, as
    assign_hf_value2 does.
    """
    assigned = assignment(world, name, value, removes=True)
    return -1 if assigned is None else _change(world, *assigned, removes=True)


@model("textopsx")
def assign_hf_value2(world: World, name: str, value: str) -> int:
    """Give a header another body, or a parameter of one: `Name[index].param`.

    Returns 1; -1 where there is none, or for a bad name. An empty text takes a parameter out.
    """
    assigned = assignment(world, name, value)
    return -1 if assigned is None else _change(world, *assigned, removes=False)


def _change(world: World, place: Place, shown: str | None, *, removes: bool) -> int:
    if place.every:
        change = [
            _set_param(world, one, place.param, shown) if place.param else delete_header(world, one)
            for one in fields(world, place.name)
        ]
        return max(change, default=-1)
    field = field_at(world, place)
    if field is None:
        return -1
    if place.param:
        return _set_param(world, field, place.param, shown)
    if removes:
        return delete_header(world, field)
    world.msg.replace(field.body_start, len(field.body), shown or "")
    return 1


# a name, with what is before it and its value; then a comma if there was none before
_PARAM = re.compile(r'(\s*(,?)\s*)([\w\-]+)\s*(?:(=)(\s*(?:"[^"]*"?|[^\s,]*)))?', re.ASCII)


def _set_param(world: World, header: Header, name: str, shown: str | None) -> int:
    """As _set_param, in a list with commas."""
    buf, at = world.msg.buf, header.body_start
    end, delimiter, done = at + len(header.body), "", False
    while at < end:
        match = _PARAM.match(buf, at, end)
        if match is None:
            at = _over_commas(world, at, end)
            continue
        delimiter = "," if match[4] else delimiter or " "
        if not match[4] or match[3].lower() != name.lower():
            at = match.end() + _spaces(buf, match.end(), end)
            continue
        if shown is not None:
            place = match.start(4)
            world.msg.replace(place, match.end() - place, f"={shown}" if shown else "")
            return 1
        at = match.end()
        comma = at + _spaces(buf, at, end)
        if not match[2] and buf[comma : comma + 1] == "," and comma < end:
            at = comma + 1
        world.msg.delete(match.start(), at - match.start())
        done, delimiter = True, ""
    if shown is None:
        return 1 if done else -1
    world.msg.insert(end, f"{delimiter}{name}" + (f"={shown}" if shown else ""))
    return 1


def _spaces(buf: str, at: int, end: int) -> int:
    return len(buf[at:end]) - len(buf[at:end].lstrip(SPACE))


def _over_commas(world: World, at: int, end: int) -> int:
    buf, here = world.msg.buf, at + _spaces(world.msg.buf, at, end)
    if buf[here:end].startswith(","):
        here += 1
    here += _spaces(buf, here, end)
    start = here
    while here < end and buf[here] == ",":
        here += 1
    if here == start and here < end:
        raise world.fault(
            Unpredictable(f"Kamailio 5.6.3 never ends on {buf[here]!r} in {buf[at:end]!r}")
        )
    return here
