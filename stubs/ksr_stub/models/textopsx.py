"""KSR.textopsx: applying edits at once, replies' status, keeping headers (modules/textopsx)."""

from __future__ import annotations

import fnmatch as globbing

from ksr_stub import build, headers, route_set
from ksr_stub import message as messages
from ksr_stub.message import ParseError, SipMessage, Socket, Way
from ksr_stub.models import textops
from ksr_stub.registry import model
from ksr_stub.world import REQUEST, World

_KEPT = {
    "from", "to", "call-id", "cseq", "via", "contact", "content-length", "content-type", "route",
    "record-route", "max-forwards",
}  # fmt: skip
_PARSED = (
    "buf",
    "first_line_end",
    "method",
    "ruri",
    "status",
    "reason",
    "headers",
    "body",
    "broken",
)


@model("textopsx")
def msg_apply_changes(world: World) -> int:
    """Let the message be what it would be sent as, so that reading it shows the edits.

    Returns 1; -1 outside of the request route (replies: anywhere) or after record_route.
    """
    message = world.msg
    if message.is_request and world.route != REQUEST:
        world.say(-1, "textopsx: invalid usage - not in request route or a reply")
        return -1
    if message.is_request and route_set.routed(message).record_routed:
        world.say(-1, "textopsx: cannot apply msg changes after adding record-route header")
        return -1
    if message.is_request:
        way = Way(message.socket, "udp")
        return _update(world, build.build_request(world, message, way, "", local_via=False))
    # it goes to nowhere yet: a Record-Route has no address
    nowhere = Way(Socket("udp", "", 5060), "udp")
    return _update(world, build.build_reply_as_it_is(message, nowhere))


@model("textopsx")
def msg_set_buffer(world: World, text: str) -> int:
    """Take another text as the message. Returns 1, 0 where it can't be parsed, -1 for ''."""
    if not text or (world.msg.is_request and world.route != REQUEST):
        return -1
    return _update(world, text)


def _update(world: World, text: str) -> int:
    message = world.msg
    try:
        fresh = messages.parse(text.encode("latin-1"), message.source, message.socket)
    except ParseError as error:
        world.say(-1, f"core: parsing new sip message failed: {error}")
        return 0
    complete = headers.is_complete(fresh)
    for name in _PARSED:
        setattr(message, name, getattr(fresh, name))
    _forget(message)
    if complete or not fresh.broken:
        return 1
    world.say(-1, f"core: parsing main headers of new sip message failed: {fresh.broken}")
    return 0


def _forget(message: SipMessage) -> None:
    """What belonged to the message as it was; destination, Path and flags stay."""
    message.lumps.clear()
    message.reply_lumps.clear()
    message.reply_body, message.new_uri = None, None
    message.instance = message.ruid = message.location_ua = ""


@model("textopsx")
def change_reply_status_code(world: World, code: int) -> int:
    """Give a reply that is forwarded another status; -1 to or from another class below 300."""
    message = world.msg
    same = code // 100 == message.status // 100
    if not 100 <= code <= 699 or ((code < 300 or message.status < 300) and not same):
        world.say(-1, f"textopsx: wrong status code: {code}")
        return -1
    at = message.buf.index(" ") + 1
    message.buf = f"{message.buf[:at]}{code}{message.buf[at + 3 :]}"
    message.status = code
    return 1


@model("textopsx")
def change_reply_status(world: World, code: int, reason: str) -> int:
    """Give a reply that is forwarded another status and reason; -1 as the code alone."""
    if not reason or change_reply_status_code(world, code) < 0:
        return -1
    message = world.msg
    message.replace(message.buf.index(" ") + 5, len(message.reason), reason)
    return 1


@model("textopsx")
def remove_body(world: World) -> int:
    """Send the message without its body; its Content-Type stays. Returns 1."""
    message = world.msg
    if message.body:
        message.delete(len(message.buf) - len(message.body), len(message.body))
    return 1


@model("textopsx", unreadable=-1)
def keep_hf(world: World) -> int:
    """Send only the header fields that a message must have, and its body's. Returns -1."""
    return keep_hf_re(world, "")


@model("textopsx", unreadable=-1)
def keep_hf_re(world: World, pattern: str) -> int:
    """As keep_hf, with those whose names match. Returns -1, which is no failure."""
    found = textops.compiled(world, pattern) if pattern else None
    if pattern and found is None:
        return -1
    for header in world.msg.headers:
        if header.key in _KEPT or (found and found.search(header.name.rstrip(" \t"))):
            continue
        world.msg.delete(header.start, header.end - header.start)
    return -1


@model("textopsx")
def fnmatch(world: World, text: str, pattern: str) -> int:
    """0 where the text matches a shell pattern, -1 where not: the success is 0."""
    return fnmatch_ex(world, text, pattern, "")


@model("textopsx")
def fnmatch_ex(world: World, text: str, pattern: str, flags: str) -> int:
    """As fnmatch; Debian's 5.6.3 is built without the flag `i`, so case always counts."""
    return 0 if globbing.fnmatchcase(text, pattern) else -1
