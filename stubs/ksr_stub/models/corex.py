"""Module corex: sockets, extended flags, files, and what it can tell of a message."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from ksr_stub import pv, sending, uri
from ksr_stub.errors import NotModelled
from ksr_stub.message import Address, Socket, Way
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value, no_value
from ksr_stub.pv.variables.network import find_socket
from ksr_stub.registry import model
from ksr_stub.world import World

_PLACE = re.compile(
    r"(?:(udp|tcp|tls|sctp|ws|wss):)?(\[[^\]]*\]|[^:\[\]]+)(?::(\d{1,5}))?", re.IGNORECASE
)
_LSOCK = re.compile(r"([nlai])/([^/]*)/([nlai])[^/]+", re.DOTALL)
_LAST_FLAG = 63


@attrs.define(eq=False)
class Files:
    """What file_write wrote, by name: a test writes nothing to the disk."""

    contents: dict[str, str] = attrs.Factory(dict)


@variable("lsock", inner=str)
def listening_socket(world: World, inner: str, index: object) -> Value:
    """`match/value/field`: of the socket with this name, address or place its name, ...

    `n...` is the name, `l...` the address as in `listen`, `a...` the advertised one, `i...` the
    place. 5.6.3 refuses a field of one letter.
    """
    found = _LSOCK.fullmatch(pv.evaluate(world, inner) or "")
    if found is None:
        raise no_value(world, f"corex: failed to parse lsock expression [{inner}]")
    match, value, field = found.groups()
    for place, one in enumerate(world.sockets):
        shown = _shown(one, place)
        known = shown[match]
        # 5.6.3 takes the first socket, whatever the place that is asked for
        if known is not None and (match == "i" or str(known).lower() == value.lower()):
            return shown[field] or ("" if field != "i" else 0)
    return None


def _shown(socket: Socket, place: int) -> dict[str, str | int | None]:
    advertised = f"{socket.proto}:{socket.shown_host}:{socket.shown_port}"
    return {
        "n": socket.name or None, "l": str(socket), "i": place,
        "a": advertised if socket.advertised_host else None,
    }  # fmt: skip


@model("corex")
def has_ruri_user(world: World) -> int:
    """1: the R-URI of a request has a user part, else -1."""
    message = world.msg
    parsed = uri.parse(message.uri) if message.is_request else None
    return 1 if parsed is not None and parsed.user else -1


@model("corex")
def has_user_agent(world: World) -> int:
    """1: there is a User-Agent that is not empty, else -1."""
    return 1 if world.msg.get("user-agent") else -1


@model("corex")
def is_faked_msg(_world: World) -> int:
    """1 for the OPTIONS that Kamailio makes up where there is no message; never here: -1."""
    return -1


@model("corex")
def setxflag(world: World, flag: int) -> int:
    """Set an extended flag, 0 to 63; 1, -1 for another number."""
    if not 0 <= flag <= _LAST_FLAG:
        return -1
    world.msg.xflags |= 1 << flag
    return 1


@model("corex")
def resetxflag(world: World, flag: int) -> int:
    """Clear an extended flag, 0 to 63; 1, -1 for another number."""
    if not 0 <= flag <= _LAST_FLAG:
        return -1
    world.msg.xflags &= ~(1 << flag)
    return 1


@model("corex")
def isxflagset(world: World, flag: int) -> int:
    """1 where an extended flag is set, else -1."""
    return 1 if 0 <= flag <= _LAST_FLAG and world.msg.xflags >> flag & 1 else -1


def _place(world: World, text: str) -> re.Match[str] | None:
    """The parts of `[proto:]host[:port]`; without a TCP socket there is no such protocol."""
    match = _PLACE.fullmatch(text)
    if match is None or (match[1] or "udp").lower() == "udp":
        return match
    return match if any(one.proto != "udp" for one in world.sockets) else None


def _named(world: World, name: str) -> Socket | None:
    return next((one for one in world.sockets if name and one.name == name), None)


@model("corex")
def is_socket_name(world: World, name: str) -> int:
    """1 where one of our sockets has that name, else -1."""
    return 1 if _named(world, name) is not None else -1


def _use(world: World, found: Socket | None, text: str, *, sends: bool) -> int:
    message = world.msg
    if found is None:
        world.say(0, f"corex: no socket found to match [{text}]")
    elif sends:
        message.send_socket = found
    else:
        message.socket, message.proto = found, found.proto
    return 1


def _choose(world: World, text: str, *, named: bool, sends: bool) -> int:
    if not text:
        world.msg.send_socket = None
        return 1
    if named:
        return _use(world, _named(world, text), text, sends=sends)
    if _place(world, text) is None:
        world.say(-1, f"corex: invalid socket specification [{text}]")
        return -1
    return _use(world, find_socket(world, text), text, sends=sends)


@model("corex")
def set_send_socket(world: World, text: str) -> int:
    """Send from this socket of ours, '' any; 1, also where we have none such; -1 for no socket."""
    return _choose(world, text, named=False, sends=True)


@model("corex")
def set_send_socket_name(world: World, name: str) -> int:
    """As set_send_socket, by the socket's name; 1."""
    return _choose(world, name, named=True, sends=True)


@model("corex")
def set_recv_socket(world: World, text: str) -> int:
    """Let the message have come to this socket of ours; '' resets the one to send from. 1 or -1."""
    return _choose(world, text, named=False, sends=False)


@model("corex")
def set_recv_socket_name(world: World, name: str) -> int:
    """As set_recv_socket, by the socket's name; 1."""
    return _choose(world, name, named=True, sends=False)


@model("corex")
def set_source_address(world: World, text: str) -> int:
    """Let the message have come from `[proto:]host[:port]`; 1, -1 for what can't be resolved."""
    match = _place(world, text)
    host = None if match is None else sending.resolve(world, match[2])
    six = host is not None and ":" in host
    if match is None or host is None or all((":" in s.host) != six for s in world.sockets):
        world.say(-1, f"corex: failed to parse or resolve the address [{text}]")
        return -1
    # of `udp:10.0.0.1` 5.6.3 takes the 10 for the port
    port = match[3] or (re.match("[0-9]*", match[2])[0] if match[1] else "")  # type: ignore[index]
    world.msg.source = Address(host, int(port or 0))
    return 1


@model("corex")
def via_add_srvid(world: World, value: int) -> int:
    """Whether our Via has `srvid`, where the core parameter server_id is set; 1."""
    world.msg.notes["srvid"] = bool(value)
    return 1


def _through_xavp(world: World, value: int, param: str) -> int:
    if value and world.param("core", param, ""):
        raise world.fault(NotModelled(f"core parameter {param} has no model in the stub"))
    return 1


@model("corex")
def via_add_xavp_params(world: World, value: int) -> int:
    """Whether our Via has the parameters in the core parameter xavp_via_params; 1."""
    return _through_xavp(world, value, "xavp_via_params")


@model("corex")
def via_use_xavp_fields(world: World, value: int) -> int:
    """Whether our Via takes its host from the core parameter xavp_via_fields; 1."""
    return _through_xavp(world, value, "xavp_via_fields")


@model("corex")
def send_data(world: World, target: str, data: str) -> int:
    """Send text to where a URI points; 1, -1 where it can't be resolved or sent."""
    return sendx(world, target, "", data)


@model("corex")
def sendx(world: World, target: str, socket: str, data: str) -> int:
    """As send_data, from a socket of ours; another one than ours does not count."""
    found = sending.destination(world, target)
    if found is None or (socket and _place(world, socket) is None):
        world.say(-1, f"corex: bad dst sip uri or socket <{target}>")
        return -1
    to, proto = found
    chosen = find_socket(world, socket) if socket else None
    chosen = chosen or sending.send_socket(world, None, to, proto)
    if chosen is None:
        world.say(-1, f"corex: no socket for dst sip uri <{target}>")
        return -1
    return 1 if sending.send(world, data, to, Way(chosen, proto)) else -1


@model("corex")
def file_read(world: World, name: str) -> str:
    """The content of a file, '' where it can't be read: what file_write wrote, else the disk's."""
    written = world.part(Files).contents.get(name)
    if written is not None:
        return written
    try:
        return Path(name).read_bytes().decode("latin-1")
    except OSError:
        world.say(-1, f"corex: cannot open file: {name}")
        return ""


@model("corex")
def file_write(world: World, name: str, text: str) -> int:
    """Write a file, in the World only; 1, -1 where its directory does not exist."""
    if not name or not Path(name).parent.is_dir() or Path(name).is_dir():
        world.say(-1, f"corex: cannot open file: {name}")
        return -1
    world.part(Files).contents[name] = text
    return 1
