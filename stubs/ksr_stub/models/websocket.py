"""Module websocket: connections are closed (modules/websocket/ws_frame.c)."""

from __future__ import annotations

import attrs

from ksr_stub import sending
from ksr_stub.message import Address, Socket
from ksr_stub.models.xhttp import WebSockets
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import Sent, World

_CLOSE = 0x88
_SHORT, _LONG = 126, 127
_NORMAL = (1000, "Normal closure")


@attrs.define(eq=False)
class Closing:
    """The connections that were told to close, by their number."""

    numbers: set[int] = attrs.Factory(set)


@variable("ws_conid")
def connection_number(world: World, inner: object, index: object) -> Value:
    """The number of the connection that the message came by."""
    return world.msg.connection


@model("websocket")
def close(world: World) -> int:
    """Close the WebSocket that the message came by, with status 1000; -1: it came by none."""
    return close_conid(world, *_NORMAL, world.msg.connection)


@model("websocket")
def close_reason(world: World, status: int, reason: str) -> int:
    """As close, with a status of RFC 6455 (1000 to 4999) and a text of the caller's."""
    return close_conid(world, status, reason, world.msg.connection)


@model("websocket")
def close_conid(world: World, status: int, reason: str, con: int) -> int:
    """Send a close frame on a WebSocket; a second time, the connection is cut.

    Returns:
        1, -1 where no WebSocket has this number.
    """
    found = _found(world, con)
    if found is None:
        world.say(-1, "websocket: failed to retrieve WebSocket connection")
        return -1
    closing = world.part(Closing).numbers
    if con in closing:
        closing.discard(con)
        _forget(world, con)
        return 1
    address, proto, socket = found
    payload = (status & 0xFFFF).to_bytes(2) + reason.encode("latin-1")
    world.sent.append(Sent(_frame(payload), address, proto, socket, con))
    closing.add(con)
    return 1


def _frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        return bytes([_CLOSE, size]) + payload
    if size < 1 << 16:
        return bytes([_CLOSE, _SHORT]) + size.to_bytes(2) + payload
    return bytes([_CLOSE, _LONG]) + size.to_bytes(4) + payload


def _found(world: World, number: int) -> tuple[Address, str, Socket] | None:
    for address, one in world.part(sending.Connections).open.items():
        if one.number == number and one.proto in ("ws", "wss"):
            return address, one.proto, one.socket
    message = world.msg
    if number in world.part(WebSockets).connections and number == message.connection:
        return message.source, message.proto, message.socket
    return None


def _forget(world: World, number: int) -> None:
    world.part(WebSockets).connections.discard(number)
    connections = world.part(sending.Connections).open
    for address, one in list(connections.items()):
        if one.number == number:
            del connections[address]
