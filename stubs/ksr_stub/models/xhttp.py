"""Modules xhttp and websocket: HTTP requests on a SIP port, and the handshake of a WebSocket."""

from __future__ import annotations

import base64
import hashlib
import re

import attrs

from ksr_stub import script, server
from ksr_stub.message import Address, SipMessage, Socket, parse
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import EVENT, Sent, World

_FIRST_LINE = re.compile(rb"([^ \r\n]+) ([^ \r\n]+) HTTP/1\.[01]\r?\n")
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = 13
_REQUIRED = ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version")
_SIGNATURE = "kamailio (5.6.3 (x86_64/linux))"


@attrs.define(eq=False)
class WebSockets:
    """The connections that became WebSockets."""

    connections: set[int] = attrs.Factory(set)


def receive(
    world: World, data: bytes, source: Address, proto: str, socket: Socket, connection: int
) -> bool:
    """Run the xhttp callback for an HTTP request.

    Returns:
        False for all that is no HTTP request over TCP or TLS.
    """
    first = _FIRST_LINE.match(data)
    callback = world.param("xhttp", "event_callback", "")
    if first is None or proto not in ("tcp", "tls") or not callback:
        return False
    host = f"[{source.host}]" if ":" in source.host else source.host
    via = f"Via: SIP/2.0/{proto.upper()} {host}:{source.port}\r\n".encode()
    # the parser of the stub wants SIP; what a route reads of a first line is not its version
    line = first[0].replace(b"HTTP/1.1", b"SIP/2.0").replace(b"HTTP/1.0", b"SIP/2.0")
    message = parse(line + via + data[first.end() :], source, socket)
    message.proto, message.connection, message.id = proto, connection, world.next_message_id()
    message.notes["http"] = first[2].decode("latin-1")
    saved = world.message, world.route
    world.message, world.route = message, EVENT
    try:
        if world.script is not None:
            script.run(world, callback, "xhttp:request")
    finally:
        world.message, world.route = saved
    return True


server.NON_SIP.append(receive)


@variable("hu")
def http_uri(world: World, inner: object, index: object) -> Value:
    return get_hu(world)


@model("xhttp")
def get_hu(world: World) -> str:
    """The second word of the first line: the URI of a request, the status of a reply."""
    message = world.msg
    return str(message.notes.get("http", message.ruri if message.is_request else message.status))


@model("xhttp")
def xhttp_reply(world: World, code: int, reason: str, ctype: str, body: str) -> int:
    """Answer an HTTP request; success is 0."""
    headers = [f"Content-Type: {ctype}"] if ctype else []
    _answer(world, code, reason, headers, body)
    return 0


@model("websocket")
def handle_handshake(world: World) -> int:
    """Answer the handshake of a WebSocket (RFC 6455): 1, or 0 where it was refused."""
    request = world.msg
    if request.proto not in ("tcp", "tls"):
        return 0
    if request.get("sec-websocket-version") not in ("", str(_VERSION)):
        _answer(world, 426, "Upgrade Required", [f"Sec-WebSocket-Version: {_VERSION}"])
        return 0
    once = ("sec-websocket-key", "sec-websocket-version", "origin")
    if any(len(list(request.all(name))) > 1 for name in once):
        _answer(world, 400, "Bad Request", [])
        return 0
    if not _is_complete(request):
        _answer(
            world,
            400,
            "Bad Request",
            ["Sec-WebSocket-Protocol: sip", f"Sec-WebSocket-Version: {_VERSION}"],
        )
        return 0
    _answer(world, 101, "Switching Protocols", _accepted(world, request))
    world.part(WebSockets).connections.add(request.connection)
    return 1


def _is_complete(request: SipMessage) -> bool:
    return (
        all(request.first(name) is not None for name in _REQUIRED)
        and "upgrade" in request.get("connection").lower()
        and "websocket" in request.get("upgrade").lower()
        and any("sip" in one.body.lower() for one in request.all("sec-websocket-protocol"))
    )


def _accepted(world: World, request: SipMessage) -> list[str]:
    key = request.get("sec-websocket-key") + _GUID
    digest = hashlib.sha1(key.encode("latin-1")).digest()  # noqa: S324 - RFC 6455
    cors, origin = world.param("websocket", "cors_mode", 0), request.get("origin")
    headers = ["Access-Control-Allow-Origin: *"] if cors == 1 else []
    headers += [f"Access-Control-Allow-Origin: {origin}"] if cors == 2 and origin else []
    return [
        *headers,
        "Sec-WebSocket-Protocol: sip",
        "Upgrade: websocket",
        "Connection: upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
    ]


def _answer(world: World, code: int, reason: str, headers: list[str], body: str = "") -> None:
    request = world.msg
    signature = world.param("core", "server_signature", 1)
    lines = [
        f"HTTP/1.1 {code} {reason}",
        f"Sia: {request.get('via')}",
        *headers,
        *([f"Server: {_SIGNATURE}"] if signature else []),
        f"Content-Length: {len(body)}",
    ]
    text = "\r\n".join([*lines, "", ""]) + body
    world.sent.append(
        Sent(
            text.encode("latin-1"), request.source, request.proto, request.socket,
            request.connection,
        )
    )  # fmt: skip
