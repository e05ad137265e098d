"""Where the message came from and on which socket: `$si`, `$Ri`, `$proto`, ... and `$fs`,
`$sndto(x)`, `$via0(x)` (modules/pv/pv_core.c, pv_branch.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ksr_stub import nameaddr, via
from ksr_stub.message import Address, ParseError, Socket, Way
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Numbered, Value, parse_int, text_of
from ksr_stub.transport import AF_INET, AF_INET6, bracketed, number, uri_name
from ksr_stub.via import Via
from ksr_stub.world import World


@variable("si", "src_ip")
def source_ip(world: World, inner: object, index: Index) -> Value:
    return world.msg.source.host


@variable("siz")
def source_ip_bracketed(world: World, inner: object, index: Index) -> Value:
    return bracketed(world.msg.source.host)


@variable("sp")
def source_port(world: World, inner: object, index: Index) -> Value:
    return world.msg.source.port


def _uri(world: World, host: str, port: int, with_udp: bool) -> str:
    proto = uri_name(world.msg.proto)
    transport = f";transport={proto}" if with_udp or proto != "udp" else ""
    return f"sip:{bracketed(host)}:{port}{transport}"


@variable("su")
def source_uri(world: World, inner: object, index: Index) -> Value:
    return _uri(world, world.msg.source.host, world.msg.source.port, with_udp=False)


@variable("sut")
def source_uri_full(world: World, inner: object, index: Index) -> Value:
    return _uri(world, world.msg.source.host, world.msg.source.port, with_udp=True)


@variable("sas")
def source_socket(world: World, inner: object, index: Index) -> Value:
    source = world.msg.source
    return f"{uri_name(world.msg.proto)}:{bracketed(source.host)}:{source.port}"


@variable("Ri")
def received_ip(world: World, inner: object, index: Index) -> Value:
    return world.msg.socket.host


@variable("Rp")
def received_port(world: World, inner: object, index: Index) -> Value:
    return world.msg.socket.port


@variable("Rn")
def received_socket_name(world: World, inner: object, index: Index) -> Value:
    return None


@variable("Ras")
def received_socket(world: World, inner: object, index: Index) -> Value:
    return str(world.msg.socket)


@variable("Ru")
def received_uri(world: World, inner: object, index: Index) -> Value:
    return _uri(world, world.msg.socket.host, world.msg.socket.port, with_udp=False)


@variable("Rut")
def received_uri_full(world: World, inner: object, index: Index) -> Value:
    return _uri(world, world.msg.socket.host, world.msg.socket.port, with_udp=True)


@variable("RAi")
def advertised_ip(world: World, inner: object, index: Index) -> Value:
    return world.msg.socket.advertised_host or world.msg.socket.host


@variable("RAp")
def advertised_port(world: World, inner: object, index: Index) -> Value:
    return world.msg.socket.advertised_port or world.msg.socket.port


def _advertised(socket: Socket) -> tuple[str, int]:
    return socket.advertised_host or socket.host, socket.advertised_port or socket.port


@variable("RAu")
def advertised_uri(world: World, inner: object, index: Index) -> Value:
    return _uri(world, *_advertised(world.msg.socket), with_udp=False)


@variable("RAut")
def advertised_uri_full(world: World, inner: object, index: Index) -> Value:
    return _uri(world, *_advertised(world.msg.socket), with_udp=True)


@variable("pr", "proto")
def proto(world: World, inner: object, index: Index) -> Value:
    name = world.msg.proto
    return Numbered(name, number(name))


@variable("conid")
def connection_id(world: World, inner: object, index: Index) -> Value:
    return world.msg.connection or None


_RPL = ("duri", "dhost", "dport", "dproto", "dprotoid", "cntvia", "cntrr")


@variable("rpl", inner=one_of(*_RPL))
def reply_target(world: World, inner: str, index: Index) -> Value:
    if world.msg.is_request:
        return None
    try:
        values = via.all_of(world.msg)
        routes = nameaddr.all_of(world.msg, "record-route")
    except ParseError:
        return None
    if inner in ("cntvia", "cntrr"):
        return len(values) if inner == "cntvia" else len(routes)
    if len(values) < 2:
        return None
    second, name = values[1], values[1].proto.lower()
    host = second.get("received") or second.host
    port = parse_int(second.get("rport") or "") or second.port or 5060
    parts: dict[str, Value] = {
        "duri": f"sip:{host}:{port};transport={uri_name(name)}", "dhost": host, "dport": port,
        "dproto": Numbered(name, number(name)), "dprotoid": number(name),
    }  # fmt: skip
    return parts[inner]


@variable("prid")
def proto_id(world: World, inner: object, index: Index) -> Value:
    return number(world.msg.proto)


@variable("af", inner=one_of("id", "name"))
def family(world: World, inner: str, index: Index) -> Value:
    six = ":" in world.msg.socket.host
    if inner == "name":
        return "IPv6" if six else "IPv4"
    return AF_INET6 if six else AF_INET


_CONSTANTS = {
    "IPv4": AF_INET, "INET": AF_INET, "IPv6": AF_INET6, "INET6": AF_INET6, "UDP": 1, "TCP": 2,
    "TLS": 3, "SCTP": 4, "WS": 5, "WSS": 6,
}  # fmt: skip


@variable("K", inner=one_of(*_CONSTANTS))
def constant(world: World, inner: str, index: Index) -> Value:
    return _CONSTANTS[inner]


def find_socket(world: World, text: str) -> Socket | None:
    """One of our sockets, written `[proto:]host[:port]`; None where we have none such."""
    proto_name, colon, rest = text.partition(":")
    named = proto_name.lower() if colon and proto_name.lower() in ("udp", "tcp", "tls") else ""
    place = rest if named else text
    host, _, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not host or (":" in host and not host.startswith("[")):
        host, port = place, ""
    wanted = host.strip("[]").lower()
    return next(
        (
            one
            for one in world.sockets
            if one.host.lower() == wanted
            and (not port or one.port == int(port))
            and (not named or one.proto == named)
        ),
        None,
    )


def _force(
    world: World, value: Value, find: Callable[[World, str], Socket | None], as_what: str
) -> bool:
    if value is None:
        world.msg.send_socket = None
        return True
    if isinstance(value, int) or not value:
        world.say(-1, "pv: str value required to set the force send sock")
        return False
    found = find(world, text_of(value))
    if found is None:
        world.say(0, f"pv: no socket found to match {as_what}[{value}]")
    else:
        world.msg.send_socket = found
    return True


def _force_socket(world: World, inner: object, index: Index, value: Value) -> bool:
    return _force(world, value, find_socket, "")


@variable("fs", set=_force_socket)
def forced_socket(world: World, inner: object, index: Index) -> Value:
    return None if world.msg.send_socket is None else str(world.msg.send_socket)


def _named(world: World, name: str) -> Socket | None:
    return next((one for one in world.sockets if one.name == name), None)


def _force_named_socket(world: World, inner: object, index: Index, value: Value) -> bool:
    return _force(world, value, _named, "name ")


@variable("fsn", set=_force_named_socket)
def forced_socket_name(world: World, inner: object, index: Index) -> Value:
    return (world.msg.send_socket and world.msg.send_socket.name) or None


@variable("fsp")
def forced_socket_port(world: World, inner: object, index: Index) -> Value:
    return 0 if world.msg.send_socket is None else world.msg.send_socket.port


_SENT = ("ip", "af", "buf", "len", "port", "proto", "sproto")


@variable("snd", "sndto", inner=one_of(*_SENT))
def sent_to(world: World, inner: str, index: Index) -> Value:
    sent = world.msg.notes.get("onsend")
    if sent is None:
        return None
    text, to, way = cast("tuple[str, Address, Way]", sent)
    parts: dict[str, Value] = {
        "ip": to.host, "af": AF_INET6 if ":" in way.socket.host else AF_INET, "port": to.port,
        "proto": number(way.proto), "sproto": way.proto, "buf": text, "len": len(text),
    }  # fmt: skip
    return parts[inner]


@variable("sndfrom", inner=one_of(*_SENT))
def sent_from(world: World, inner: str, index: Index) -> Value:
    sent = world.msg.notes.get("onsend")
    if sent is None:
        return None
    socket = cast("tuple[str, Address, Way]", sent)[2].socket
    if inner in ("ip", "port"):
        return socket.host if inner == "ip" else socket.port
    return sent_to(world, inner, index)


_RECEIVED = ("af", "buf", "len", "proto", "srcip", "rcvip", "sproto", "srcport", "rcvport")


@variable("rcv", inner=one_of(*_RECEIVED))
def received(world: World, inner: str, index: Index) -> Value:
    """What came, in the event routes of bytes that are no message: the stub runs none."""
    return None


_VIA = ("host", "port", "proto", "protoid", "branch", "rport", "received", "i")


def _via_part(found: Via, inner: str) -> Value:
    if inner == "port":
        return found.port or 5060
    if inner == "protoid":
        return number(found.proto.lower())
    if inner in ("host", "proto"):
        return found.host if inner == "host" else found.proto
    return found.get(inner) or None


def _via(world: World, inner: str, at: int) -> Value:
    if world.msg.unreadable():
        return None
    try:
        values = via.all_of(world.msg)
    except ParseError:
        return None
    return _via_part(values[at], inner) if -len(values) <= at < len(values) else None


@variable("via0", inner=one_of(*_VIA))
def via_top(world: World, inner: str, index: Index) -> Value:
    return _via(world, inner, 0)


@variable("via1", inner=one_of(*_VIA))
def via_second(world: World, inner: str, index: Index) -> Value:
    return _via(world, inner, 1)


@variable("viaZ", inner=one_of(*_VIA))
def via_last(world: World, inner: str, index: Index) -> Value:
    return _via(world, inner, -1)
