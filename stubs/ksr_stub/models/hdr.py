"""KSR.hdr: reading and editing header fields (core/kemi.c)."""

from __future__ import annotations

import re

from ksr_stub.message import Header, SipMessage, header_key
from ksr_stub.registry import model
from ksr_stub.world import World

NAME = re.compile(r"[A-Za-z0-9\-._+~]+")
_NAME_AND_MORE = re.compile(NAME.pattern + r"[ \t]*(:.*)?", re.DOTALL)
_MAX_NAME = 124
_NAMES = """
    accept accept-contact accept-language allow allow-events authorization call-id call-info
    contact content-disposition content-encoding content-length content-type cseq date diversion
    event expires from identity identity-info max-forwards min-expires min-se organization path
    priority privacy proxy-authenticate proxy-authorization proxy-require p-preferred-identity
    p-asserted-identity reason record-route refer-to referred-by reject-contact remote-party-id
    request-disposition require retry-after route server session-expires sip-if-match subject
    subscription-state supported to unsupported user-agent via www-authenticate
"""
KNOWN = frozenset(_NAMES.split())


def valid_name(world: World, name: str) -> bool:
    """Whether a header may be called so; else it says why not in the log."""
    if len(name) > _MAX_NAME:
        world.say(-1, f"core: header name too long: {len(name)}")
        return False
    if _NAME_AND_MORE.fullmatch(name) is None:
        world.say(-1, f"core: error parsing header name [{name}]")
        return False
    return True


def named(message: SipMessage, name: str) -> list[Header]:
    """The header fields of a name, of its compact form too; what follows a colon does not count
    for names that Kamailio knows, for others no header is called so."""
    key = header_key(name.partition(":")[0])
    if key not in KNOWN and key != name.lower():
        return []
    return list(message.all(key))


@model("hdr", unreadable=-1)
def append(world: World, text: str) -> int:
    """Put text behind the last header field, whatever it is. Returns 1."""
    world.msg.insert(world.msg.headers_end, text)
    return 1


@model("hdr", unreadable=-1)
def insert(world: World, text: str) -> int:
    """Put text before the first header field. Returns 1."""
    world.msg.insert(world.msg.first_line_end, text)
    return 1


@model("hdr", unreadable=-1)
def append_after(world: World, text: str, name: str) -> int:
    """Put text behind the first header field of a name, without one behind the last of all.

    Returns 1, -1 for what is no header name.
    """
    if not valid_name(world, name):
        return -1
    found = named(world.msg, name.partition(":")[0].rstrip(" \t"))
    world.msg.insert(found[0].end if found else world.msg.headers_end, text)
    return 1


@model("hdr", unreadable=-1)
def insert_before(world: World, text: str, name: str) -> int:
    """Put text before the first header field of a name, without one before the first of all.

    Returns 1, -1 for what is no header name.
    """
    if not valid_name(world, name):
        return -1
    found = named(world.msg, name.partition(":")[0].rstrip(" \t"))
    world.msg.insert(found[0].start if found else world.msg.first_line_end, text)
    return 1


@model("hdr", unreadable=-1)
def remove(world: World, name: str) -> int:
    """Take out every header field of a name.

    Returns 1, also where there is none; -1 for what is no header name.
    """
    if not valid_name(world, name):
        return -1
    for header in named(world.msg, name):
        world.msg.delete(header.start, header.end - header.start)
    return 1


@model("hdr")
def rmappend(world: World, name: str, text: str) -> int:
    """Take out every header field of a name, and put text behind the last one of all."""
    return append(world, text) if remove(world, name) > 0 else -1


@model("hdr")
def rminsert(world: World, name: str, text: str) -> int:
    """Take out every header field of a name, and put text before the first one of all."""
    return insert(world, text) if remove(world, name) > 0 else -1


@model("hdr", unreadable=-1)
def is_present(world: World, name: str) -> int:
    """1 where there is a header field of the name, -1 where not."""
    return 1 if valid_name(world, name) and named(world.msg, name) else -1


@model("hdr")
def append_to_reply(world: World, text: str) -> int:
    """Put text into every reply that we make to this request. Returns 1."""
    world.msg.reply_lumps.append(text)
    return 1


def _body(world: World, name: str, index: int, default: str | None) -> str | None:
    start = NAME.match(name)
    if start is None:
        world.say(-1, f"core: error parsing header name [{name}]")
        return default
    key = header_key(start[0])
    found = [one for one in world.msg.headers if one.key == key]
    if key not in KNOWN and start[0] != name.rstrip(" \t\r\n"):
        found = []
    return found[index].body if -len(found) <= index < len(found) else default


@model("hdr", unreadable=None)
def get(world: World, name: str) -> str | None:
    """The body of the first header field of a name, None without one."""
    return _body(world, name, 0, None)


@model("hdr", unreadable="")
def gete(world: World, name: str) -> str | None:
    """The body of the first header field of a name, '' without one."""
    return _body(world, name, 0, "")


@model("hdr", unreadable="<null>")
def getw(world: World, name: str) -> str | None:
    """The body of the first header field of a name, `<null>` without one."""
    return _body(world, name, 0, "<null>")


@model("hdr", unreadable=None)
def get_idx(world: World, name: str, index: int) -> str | None:
    """The body of a header field by its place, -1 the last; None without one."""
    return _body(world, name, index, None)


@model("hdr", unreadable="")
def gete_idx(world: World, name: str, index: int) -> str | None:
    """The body of a header field by its place, -1 the last; '' without one."""
    return _body(world, name, index, "")


@model("hdr", unreadable="<null>")
def getw_idx(world: World, name: str, index: int) -> str | None:
    """The body of a header field by its place, -1 the last; `<null>` without one."""
    return _body(world, name, index, "<null>")


def _matches(body: str, operator: str, value: str) -> bool:
    if operator == "sw":
        return body.startswith(value)
    return value in body if operator == "in" else body == value


@model("hdr", unreadable=False)
def match_content(world: World, name: str, operator: str, value: str, which: str) -> bool:
    """Compare header bodies without case.

    Args:
        world: its message is looked at.
        name: the header.
        operator: `eq`, `ne` (a quirk of 5.6: true only if the lengths differ), `sw` or `in`.
        value: what to compare with.
        which: `f`irst, `l`ast, `a`ll or `o`ne of them.
    """
    operator, which = operator.lower(), which[:1].lower()
    if NAME.match(name) is None or operator not in ("eq", "ne", "sw", "in"):
        world.say(-1, f"core: invalid header name or operator: {name} {operator}")
        return False
    if which not in ("f", "l", "a", "o") or not which:
        world.say(-1, f"core: invalid header index: {which}")
        return False
    found = []
    for header in named(world.msg, name):
        body = header.body.strip(" \t\r\n").lower()
        differs = len(body) != len(value)
        found.append(differs if operator == "ne" else _matches(body, operator, value.lower()))
    if not found:
        return False
    chosen = {"f": found[:1], "l": found[-1:]}.get(which, found)
    return any(chosen) if which == "o" else all(chosen)
