"""Where a message goes, from which socket, and the onsend route on its way out."""

from __future__ import annotations

import attrs

from ksr_stub import build, script, uri
from ksr_stub.addresses import parse_ip
from ksr_stub.message import Address, SipMessage, Socket, Way
from ksr_stub.via import Via
from ksr_stub.world import ONSEND, Sent, World

E_BAD_ADDRESS = -478
E_SEND = -477
E_NO_SOCKET = -7
_CARRIER = {"ws": "tcp", "wss": "tls"}


@attrs.frozen
class Service:
    """An SRV record (RFC 2782)."""

    target: str
    port: int
    priority: int = 0
    weight: int = 0


_SERVICES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}


@attrs.define(eq=False)
class Hosts:
    """The names that can be resolved: a test fills it in; there is no DNS."""

    table: dict[str, str] = attrs.Factory(lambda: {"localhost": "127.0.0.1"})
    # addresses that nothing can be sent to: a send there fails
    unreachable: set[str] = attrs.Factory(set)
    services: dict[str, list[Service]] = attrs.Factory(dict)

    def add(self, name: str, address: str) -> None:
        """Give a name an address (A or AAAA)."""
        self.table[name.lower()] = address

    def add_service(
        self, domain: str, proto: str, target: str, port: int, priority: int = 0, weight: int = 0
    ) -> None:
        """Give a domain an SRV record; the target needs an address.

        Args:
            domain: e.g. `example.com`.
            proto: `udp`, `tcp` or `tls`.
            target: the name of the host.
            port: its port.
            priority: the lowest one is asked for first.
            weight: the greatest one among equals; 5.6.3 draws lots with `dns_srv_lb` only.
        """
        name = f"{_SERVICES[proto]}.{domain.lower()}"
        self.services.setdefault(name, []).append(Service(target, port, priority, weight))


@attrs.frozen
class Connection:
    """A TCP connection that a client opened: its number, protocol and socket."""

    number: int
    proto: str
    socket: Socket


@attrs.define(eq=False)
class Connections:
    """Those that are open, by the address of the client."""

    open: dict[Address, Connection] = attrs.Factory(dict)


def connected(world: World, to: Address, proto: str) -> Connection | None:
    """The connection to an address, where one of that kind is open."""
    if proto == "udp":
        return None
    found = world.part(Connections).open.get(to)
    if found is None or _CARRIER.get(found.proto, found.proto) != found.socket.proto:
        return None
    same = found.proto == proto or {found.proto, proto} <= {"ws", "wss"}
    return found if same else None


def resolve(world: World, host: str) -> str | None:
    """The address of a host, None where it can't be resolved."""
    found = parse_ip(host)
    return world.part(Hosts).table.get(host.strip("[]").lower()) if found is None else str(found)


def destination(world: World, text: str, *, secure: bool = True) -> tuple[Address, str] | None:
    """The address and protocol that a URI names, None where it can't be resolved.

    Args:
        world: knows the names that can be resolved.
        text: the URI.
        secure: sips means tls, as in tm; False: a transport parameter wins, as in forward().
    """
    parsed = uri.parse(text)
    if parsed is None or not parsed.host:
        return None
    proto, named = parsed.proto, (parsed.param("transport") or "").lower()
    if parsed.scheme == "sips" and named == "udp" and secure:
        world.say(-1, "tm: bad transport for sips uri: udp")
        return None
    if parsed.scheme == "sips" and named:
        proto = named if not secure else {"ws": "wss"}.get(named, "tls")
    known = not parsed.port_number and _by_service(world, parsed.host, _asked_for(parsed, proto))
    if known:
        return known
    address = resolve(world, parsed.host)
    port = parsed.port_number or (5061 if proto == "tls" else uri.DEFAULT_PORTS.get(proto, 5060))
    if address is None:
        return None
    to = Address(address, port)
    open_one = connected(world, to, proto)
    # there is no ;transport=wss: a WebSocket is what its connection is
    return to, open_one.proto if open_one is not None else proto


def _asked_for(parsed: uri.Uri, proto: str) -> str:
    """The protocol that a URI names, '' where it leaves that to DNS."""
    return proto if parsed.scheme == "sips" or parsed.param("transport") else ""


def _by_service(world: World, host: str, proto: str) -> tuple[Address, str] | None:
    """Where the SRV records of a host lead: of its protocol, else of udp, tcp and tls in turn."""
    services = world.part(Hosts).services
    spoken = [name for name in _SERVICES if any(one.proto == name for one in world.sockets)]
    for name in [proto] if proto else spoken:
        found = services.get(f"{_SERVICES.get(name, '')}.{host.lower()}", [])
        for one in sorted(found, key=lambda one: (one.priority, -one.weight)):
            address = resolve(world, one.target)
            if address is not None:
                return Address(address, one.port), name
    return None


def send_socket(
    world: World, message: SipMessage | None, to: Address, proto: str, forced: Socket | None = None
) -> Socket | None:
    """The socket that Kamailio sends from (mhomed=0).

    A forced one of the right protocol and address family; for UDP the one the message came to;
    else the first of the protocol and family.
    """
    carrier = _CARRIER.get(proto, proto)
    six = ":" in to.host
    if (
        forced is not None
        and forced.proto != carrier
        and not (proto == "ws" and forced.proto == "tls")
    ):
        forced = next(
            (
                s
                for s in world.sockets
                if (s.host, s.port, s.proto) == (forced.host, forced.port, carrier)
            ),
            None,
        )
    if forced is not None and (":" in forced.host) == six:
        return forced
    if (
        carrier == "udp"
        and message is not None
        and message.socket.proto == "udp"
        and (":" in message.socket.host) == six
    ):
        return message.socket
    return next((s for s in world.sockets if s.proto == carrier and (":" in s.host) == six), None)


def reply_address(world: World, message: SipMessage) -> Address:
    """Where replies to a request go: its source address, and the port as Via says."""
    top = build.top_via(message)
    if top is None or build.wants_rport(world, message):
        return message.source
    return Address(message.source.host, top.port or 5060)


def via_address(world: World, value: Via) -> Address | None:
    """Where a relayed reply goes: received and rport of our client's Via, else its host."""
    rport, received = value.get("rport") or "", value.get("received")
    port = int(rport) if rport.isdigit() else 0
    host = resolve(world, received or value.host)
    return None if host is None else Address(host, port or value.effective_port)


def send(world: World, text: str, to: Address, way: Way, connection: int = 0) -> bool:
    """Let bytes leave.

    Returns:
        False where the destination can't be reached.
    """
    if to.host in world.part(Hosts).unreachable:
        world.say(-1, f"core: msg_send to {to.host}:{to.port} failed")
        return False
    if not connection:
        open_one = connected(world, to, way.proto)
        connection = 0 if open_one is None else open_one.number
    world.sent.append(Sent(text.encode("latin-1"), to, way.proto, way.socket, connection))
    return True


def onsend(world: World, message: SipMessage, text: str, to: Address, way: Way) -> bool:
    """Run the onsend route for a message that is about to leave.

    Returns:
        False where the route dropped it.
    """
    name = world.param("core", "kemi.onsend_route_callback", "ksr_onsend_route")
    if not name or name.lower() == "none" or world.script is None:
        return True
    message.notes["onsend"] = (text, to, way)
    route, former, drop = world.route, world.message, world.drop
    world.route, world.message, world.drop = ONSEND, message, False
    try:
        script.run(world, name)
        # 5.6.3 sends it all the same: set_drop finds no context there
        return not world.drop or world.version == "5.6"
    finally:
        world.route, world.message, world.drop = route, former, drop
        message.notes.pop("onsend", None)
