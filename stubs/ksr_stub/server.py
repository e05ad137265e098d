"""What the server does with a message that comes: core/receive.c of Kamailio."""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub import branches, build, headers, message, script, sending, via
from ksr_stub.message import Address, ParseError, SipMessage, Socket, Way
from ksr_stub.registry import load_models
from ksr_stub.world import REPLY, REQUEST, Sent, World

# Modules that look at requests before the route, and at replies before they are forwarded. Each
# answers whether the message goes on; tm and sl put theirs here. And after a route has dropped one.
BEFORE_REQUEST: list[Callable[[World, SipMessage], bool]] = []
BEFORE_REPLY: list[Callable[[World, SipMessage], bool]] = []
AFTER_REQUEST: list[Callable[[World, SipMessage], None]] = []
AFTER_DROP: list[Callable[[World, SipMessage], None]] = []
# Modules that take what is no SIP: data, source, protocol, socket, connection.
NON_SIP: list[Callable[[World, bytes, Address, str, Socket, int], bool]] = []


_PHONE = Address("203.0.113.7", 5060)


def receive(
    world: World,
    data: bytes,
    source: Address = _PHONE,
    proto: str = "udp",
    socket: Socket | None = None,
    connection: int = 0,
) -> list[Sent]:
    """Let a message come in, and return what was sent because of it.

    Args:
        world: the server.
        data: the message's bytes.
        source: where it comes from.
        proto: `udp`, `tcp`, `tls`, `ws` or `wss`.
        socket: where it comes to; None: the first socket of that protocol and address family.
        connection: the number of its TCP connection.
    """
    load_models()
    before = len(world.sent)
    here = socket or _socket(world, proto, source)
    if any(take(world, data, source, proto, here, connection) for take in NON_SIP):
        return world.sent[before:]
    try:
        received = message.parse(data, source, here)
        received.proto, received.connection = proto, connection
        received.id = world.next_message_id()
        _remember(world, received)
        headers.check(received)
    except ParseError as error:
        world.say(-1, f"core: parsing of SIP message failed: {error}")
        return []
    handle(world, received)
    return world.sent[before:]


def handle(world: World, received: SipMessage) -> None:
    """Route a message that was parsed."""
    saved = world.message, world.route, world.drop
    entries = branches.swap(world, [])
    world.message, world.drop = received, False
    try:
        if received.is_request:
            _request(world, received)
        else:
            _reply(world, received)
    finally:
        world.message, world.route, world.drop = saved
        branches.swap(world, entries)


def forward_reply(world: World, reply: SipMessage) -> bool:
    """Send a reply to the second Via, without transaction."""
    values = via.all_of(reply)
    if len(values) < 2:
        return False
    proto = values[1].proto.lower()
    to = sending.via_address(world, values[1])
    if to is None:
        return False
    socket = sending.send_socket(world, reply, to, proto, reply.send_socket)
    if socket is None:
        world.say(-1, "core: cannot forward reply")
        return False
    way = Way(socket, proto)
    text = build.build_forwarded_reply(reply, proto)
    if not sending.onsend(world, reply, text, to, way):
        return False
    marked = values[0].get("i") or ""
    connection = int(marked[::-1], 16) if marked and proto != "udp" else 0
    return sending.send(world, text, to, way, connection)


def _socket(world: World, proto: str, source: Address) -> Socket:
    found = sending.send_socket(world, None, source, proto)
    if found is None:
        raise ValueError(f"the server has no {proto} socket for {source.host}: set world.sockets")
    return found


def _remember(world: World, received: SipMessage) -> None:
    """Requests to the client go by the connection that it opened."""
    if received.proto == "udp":
        return
    open_one = sending.Connection(received.connection, received.proto, received.socket)
    world.part(sending.Connections).open[received.source] = open_one


def _request(world: World, request: SipMessage) -> None:
    world.route = REQUEST
    if not all(check(world, request) for check in BEFORE_REQUEST):
        return
    if world.script is not None:
        script.run(world, "ksr_request_route")
    for done in AFTER_REQUEST:
        done(world, request)


def _reply(world: World, reply: SipMessage) -> None:
    world.route = REPLY
    name = world.param("core", "kemi.reply_route_callback", "ksr_reply_route")
    if name and name.lower() != "none" and world.script is not None:
        script.run(world, name)
        if world.drop:
            for done in AFTER_DROP:
                done(world, reply)
            return
    if all(check(world, reply) for check in BEFORE_REPLY):
        forward_reply(world, reply)
