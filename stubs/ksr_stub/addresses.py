"""IP addresses as Kamailio compares and writes them."""

from __future__ import annotations

import functools
import ipaddress
import socket

PROTOCOLS = {"udp": 1, "tcp": 2, "tls": 3, "sctp": 4, "ws": 5, "wss": 6}

# 10/8, 172.16/12, 192.168/16, 100.64/10 (RFC 6598), 192.0.0.0/29 (RFC 7335)
_PRIVATE = ((0x0A000000, 24), (0xAC100000, 20), (0xC0A80000, 16), (0x64400000, 22), (0xC0000000, 3))
# with nat_addr_mode=1, the default: 192.0.0.0/24 (RFC 6890)
_PROTOCOL_ASSIGNMENTS = (0xC0000000, 8)


def proto_number(proto: str) -> int:
    """The number of a transport in an alias, 0 for an unknown one."""
    return PROTOCOLS.get(proto.lower(), 0)


def proto_name(number: int) -> str:
    """The transport parameter of a number, '' for an unknown one; wss is asked for as ws."""
    name = next((name for name, value in PROTOCOLS.items() if value == number), "")
    return "ws" if name == "wss" else name


def in_uri(host: str) -> str:
    """The host in a URI: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def source_uri(host: str, port: int, proto: str) -> str:
    """Where a message came from as a URI (`$su`): udp is not named."""
    transport = "" if proto == "udp" else f";transport={proto}"
    return f"sip:{in_uri(host)}:{port}{transport}"


@functools.lru_cache(maxsize=4096)
def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, IPv6 with or without brackets; None for a host name."""
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def packed_ip(text: str) -> bytes:
    """The bytes of an address, of IPv6 with or without brackets.

    Raises:
        ValueError: it is none.
    """
    found = parse_ip(text)
    if found is None:
        raise ValueError(f"{text!r} is no IP address")
    return found.packed


def is_private(text: str, assignments: bool = True) -> bool:
    """Whether nathelper takes it for an address behind NAT.

    Args:
        text: what stands as host; read by inet_aton, so that `10.1` and `0xa000001` count.
        assignments: 192.0.0.0/24 counts too (`nat_addr_mode`).
    """
    try:
        number = int.from_bytes(socket.inet_aton(text))
    except OSError:
        return False
    nets = (*_PRIVATE, _PROTOCOL_ASSIGNMENTS) if assignments else _PRIVATE
    return any(number >> bits == net >> bits for net, bits in nets)
