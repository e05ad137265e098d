"""Module permissions: who is trusted, by address or by address, protocol and URI."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, ClassVar

import attrs

from ksr_stub import nameaddr, pv, regex
from ksr_stub.addresses import parse_ip
from ksr_stub.registry import model
from ksr_stub.world import World

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LINE = re.compile(
    r"[ \t\r]*(\d*)[ \t\r]*([^ \t\r\n#]*)[ \t\r]*(\d*)[ \t\r]*(\d*)[ \t\r]*([^ \t\r\n#]*)"
)
_CACHED = 1


@attrs.frozen
class Trusted:
    """A row of the address table; port 0 is any, and `network` None for a host name."""

    group: int
    network: _Network | None
    port: int
    tag: str = ""
    name: str = ""

    @property
    def is_single(self) -> bool:
        """Whether it is one address."""
        return self.network is not None and self.network.num_addresses == 1


@attrs.frozen
class Peer:
    """A row of the trusted table; the patterns are POSIX basic regular expressions."""

    source: str
    proto: str = "any"
    from_pattern: str | None = None
    ruri_pattern: str | None = None
    tag: str | None = None
    priority: int = 0


@attrs.define(eq=False)
class Addresses:
    """The tables `address`, from `address_file` or as the test adds to it, and `trusted`."""

    needs_world: ClassVar[bool] = True

    world: World
    rows: list[Trusted] = attrs.Factory(list)
    peers: list[Peer] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        path = str(self.world.param("permissions", "address_file", ""))
        if path:
            self._read(Path(path).read_text(encoding="latin-1"))

    def add(self, address: str, group: int = 1, port: int = 0, tag: str = "") -> None:
        """Trust an address, a network such as `192.0.2.0/24`, or a host name."""
        host, _, mask = address.partition("/")
        self._insert(group, host, int(mask or 0), port, tag)

    def add_peer(self, source: str, proto: str = "any", **more: Any) -> None:  # noqa: ANN401
        """Add a row to `trusted`.

        Args:
            source: its address.
            proto: `any`, `udp`, `tcp`, `tls`, `sctp`, `ws` or `wss`.
            more: `from_pattern`, `ruri_pattern`, `tag`, `priority`.
        """
        self.peers.append(Peer(source, proto, **more))

    def find(self, host: str, port: int, group: int | None, *, named: bool = True) -> int:
        """The group of an address: of single ones the latest, then networks by their group.

        Args:
            host: the address, or a host name.
            port: its port.
            group: the only one to look in; None: all.
            named: host names count.
        Returns:
            The group, -1 where it has none.
        """
        address = parse_ip(host)
        rows = [one for one in self.rows if one.port in (0, port) and group in (None, one.group)]
        if address is None:
            found = [one for one in reversed(rows) if named and one.name and one.name == host]
        else:
            inside = [one for one in rows if one.network is not None and address in one.network]
            found = [one for one in reversed(inside) if one.is_single]
            found += sorted((one for one in inside if not one.is_single), key=lambda one: one.group)
        if not found:
            return -1
        if address is not None or group is not None:
            self.mark(found[0].tag or None)
        return found[0].group

    def mark(self, tag: str | None) -> None:
        """Put a tag into the avp of `peer_tag_avp`."""
        name = str(self.world.param("permissions", "peer_tag_avp", ""))
        if name and tag is not None:
            pv.put(self.world, name, tag)

    def _insert(self, group: int, host: str, mask: int, port: int, tag: str) -> None:
        address = parse_ip(host)
        if address is None:
            self.rows.append(Trusted(group, None, port, tag, host))
            return
        network = ipaddress.ip_network(f"{address}/{mask or address.max_prefixlen}", strict=False)
        self.rows.append(Trusted(group, network, port, tag))

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            found = _LINE.match(line)
            if found is not None and found[2]:
                group, host, mask, port, tag = found.groups()
                self._insert(int(group or 0), host, int(mask or 0), int(port or 0), tag)


@model("permissions")
def allow_source_address(world: World, addr_group: int) -> int:
    """1: the request comes from an address of the group, else -1."""
    source, part = world.msg.source, world.part(Addresses)
    return 1 if part.find(source.host, source.port, addr_group) != -1 else -1


@model("permissions")
def allow_address(world: World, addr_group: int, ips: str, port: int) -> int:
    """1: the address, or host name, is one of the group, else -1."""
    return 1 if world.part(Addresses).find(ips, port, addr_group) != -1 else -1


@model("permissions")
def allow_source_address_group(world: World) -> int:
    """The group of the address that the request comes from, -1 without one."""
    source = world.msg.source
    return world.part(Addresses).find(source.host, source.port, None)


@model("permissions")
def allow_address_group(world: World, addr: str, port: int) -> int:
    """The group of an address, or host name, -1 without one."""
    return world.part(Addresses).find(addr, port, None)


@model("permissions")
def allow_trusted(world: World) -> int:
    """Whether a row of `trusted` has the source, protocol, From URI and R-URI of the message.

    Returns:
        1, with `peer_tag_mode` 1 how many rows; -1 for none.
    """
    message, part = world.msg, world.part(Addresses)
    sender = nameaddr.of(message, "from")
    if message.is_request and sender is None:
        return -1
    falling = world.param("permissions", "db_mode", 0) == _CACHED
    rows = sorted(part.peers, key=lambda one: -one.priority if falling else one.priority)
    found = [
        one
        for one in rows
        if one.source == message.source.host
        and one.proto.lower() in ("any", message.proto)
        # of a reply only the source counts
        and (sender is None or not message.is_request or _fits(world, one, sender.uri))
    ]
    if not found:
        return -1
    every = world.param("permissions", "peer_tag_mode", 0)
    for one in found if every else found[:1]:
        part.mark(one.tag)
    return len(found) if every else 1


def _fits(world: World, peer: Peer, from_uri: str) -> bool:
    return _matches(world, peer.from_pattern, from_uri) and _matches(
        world, peer.ruri_pattern, world.msg.ruri
    )


def _matches(world: World, pattern: str | None, text: str) -> bool:
    if pattern is None:
        return True
    try:
        return regex.compiled(regex.extended(pattern), newline=False).search(text) is not None
    except regex.BadRegex:
        world.say(-1, "permissions: invalid regular expression")
        return False
