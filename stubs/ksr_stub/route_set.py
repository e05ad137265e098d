"""The Route headers of a request: whose they are, and where they lead (modules/rr/loose.c)."""

from __future__ import annotations

import attrs

from ksr_stub import nameaddr, uri
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.nameaddr import NameAddr
from ksr_stub.uri import Uri
from ksr_stub.world import World

PRELOADED = -3
_NOTE = "rr"


@attrs.define(eq=False)
class Routed:
    """What rr remembers of a message."""

    pending: str = ""
    added: list[str] = attrs.Factory(list)
    record_routed: bool = False
    params: str | None = None
    next_hop_is_route: bool = False
    upstream: bool | None = None


def routed(message: SipMessage) -> Routed:
    """The notes of rr about a message."""
    found = message.notes.get(_NOTE)
    if not isinstance(found, Routed):
        found = Routed()
        message.notes[_NOTE] = found
    return found


def upstream(world: World, message: SipMessage) -> bool:
    """Whether a request comes from the callee's side."""
    notes = routed(message)
    if notes.upstream is None:
        ftag = _param(our_params(world, message) or "", "ftag")
        sender = nameaddr.of(message, "from")
        tag = "" if sender is None else sender.tag
        notes.upstream = bool(ftag and tag and ftag != tag)
    return notes.upstream


def route_param(world: World, message: SipMessage, name: str) -> str | None:
    """The value of a parameter of our Route, None where it is not there."""
    return _param(our_params(world, message) or "", name)


def _param(params: str, name: str) -> str | None:
    for item in params.split(";"):
        key, _, value = item.partition("=")
        if key.strip() == name:
            return value.strip()
    return None


@attrs.frozen
class Hop:
    """One Route value: the header field it stands in, and its number there."""

    header: Header
    value: NameAddr
    number: int
    last: bool


def hops_of(message: SipMessage) -> list[Hop]:
    """Every Route value.

    Raises:
        ParseError: one is none, or has no brackets.
    """
    found = []
    for header in message.all("route"):
        values = nameaddr.in_header(message, header)
        if not all(value.bracketed for value in values):
            raise ParseError("a Route without brackets")
        last = len(values) - 1
        found += [Hop(header, value, i, i == last) for i, value in enumerate(values)]
    return found


def _is_ours(world: World, parsed: Uri) -> bool:
    if not parsed.host or parsed.has_param("gr"):
        return False
    return world.is_myself(parsed.host, parsed.port_number or 5060)


def our_params(world: World, message: SipMessage) -> str | None:
    """The parameters of our own Route, None without one."""
    notes = routed(message)
    if notes.params:
        return notes.params
    try:
        hops = hops_of(message)
    except ParseError:
        return None
    parsed = uri.parse(hops[0].value.uri) if hops else None
    if parsed is None or not _is_ours(world, parsed):
        return None
    return parsed.params


def follow(world: World, mode: int) -> int:
    """Follow the Routes of the request: loose_route_mode of rr.

    Returns:
        1 routed by them; -1 none, or a bad one; PRELOADED only ours and no To tag.
    """
    message = world.msg
    try:
        hops = hops_of(message)
    except ParseError as error:
        world.say(-1, f"rr: failed to parse Route HF: {error}")
        return -1
    target = uri.parse(message.uri)
    if not hops or target is None:
        return -1
    to = nameaddr.of(message, "to")
    if to is None:
        return -1
    if not to.tag:
        return _after_loose(world, message, hops, preloaded=True)
    if mode == 0 and _is_ours(world, target):
        return _after_strict(world, message, hops, target)
    return _after_loose(world, message, hops, preloaded=False)


def _after_loose(world: World, message: SipMessage, hops: list[Hop], *, preloaded: bool) -> int:
    notes = routed(message)
    notes.params = None
    parsed = uri.parse(hops[0].value.uri)
    if parsed is None:
        return -1
    place = 0
    if _is_ours(world, parsed):
        notes.params = parsed.params
        double = bool(world.param("rr", "enable_double_rr", 1)) and _is_double(parsed)
        if not double and world.param("rr", "force_send_socket", 0):
            _force_socket(world, message, parsed)
        place = 1
        _drop_finished(message, hops, 0)
        if place < len(hops) and double:
            second = uri.parse(hops[place].value.uri)
            if second is None:
                return -1
            _force_socket(world, message, second)
            _drop_finished(message, hops, place)
            place += 1
        if place >= len(hops):
            return PRELOADED if preloaded else 1
        parsed = uri.parse(hops[place].value.uri)
        if parsed is None:
            return -1
        notes.next_hop_is_route = True
    if not parsed.has_param("lr"):
        _save_uri(message)
    _go_to(message, hops[place], parsed)
    return 1


def _go_to(message: SipMessage, hop: Hop, parsed: Uri) -> bool:
    """Make a hop the next one; False for a strict router, whose URI becomes the R-URI."""
    if not parsed.has_param("lr"):
        message.new_uri = _maddr(hop.value.uri, parsed)
        _remove_through(message, hop)
        return False
    message.dst_uri = _maddr(hop.value.uri, parsed)
    if hop.number > 0:
        begin = hop.header.body_start
        message.delete(begin, hop.value.start - begin)
    return True


def _after_strict(world: World, message: SipMessage, hops: list[Hop], target: Uri) -> int:
    """A strict router put our URI into the R-URI: the real one is the last Route."""
    notes = routed(message)
    notes.params = None
    place = 0
    parsed = uri.parse(hops[0].value.uri)
    if parsed is None:
        return -1
    if world.param("rr", "enable_double_rr", 1) and _is_double(parsed) and _is_ours(world, parsed):
        _force_socket(world, message, parsed)
        _drop_finished(message, hops, 0)
        place = 1
        if place >= len(hops):
            return -1
        parsed = uri.parse(hops[place].value.uri)
        if parsed is None:
            return -1
    notes.params = target.params
    if not _go_to(message, hops[place], parsed):
        return 1
    last = hops[-1]
    message.new_uri = last.value.uri
    if last.number == 0:
        message.delete(last.header.start, last.header.end - last.header.start)
    else:
        former = hops[-2]
        message.delete(former.value.end, last.value.end - former.value.end)
    return 1


def _is_double(parsed: Uri) -> bool:
    return (parsed.param("r2") or "").lower() == "on"


def _drop_finished(message: SipMessage, hops: list[Hop], place: int) -> None:
    """A header field whose last value is used goes whole; one with more keeps them for later."""
    hop = hops[place]
    if hop.last:
        message.delete(hop.header.start, hop.header.end - hop.header.start)


def _remove_through(message: SipMessage, hop: Hop) -> None:
    if hop.last:
        message.delete(hop.header.start, hop.header.end - hop.header.start)
        return
    values = nameaddr.in_header(message, hop.header)
    begin = hop.header.body_start
    message.delete(begin, values[hop.number + 1].start - begin)


def _save_uri(message: SipMessage) -> None:
    message.insert(message.headers_end, f"Route: <{message.ruri}>\r\n")


def _maddr(text: str, parsed: Uri) -> str:
    maddr = parsed.param("maddr")
    if maddr is None:
        return text
    return f"sip:{maddr}{':' + parsed.port if parsed.port else ''}"


def _force_socket(world: World, message: SipMessage, parsed: Uri) -> None:
    host = parsed.host.lower().strip("[]")
    port = parsed.effective_port
    for socket in world.sockets:
        names = (socket.host.lower(), socket.advertised_host.lower().strip("[]"))
        ports = (socket.port, socket.advertised_port)
        carrier = {"ws": "tcp", "wss": "tls"}.get(parsed.proto, parsed.proto)
        if host in names and port in ports and carrier == socket.proto:
            message.send_socket = socket
            return
