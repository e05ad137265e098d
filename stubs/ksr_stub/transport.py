"""Transport protocols and address families, as Kamailio numbers and names them (core/ip_addr.c)."""

from __future__ import annotations

from ksr_stub.addresses import parse_ip

NAMES = ("none", "udp", "tcp", "tls", "sctp", "ws", "wss")
AF_INET, AF_INET6 = 2, 10


def number(proto: str) -> int:
    """The number of a protocol: udp 1, tcp 2, tls 3, sctp 4, ws 5, wss 6, else 0."""
    return NAMES.index(proto) if proto in NAMES else 0


def uri_name(proto: str) -> str:
    """The value of a URI's transport parameter: wss is written ws (RFC 7118)."""
    return "ws" if proto == "wss" else proto


def address_family(host: str) -> int:
    """4 or 6 for an address (6 with or without brackets), 0 for a name."""
    found = parse_ip(host)
    return 0 if found is None else found.version


def bracketed(host: str) -> str:
    """The host as in a URI: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
