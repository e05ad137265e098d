"""KSR.textopsx: walking over the headers and over the lines of the body (modules/textopsx).

Four iterators of each kind, which live as long as the worker: one that is not ended keeps its
name, and points into the message it was started on.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ksr_stub import pv
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header, SipMessage
from ksr_stub.pv.spec import Index
from ksr_stub.registry import model
from ksr_stub.world import World

_MOST, _LONGEST = 4, 31


@attrs.define(eq=False)
class Headers:
    """Where an iterator over headers stands; `at` is None before the first one."""

    message: SipMessage
    at: Header | None = None
    before: Header | None = None
    ended: bool = False


@attrs.define(eq=False)
class Lines:
    """Where an iterator over the body stands: `at` to `end` of the buffer; None before it."""

    message: SipMessage
    at: int | None = None
    end: int = 0
    ended: bool = False
    stopped: bool = False


@attrs.define(eq=False)
class Iterators:
    """Those that were started, by name."""

    headers: dict[str, Headers] = attrs.Factory(dict)
    lines: dict[str, Lines] = attrs.Factory(dict)


def _room(world: World, known: dict[str, Headers] | dict[str, Lines], name: str) -> bool:
    if name in known:
        return True
    if len(known) >= _MOST or len(name) > _LONGEST:
        world.say(-1, f"textopsx: no iterator available for [{name}] - max number is {_MOST}")
        return False
    return True


def _fresh(world: World, message: SipMessage, standing: object) -> None:
    if standing is not None and message is not world.msg:
        raise world.fault(
            Unpredictable("the iterator points into a message that is gone: start it again")
        )


@model("textopsx")
def hf_iterator_start(world: World, name: str) -> int:
    """Start to walk over the header fields; 1, -1 where four other iterators have names."""
    known = world.part(Iterators).headers
    if not _room(world, known, name):
        return -1
    if name:
        known[name] = Headers(world.msg)
    return -1 if world.msg.unreadable() else 1


def _headers(world: World, name: str) -> Headers | None:
    found = world.part(Iterators).headers.get(name)
    if found is None:
        world.say(-1, f"textopsx: iterator not available [{name}]")
        return None
    _fresh(world, found.message, found.at)
    return found


@model("textopsx")
def hf_iterator_next(world: World, name: str) -> int:
    """Go on to the next header field; 1, -1 behind the last one."""
    found = _headers(world, name)
    if found is None or found.ended:
        return -1
    headers = world.msg.headers
    if found.at is None:
        found.message, found.at = world.msg, headers[0] if headers else None
    else:
        place = headers.index(found.at) + 1
        found.before, found.at = found.at, headers[place] if place < len(headers) else None
    found.ended = found.at is None
    return -1 if found.ended else 1


@model("textopsx")
def hf_iterator_prev(world: World, name: str) -> int:
    """Go back to the header field before; 1, also before the first one; -1 behind the last one."""
    found = _headers(world, name)
    if found is None or found.ended:
        return -1
    if found.before is None:
        return hf_iterator_start(world, name)
    if found.before is not found.at:
        found.at = found.before
        return 1
    return _step_back(world, name, found)


def _step_back(world: World, name: str, found: Headers) -> int:
    """A second step back in a row. Kamailio looks for the place in pairs of headers."""
    headers = world.msg.headers
    place = next((n for n, one in enumerate(headers) if one is found.at), 0)
    if place >= 2:
        found.at, found.before = headers[place - 1], headers[place - 2]
        return 1
    if place == 1 and len(headers) == 2:
        found.at, found.before = headers[0], None
        return 1
    return hf_iterator_start(world, name)


@model("textopsx")
def hf_iterator_end(world: World, name: str) -> int:
    """Forget where the iterator stands; 1, -1 where there is none. Its name stays taken."""
    found = world.part(Iterators).headers.get(name)
    if found is None:
        world.say(-1, f"textopsx: iterator not available [{name}]")
        return -1
    found.at, found.ended = None, False
    return 1


def _header(world: World, name: str) -> Header | None:
    found = _headers(world, name)
    return None if found is None else found.at


@model("textopsx")
def hf_iterator_rm(world: World, name: str) -> int:
    """Take the header field out; 1, -1 where the iterator stands on none."""
    header = _header(world, name)
    if header is None:
        return -1
    world.msg.delete(header.start, header.end - header.start)
    return 1


@model("textopsx")
def hf_iterator_append(world: World, name: str, text: str) -> int:
    """Put text behind the header field; 1, -1 where the iterator stands on none."""
    header = _header(world, name)
    if header is None:
        return -1
    world.msg.insert(header.end, text)
    return 1


@model("textopsx")
def hf_iterator_insert(world: World, name: str, text: str) -> int:
    """Put text before the header field; 1, -1 where the iterator stands on none."""
    header = _header(world, name)
    if header is None:
        return -1
    world.msg.insert(header.start, text)
    return 1


@model("textopsx")
def hf_iterator_hname(world: World, name: str) -> str | None:
    """The name of the header field, None where the iterator stands on none."""
    header = _header(world, name)
    return None if header is None else header.name.rstrip(" \t")


@model("textopsx")
def hf_iterator_hbody(world: World, name: str) -> str | None:
    """The body of the header field, None where the iterator stands on none."""
    header = _header(world, name)
    return None if header is None else header.body


@model("textopsx")
def bl_iterator_start(world: World, name: str) -> int:
    """Start to walk over the lines of the body; 1, -1 without a body's place or a free iterator."""
    known = world.part(Iterators).lines
    if not _room(world, known, name):
        return -1
    if name:
        known[name] = Lines(world.msg, stopped=not world.msg.has_empty_line)
    return 1 if world.msg.has_empty_line else -1


def _lines(world: World, name: str) -> Lines | None:
    found = world.part(Iterators).lines.get(name)
    if found is None:
        world.say(-1, f"textopsx: iterator not available [{name}]")
        return None
    if found.message.unreadable():
        raise world.fault(
            Unpredictable("an iterator whose start failed crashes Kamailio 5.6.3: check it before")
        )
    _fresh(world, found.message, None if found.stopped else found)
    return found


@model("textopsx")
def bl_iterator_next(world: World, name: str) -> int:
    """Go on to the next line; 1, -1 behind the last one."""
    found = _lines(world, name)
    if found is None or found.ended:
        return -1
    buf = world.msg.buf
    start = len(buf) - len(world.msg.body) if found.at is None else found.end
    if found.stopped or start >= len(buf):
        found.at, found.ended = None, True
        return -1
    newline = buf.find("\n", start)
    found.at, found.end = start, (len(buf) if newline < 0 else newline) + 1
    return 1


@model("textopsx")
def bl_iterator_end(world: World, name: str) -> int:
    """Forget the body; 1, -1 where there is no such iterator. Its name stays taken."""
    found = world.part(Iterators).lines.get(name)
    if found is None:
        world.say(-1, f"textopsx: iterator not available [{name}]")
        return -1
    found.at, found.ended, found.stopped = None, False, True
    return 1


def _line(world: World, name: str) -> tuple[int, int] | None:
    found = _lines(world, name)
    return None if found is None or found.at is None else (found.at, found.end)


@model("textopsx")
def bl_iterator_rm(world: World, name: str) -> int:
    """Take the line out; 1, -1 where the iterator stands on none.

    Also -1 for a last line without its end: to Kamailio it reaches beyond the message.
    """
    line = _line(world, name)
    if line is None or line[1] > len(world.msg.buf):
        return -1
    world.msg.delete(line[0], line[1] - line[0])
    return 1


@model("textopsx")
def bl_iterator_append(world: World, name: str, text: str) -> int:
    """Put text behind the line; 1, -1 where the iterator stands on none, or as bl_iterator_rm."""
    line = _line(world, name)
    if line is None or line[1] > len(world.msg.buf):
        return -1
    world.msg.insert(line[1], text)
    return 1


@model("textopsx")
def bl_iterator_insert(world: World, name: str, text: str) -> int:
    """Put text before the line; 1, -1 where the iterator stands on none."""
    line = _line(world, name)
    if line is None:
        return -1
    world.msg.insert(line[0], text)
    return 1


@model("textopsx")
def bl_iterator_value(world: World, name: str) -> str | None:
    """The line with its end, None where the iterator stands on none."""
    line = _line(world, name)
    if line is None:
        return None
    # Kamailio's buffer ends in a NUL, which the last line takes in if it has no end of its own
    return f"{world.msg.buf}\0"[line[0] : line[1]]


def _provide(name: str, read: Callable[[World, str], str | None]) -> None:
    def get(world: World, inner: str, index: Index) -> str | None:
        """What the iterator stands on."""
        return read(world, inner)

    pv.provide(name, get, inner=str)


_provide("hfitname", hf_iterator_hname)
_provide("hfitbody", hf_iterator_hbody)
_provide("blitval", bl_iterator_value)
