"""nathelper's pings: they keep the hole in the NAT open, and tell whether the phone is there."""

from __future__ import annotations

import attrs

from ksr_stub import methods, nameaddr, sending, server, uri, via
from ksr_stub.hashing import core_hash
from ksr_stub.message import Address, ParseError, SipMessage, Socket, Way
from ksr_stub.models.usrloc import ON_START, Binding, Usrloc
from ksr_stub.world import Sent, World

_EMPTY = b"\0\0\0\0"
_FIRST_BRANCH = 1000000


@attrs.define(eq=False)
class Pinger:
    """The timer of the pings. `enabled` is what the RPC nathelper.enable_ping sets."""

    world: World
    usrloc: Usrloc
    enabled: bool = True
    second: int = 0
    count: int = 0

    def tick(self) -> None:
        """Once a second: ping the bindings whose turn it is in this interval."""
        self.world.clock.after(1, self.tick)
        interval = self.world.param("nathelper", "natping_interval", 0)
        if self.enabled:
            for process in range(max(1, self.world.param("nathelper", "natping_processes", 1))):
                self._ping_part(process * interval + self.second, interval)
        self.second = (self.second + 1) % interval

    def _ping_part(self, part: int, interval: int) -> None:
        world = self.world
        processes = max(1, world.param("nathelper", "natping_processes", 1))
        slots = 1 << world.param("usrloc", "hash_size", 10)
        for table in self.usrloc.tables.values():
            for aor, record in table.items():
                if core_hash(aor, None, slots) % (processes * interval) != part:
                    continue
                for binding in record:
                    self._ping(binding, core_hash(aor))

    def _ping(self, binding: Binding, hashed: int) -> None:
        world = self.world
        nat = _mask(world.param("usrloc", "nat_bflag", -1))
        if world.param("nathelper", "ping_nated_only", 0) and not binding.cflags & nat:
            return
        if self.usrloc.is_unanswered(binding):
            return
        if binding.cflags & _mask(world.param("nathelper", "natping_disable_bflag", -1)):
            return
        sip = _mask(world.param("nathelper", "sipping_bflag", -1))
        to = _destination(world, binding, bool(sip & binding.cflags))
        socket = _socket(world, binding, to)
        if to is None or socket is None:
            return
        everyone = sip and not world.param("nathelper", "ping_nated_only", 0)
        if binding.cflags & sip or everyone:
            self.count += 1
            text = _request(world, binding, socket, hashed, self.count)
            sending.send(world, text, to, Way(socket, "udp"))
        else:
            world.sent.append(Sent(_EMPTY, to, "udp", socket))


def start(world: World, usrloc: Usrloc) -> None:
    """Start the timer, if natping_interval says so."""
    if world.param("nathelper", "natping_interval", 0) > 0:
        world.clock.after(1, Pinger(world, usrloc).tick)


def take_reply(world: World, reply: SipMessage) -> bool:
    """A reply to a ping: the phone is there. The reply goes on to the core, which drops it."""
    sender, method = nameaddr.of(reply, "from"), _method(world)
    if world.param("nathelper", "keepalive_timeout", 0) <= 0 or sender is None:
        return True
    mine = sender.uri == world.param("nathelper", "sipping_from", "")
    if not mine or methods.cseq(reply)[1] != method or len(via.all_of(reply)) > 1:
        return True
    ruid_and_hash, _, _ = sender.tag.rpartition("-")
    ruid, _, hashed = ruid_and_hash.rpartition("-")
    try:
        world.part(Usrloc).keep_alive(ruid, int(hashed[::-1], 16))
    except ValueError:
        world.say(3, "nathelper: from tag format mismatch")
    return True


def _request(world: World, binding: Binding, socket: Socket, hashed: int, count: int) -> str:
    method = _method(world)
    route = f"Route: {binding.path}\r\n" if binding.path else ""
    tag = f"{binding.ruid}-{_reversed(hashed)}-{_reversed(count)}"
    return (
        f"{method} {binding.uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {socket.shown_host}:{socket.shown_port}"
        f";branch=z9hG4bK{_FIRST_BRANCH + count}\r\n{route}"
        f"From: {world.param('nathelper', 'sipping_from', '')};tag={tag}\r\nTo: {binding.uri}\r\n"
        f"Call-ID: 1-{_reversed(count)}-{_reversed(int(world.clock.now))}@{socket.host}\r\n"
        f"CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )


def _destination(world: World, binding: Binding, through_path: bool) -> Address | None:
    target = binding.received or binding.uri
    if binding.path and through_path:
        try:
            target = nameaddr.parse(binding.path).uri
        except ParseError:
            return None
    parsed = uri.parse(target)
    if parsed is None or parsed.proto != "udp":
        return None
    host = sending.resolve(world, parsed.host)
    return None if host is None else Address(host, parsed.port_number or 5060)


def _socket(world: World, binding: Binding, to: Address | None) -> Socket | None:
    forced = world.param("nathelper", "force_socket", "")
    named = next((s for s in world.sockets if forced and str(s) == forced), None)
    if to is None:
        return None
    return named or binding.socket or sending.send_socket(world, None, to, "udp")


def _method(world: World) -> str:
    return world.param("nathelper", "sipping_method", "OPTIONS")


def _mask(flag: int) -> int:
    return 1 << flag if flag >= 0 else 0


def _reversed(number: int) -> str:
    return f"{number:x}"[::-1]


ON_START.append(start)
server.BEFORE_REPLY.append(take_reply)
