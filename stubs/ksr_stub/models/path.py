"""path: our own URI as Path of a REGISTER that goes on to a registrar (RFC 3327)."""

from __future__ import annotations

from ksr_stub import addresses
from ksr_stub.message import Lump, SipMessage, Socket, Way
from ksr_stub.registry import model
from ksr_stub.world import World


@model("path")
def add_path(world: World) -> int:
    """Put a Path header before those that are there."""
    return _add(world, "", "", received=False)


@model("path")
def add_path_user(world: World, user: str) -> int:
    """The same, with a user part."""
    return _add(world, user, "", received=False)


@model("path")
def add_path_user_params(world: World, user: str, params: str) -> int:
    """The same, with a user part and parameters."""
    return _add(world, user, params, received=False)


@model("path")
def add_path_received(world: World) -> int:
    """The same, with the source address as parameter `received`."""
    return _add(world, "", "", received=True)


@model("path")
def add_path_received_user(world: World, user: str) -> int:
    """The same, with a user part."""
    return _add(world, user, "", received=True)


@model("path")
def add_path_received_user_params(world: World, user: str, params: str) -> int:
    """The same, with a user part and parameters."""
    return _add(world, user, params, received=True)


def _add(world: World, user: str, params: str, *, received: bool) -> int:
    message = world.msg
    there = message.first("path")
    offset = message.headers_end if there is None else there.start
    suffix = ";lr" + (_received(world, message) if received else "")
    suffix += f";{params}" if params else ""
    start = f"Path: <sip:{user}@" if user else "Path: <sip:"
    double = world.param("path", "enable_r2", 0)
    suffix += ";r2=on>\r\n" if double else ">\r\n"

    def made(routed: SipMessage, way: Way) -> str:
        text = start + _place(way.socket, way.proto) + suffix
        return text + (start + _place(routed.socket, routed.proto) + suffix if double else "")

    message.lumps.append(Lump(offset, 0, "", made=made))
    return 1


def _place(socket: Socket, proto: str) -> str:
    port = "" if socket.shown_port == 5060 and proto == "udp" else f":{socket.shown_port}"
    transport = "" if proto == "udp" else f";transport={proto}"
    return f"{socket.shown_host}{port}{transport}"


def _received(world: World, message: SipMessage) -> str:
    name = world.param("path", "received_name", "received")
    host = addresses.in_uri(message.source.host)
    if world.param("path", "received_format", 0):
        number = addresses.proto_number(message.proto)
        return f";{name}={host}~{message.source.port}~{number}"
    proto = "" if message.proto == "udp" else f"%3Btransport%3D{message.proto}"
    return f";{name}=sip:{host}:{message.source.port}{proto}"
