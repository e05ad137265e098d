"""Module ipops: what kind of address a text is, and whether addresses are the same."""

from __future__ import annotations

import ipaddress
import re

from ksr_stub.registry import model
from ksr_stub.world import World

_IP4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}")
_UNFINISHED = re.compile(r"::.*[0-9A-Fa-f]:$")
_RFC1918 = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
IP4, IP6, IP6_REFERENCE = 1, 2, 3


def _kind(text: str) -> int:
    if _IP4.fullmatch(text):
        return IP4
    if text.startswith("[") and text.endswith("]"):
        return IP6_REFERENCE if _is_ip6(text[1:-1]) else 0
    # ipops takes one colon too many behind a group, and then finds no address in it
    return IP6 if _is_ip6(text) or (_UNFINISHED.search(text) and _is_ip6(text[:-1])) else 0


def _is_ip6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _code(truth: bool) -> int:
    return 1 if truth else -1


@model("ipops")
def is_ip(world: World, sval: str) -> int:
    """1: an IPv4 address, an IPv6 address with or without brackets."""
    return _code(_kind(sval) != 0)


@model("ipops")
def is_pure_ip(world: World, sval: str) -> int:
    """1: an IPv4 address, or an IPv6 address without brackets."""
    return _code(_kind(sval) in (IP4, IP6))


@model("ipops")
def is_ip4(world: World, sval: str) -> int:
    """1: an IPv4 address."""
    return _code(_kind(sval) == IP4)


@model("ipops")
def is_ip6(world: World, sval: str) -> int:
    """1: an IPv6 address without brackets."""
    return _code(_kind(sval) == IP6)


@model("ipops")
def is_ip6_reference(world: World, sval: str) -> int:
    """1: an IPv6 address in brackets."""
    return _code(_kind(sval) == IP6_REFERENCE)


@model("ipops")
def ip_type(world: World, sval: str) -> int:
    """1: IPv4, 2: IPv6, 3: IPv6 in brackets, -1: none."""
    return _kind(sval) or -1


@model("ipops")
def compare_ips(world: World, sval1: str, sval2: str) -> int:
    """1: the same address, with or without brackets."""
    if not (_kind(sval1) and _kind(sval2)):
        return -1
    one, other = _address(sval1), _address(sval2)
    return _code(one is not None and one == other)


@model("ipops")
def compare_pure_ips(world: World, sval1: str, sval2: str) -> int:
    """1: the same address; brackets are no address."""
    if IP6_REFERENCE in (_kind(sval1), _kind(sval2)):
        return -1
    return compare_ips(world, sval1, sval2)


@model("ipops", "is_in_subnet", "ip_is_in_subnet")
def is_in_subnet(world: World, sval1: str, sval2: str) -> int:
    """1: the address is in one of the subnets, separated by commas; an address is one too."""
    if _kind(sval1) not in (IP4, IP6):
        return -1
    if _address(sval1) is None:
        return 0
    return _code(any(_contains(part.strip(), sval1) for part in sval2.split(",")))


@model("ipops")
def is_ip_rfc1918(world: World, sval: str) -> int:
    """1: a private IPv4 address."""
    if _kind(sval) != IP4:
        return -1
    address = ipaddress.ip_address(sval)
    return _code(any(address in network for network in _RFC1918))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _contains(network: str, address: str) -> bool:
    base, slash, bits = network.partition("/")
    if _kind(base) not in (IP4, IP6) or _kind(base) != _kind(address):
        return False
    # atoi: what is no number is 0
    length = re.match(r"\s*([+-]?\d+)", bits)
    prefix = f"/{length[1] if length else 0}" if slash else ""
    try:
        return _address(address) in ipaddress.ip_network(base + prefix, strict=False)
    except ValueError:
        return False
