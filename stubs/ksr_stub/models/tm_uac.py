"""Module tm: a request of the route's own (modules/tm/rpc_uac.c and uac.c of Kamailio)."""

from __future__ import annotations

import hashlib

import attrs

from ksr_stub import build, nameaddr, sending, uri
from ksr_stub import message as messages
from ksr_stub.errors import NotModelled
from ksr_stub.message import Address, ParseError, SipMessage, Socket, Way
from ksr_stub.pv.variables.network import find_socket
from ksr_stub.registry import model
from ksr_stub.tm import cell, reply
from ksr_stub.tm.cell import Buffer, Client, Transaction
from ksr_stub.world import World

_MADE = ("from", "to", "call-id", "cseq")


@model("tm")
def t_uac_send(
    world: World, method: str, ruri: str, hop: str, socket: str, headers: str, body: str
) -> int:
    """Send a request; its replies end here.

    Args:
        world: the server.
        method: of the request.
        ruri: the R-URI.
        hop: the URI to send it to, '.' or '': the R-URI.
        socket: the one to send from, '.' or '': the one that suits the destination.
        headers: header fields, each with its line end. From and To are a must; `!!` stands for
            the address of the socket.
        body: the body; it needs a Content-Type.
    Returns:
        1, -1 where something is missing or wrong.
    """
    hop, name = ("" if text == "." else text for text in (hop, socket))
    forced = find_socket(world, name) if name else None
    if not method or uri.parse(ruri) is None or (hop and uri.parse(hop) is None):
        world.say(-1, "tm: empty method or invalid URI")
        return -1
    if name and forced is None:
        world.say(-1, f'tm: No local socket for "{name}"')
        return -1
    given = _parsed(headers)
    if given is None or not _complete(given, method, body):
        world.say(-1, "tm: invalid headers")
        return -1
    if method == "INVITE":
        raise world.fault(NotModelled("the stub has no model of an INVITE by t_uac_send"))
    found = sending.destination(world, hop or ruri)
    way = None if found is None else _way(world, found[0], found[1], forced)
    if found is None or way is None:
        world.say(-1, "tm: UAC error")
        return -1
    return _send(world, _Made(method, ruri, given, body, found[0], way))


@attrs.frozen
class _Made:
    """What the request is made of."""

    method: str
    ruri: str
    given: SipMessage
    body: str
    to: Address
    way: Way


def _parsed(headers: str) -> SipMessage | None:
    text = f"OPTIONS sip:a SIP/2.0\r\n{headers}"
    try:
        return messages.parse(text.encode("latin-1"))
    except ParseError:
        return None


def _complete(given: SipMessage, method: str, body: str) -> bool:
    if body and (given.first("content-type") is None or given.first("content-length") is not None):
        return False
    if given.first("to") is None or nameaddr.of(given, "from") is None:
        return False
    cseq = given.get("cseq").split()
    return not cseq or (cseq[0].isdigit() and cseq[1:] == [method])


def _way(world: World, to: Address, proto: str, forced: Socket | None) -> Way | None:
    socket = sending.send_socket(world, None, to, proto, forced)
    return None if socket is None else Way(socket, proto)


def _send(world: World, made: _Made) -> int:
    table = cell.table(world)
    table.count += 1
    label = hashlib.md5(f"{table.count}{made.ruri}".encode("latin-1")).hexdigest()  # noqa: S324
    transaction = Transaction(made.given, table.count & 0xFFFF, label, local=True, generated=True)
    cell.take_settings(world, transaction, cell.Pending())
    text = _text(world, made, transaction)
    transaction.request = messages.parse(text.encode("latin-1"))
    client = Client(0, Buffer(text, made.to, made.way), made.ruri)
    transaction.clients.append(client)
    table.add(transaction)
    if not cell.transmit(world, client.request):
        table.remove(transaction)
        return -1
    cell.start(
        world, transaction, client.request, lambda: reply.timeout(world, transaction, client)
    )
    return 1


def _text(world: World, made: _Made, transaction: Transaction) -> str:
    call_id = made.given.get("call-id") or f"{transaction.label[:16]}-1@{made.way.socket.host}"
    cseq = made.given.get("cseq").split()
    lines = [
        f"{made.method} {made.ruri} SIP/2.0\r\n",
        build.via_header(world, None, made.way, transaction.branch(0)),
        _name_addr(made.given, "to", ""),
        _name_addr(made.given, "from", _tag(call_id, made.ruri)),
        f"CSeq: {int(cseq[0]) if cseq else 10} {made.method}\r\n",
        f"Call-ID: {call_id}\r\n",
    ]
    extra = _extra(made.given, made.way.socket)
    if "Max-Forwards:" not in extra:
        lines.append("Max-Forwards: 70\r\n")
    lines.append(f"Content-Length: {len(made.body)}\r\n")
    if world.param("core", "server_signature", 1):
        lines.append(world.param("core", "user_agent_header", build.USER_AGENT) + "\r\n")
    return "".join([*lines, extra, "\r\n", made.body])


def _name_addr(given: SipMessage, key: str, tag: str) -> str:
    """From and To again: their URI and tag are all that is taken."""
    value = nameaddr.of(given, key)
    assert value is not None  # noqa: S101
    tag = value.tag or tag
    return f"{key.capitalize()}: <{value.uri}>" + (f";tag={tag}" if tag else "") + "\r\n"


def _tag(call_id: str, ruri: str) -> str:
    seen = hashlib.md5(f"{call_id}{ruri}".encode("latin-1")).hexdigest()  # noqa: S324
    return f"{hashlib.md5(b'kamailio').hexdigest()}-{seen[:8]}"  # noqa: S324


def _extra(given: SipMessage, socket: Socket) -> str:
    kept = [given.buf[one.start : one.end] for one in given.headers if one.key not in _MADE]
    return "".join(kept).replace("!!", f"{socket.shown_host}:{socket.shown_port}")
