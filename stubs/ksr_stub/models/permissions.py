"""Module permissions: trusted addresses (the address table; files and `allow_trusted` are not)."""

from __future__ import annotations

import ipaddress

import attrs

from ksr_stub.registry import model
from ksr_stub.world import World

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@attrs.frozen
class Trusted:
    """A row of the address table; port 0 is any."""

    group: int
    network: _Network
    port: int


@attrs.define(eq=False)
class Addresses:
    """The address table."""

    rows: list[Trusted] = attrs.Factory(list)

    def add(self, address: str, group: int = 1, port: int = 0) -> None:
        """Trust an address or a network such as `192.0.2.0/24`."""
        self.rows.append(Trusted(group, ipaddress.ip_network(address), port))

    def group_of(self, host: str, port: int, group: int | None = None) -> int:
        """The group of an address, of single addresses first; -1 where it has none."""
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return -1
        for row in sorted(self.rows, key=lambda row: row.network.num_addresses != 1):
            wanted = group in (None, row.group) and row.port in (0, port)
            if wanted and address in row.network:
                return row.group
        return -1


def _code(world: World, group: int, host: str, port: int) -> int:
    return 1 if world.part(Addresses).group_of(host, port, group) == group else -1


@model("permissions")
def allow_source_address(world: World, addr_group: int) -> int:
    """1: the request comes from an address of the group, else -1."""
    source = world.msg.source
    return _code(world, addr_group, source.host, source.port)


@model("permissions")
def allow_address(world: World, addr_group: int, ips: str, port: int) -> int:
    """1: the address is one of the group, else -1."""
    return _code(world, addr_group, ips, port)


@model("permissions")
def allow_source_address_group(world: World) -> int:
    """The group of the address that the request comes from, -1 without one."""
    source = world.msg.source
    return world.part(Addresses).group_of(source.host, source.port)


@model("permissions")
def allow_address_group(world: World, addr: str, port: int) -> int:
    """The group of an address, -1 without one."""
    return world.part(Addresses).group_of(addr, port)
