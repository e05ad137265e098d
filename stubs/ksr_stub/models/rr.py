"""Module rr: Record-Route and loose routing (RFC 3261 16.4 and 16.12, modules/rr of Kamailio)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ksr_stub import build, nameaddr, route_set, tobody, uri
from ksr_stub.message import Lump, SipMessage, Socket, Way
from ksr_stub.registry import model
from ksr_stub.route_set import PRELOADED, our_params, routed, upstream
from ksr_stub.world import BRANCH, World

TAG = "record-route"
END = "record-route end"
E_CFG = -6


@model("rr")
def record_route(world: World) -> int:
    """Add Record-Route: one, or two with r2=on where it leaves another way than it came."""
    return _record_route(world, "")


@model("rr")
def record_route_params(world: World, params: str) -> int:
    """As record_route, with further URI parameters, semicolon included."""
    return _record_route(world, params)


@model("rr")
def record_route_preset(world: World, first: str, second: str) -> int:
    """Add Record-Route with the given host parts; the second one stands on top."""
    if _twice(world):
        return -1
    if second and not world.param("rr", "enable_double_rr", 1):
        world.say(-1, "rr: Attempt to double record-route while 'enable_double_rr' is disabled")
        return -1
    _preset(world, first)
    if second:
        _preset(world, second)
    routed(world.msg).pending = ""
    routed(world.msg).record_routed = True
    return 1


@model("rr")
def record_route_preset_one(world: World, address: str) -> int:
    """Add one Record-Route with the given host part."""
    if _twice(world):
        return -1
    _preset(world, address)
    routed(world.msg).record_routed = True
    return 1


@model("rr")
def record_route_advertised_address(world: World, address: str) -> int:
    """Add Record-Route with the given host part, two where it leaves by another protocol."""
    if _twice(world) or _has_no_ftag(world):
        return -1
    message, notes = world.msg, routed(world.msg)
    double = world.param("rr", "enable_double_rr", 1)
    ending = f"{_ftag(world, message, turned=True)}{_lr(world)}{notes.pending}"
    head = f"Record-Route: <{_scheme(world, message)}:{_user(world, message)}{address}"

    def shown(sent: SipMessage, way: Way) -> bool:
        return double == 2 or sent.socket.proto != way.socket.proto or sent.proto != way.proto

    def beginning(sent: SipMessage, way: Way, proto: str) -> str:
        mark = f";transport={proto}" if shown(sent, way) else ""
        return head + mark + (_r2(double, sent, way) if mark else "")

    _insert(message, shown, lambda sent, way: beginning(sent, way, way.proto), ending, double)
    _insert(message, None, lambda sent, way: beginning(sent, way, sent.proto), ending, double)
    notes.record_routed = True
    return 1


@model("rr")
def remove_record_route(world: World) -> int:
    """Take back the beginning of what record_route added: Kamailio forgets the end of the line."""
    message = world.msg
    message.lumps[:] = [lump for lump in message.lumps if lump.tag != TAG]
    return 1


@model("rr")
def add_rr_param(world: World, param: str) -> int:
    """Add a parameter (semicolon included) to our Record-Route, before or after it is made."""
    notes = routed(world.msg)
    if any(lump.tag == END for lump in world.msg.lumps):
        notes.added.append(param)
        return 1
    if len(notes.pending) + len(param) > 512:
        world.say(-1, "rr: maximum size of rr_param_buf exceeded")
        return -1
    notes.pending += param
    return 1


@model("rr")
def loose_route(world: World) -> int:
    """Follow the Route headers, and take our own away.

    Returns:
        1 routed by them; -1 none, or a bad one; -3 only our own and no To tag (preloaded).
    """
    return route_set.follow(world, 0)


@model("rr")
def loose_route_mode(world: World, mode: int) -> int:
    """As loose_route; mode 1 never takes the R-URI for one of a strict router."""
    return route_set.follow(world, mode)


@model("rr")
def loose_route_preloaded(world: World) -> int:
    """1 where only our own Route stood in an initial request, else -1."""
    return 1 if route_set.follow(world, 0) == PRELOADED else -1


@model("rr")
def next_hop_route(world: World) -> int:
    """1 where loose_route found a next hop in a Route behind ours, else -1."""
    return 1 if routed(world.msg).next_hop_is_route else -1


@model("rr")
def check_route_param(world: World, pattern: str) -> int:
    """Whether the parameters of our Route match an extended regular expression."""
    try:
        expression = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    except re.error:
        world.say(-1, f"rr: bad re {pattern}")
        return -1
    params = our_params(world, world.msg)
    if not params:
        return -1
    return 1 if expression.search(";" + params) else -1


@model("rr")
def is_direction(world: World, direction: str) -> int:
    """Whether the request goes `upstream` or `downstream`, told by the ftag of our Route."""
    if not world.param("rr", "append_fromtag", 1):
        world.say(-1, "rr: is_direction requires parameter append_fromtag")
        return E_CFG
    wanted = direction.lower()
    if wanted not in ("upstream", "downstream"):
        world.say(-1, f"rr: unknown direction '{direction}' - use 'downstream' or 'upstream'")
        return E_CFG
    return 1 if upstream(world, world.msg) == (wanted == "upstream") else -1


def _record_route(world: World, params: str) -> int:
    if _twice(world) or _has_no_ftag(world):
        return -1
    message, notes = world.msg, routed(world.msg)
    double = world.param("rr", "enable_double_rr", 1)
    head = f"Record-Route: <{_scheme(world, message)}:{_user(world, message)}"
    ending = f"{_lr(world)}{_ftag(world, message, turned=True)}{params}{notes.pending}"
    notes.pending = ""

    def shown(sent: SipMessage, way: Way) -> bool:
        return double == 2 or not build.same_way(sent, way)

    def outbound(sent: SipMessage, way: Way) -> str:
        return head + _outbound(sent, way.socket, way.proto) + _r2(double, sent, way)

    def inbound(sent: SipMessage, way: Way) -> str:
        return head + _inbound(sent.socket, sent.proto) + _r2(double, sent, way)

    _insert(message, shown, outbound, ending, double)
    _insert(message, None, inbound, ending, double)
    if world.route != BRANCH:
        notes.record_routed = True
    return 1


_Made = Callable[[SipMessage, Way], str]
_Shown = Callable[[SipMessage, Way], bool]


def _insert(
    message: SipMessage, shown: _Shown | None, head: _Made, ending: str, double: int
) -> None:
    """Put a Record-Route line on top; the outbound one only where two are wanted and needed."""
    if shown is not None and not double:
        return
    added = routed(message).added

    def begin(sent: SipMessage, way: Way) -> str:
        return head(sent, way) if shown is None or shown(sent, way) else ""

    def end(sent: SipMessage, way: Way) -> str:
        if shown is None or shown(sent, way):
            return f"{ending}{''.join(added)}>\r\n"
        return ""

    start = message.headers[0].start
    message.lumps.append(Lump(start, 0, "", TAG, begin))
    message.lumps.append(Lump(start, 0, "", END, end))


def _r2(double: int, sent: SipMessage, way: Way) -> str:
    two = double == 2 or (double and not build.same_way(sent, way))
    return ";r2=on" if two else ""


def _twice(world: World) -> bool:
    if routed(world.msg).record_routed:
        world.say(-1, "rr: Double attempt to record-route")
        return True
    return False


def _has_no_ftag(world: World) -> bool:
    """Whether From, or To in the other direction, can't be parsed: then there is no ftag."""
    if not world.param("rr", "append_fromtag", 1):
        return False
    name = "to" if upstream(world, world.msg) else "from"
    if tobody.of(world.msg, name) is not None:
        return False
    world.say(-1, f"rr: {name} parsing failed")
    return True


def _inbound(socket: Socket, proto: str) -> str:
    """Host, port and transport of the socket it came to, as Record-Route names it."""
    shown = f":{socket.shown_port}" if socket.shown_port != 5060 else ""
    return f"{socket.shown_host}{shown}{_transport(socket, proto)}"


def _outbound(message: SipMessage, socket: Socket, proto: str) -> str:
    """The same of the socket it leaves by; set_advertised_address counts where that has none."""
    host, port = socket.shown_host, str(socket.shown_port)
    shown = socket.port != 5060 or bool(socket.advertised_port)
    address = message.notes.get("advertised_address")
    if isinstance(address, str) and address and not socket.advertised_host:
        host = address
    changed = message.notes.get("advertised_port")
    if isinstance(changed, str) and changed and not socket.advertised_port:
        port, shown = changed, True
    return f"{host}{':' + port if shown else ''}{_transport(socket, proto)}"


def _transport(socket: Socket, proto: str) -> str:
    if socket.proto == "udp":
        return ""
    return f";transport={'ws' if proto in ('ws', 'wss') else socket.proto}"


def _scheme(world: World, message: SipMessage) -> str:
    parsed = uri.parse(message.uri)
    sips = not world.param("rr", "ignore_sips", 0) and parsed and parsed.scheme == "sips"
    return "sips" if sips else "sip"


def _user(world: World, message: SipMessage) -> str:
    if not world.param("rr", "add_username", 0):
        return ""
    parsed = uri.parse(message.ruri)
    if parsed is not None and not parsed.user and message.new_uri:
        parsed = uri.parse(message.new_uri)
    return f"{parsed.user}@" if parsed is not None and parsed.user else ""


def _lr(world: World) -> str:
    return ";lr=on" if world.param("rr", "enable_full_lr", 0) else ";lr"


def _ftag(world: World, message: SipMessage, *, turned: bool) -> str:
    if not world.param("rr", "append_fromtag", 1):
        return ""
    name = "to" if turned and upstream(world, message) else "from"
    value = nameaddr.of(message, name)
    return f";ftag={value.tag}" if value is not None and value.tag else ""


def _preset(world: World, address: str) -> None:
    message = world.msg
    head = (
        f"Record-Route: <{_scheme(world, message)}:{_user(world, message)}{address}"
        f"{_ftag(world, message, turned=False)}{routed(message).pending}"
    )
    _insert(message, None, lambda *_: head, _lr(world), 1)
