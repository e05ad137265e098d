"""nathelper and SDP: addresses of a body that a phone behind NAT wrote (RFC 4566)."""

from __future__ import annotations

import re

from attrs import frozen

from ksr_stub import addresses
from ksr_stub.message import SipMessage
from ksr_stub.world import World

ACTIVE, MEDIA_IP, NO_RTPPROXY, ORIGIN_IP = 1, 2, 4, 8
DONE, NOTHING_CHANGED, FAILED = 1, 2, -1

_CONNECTION = re.compile(r"^c=IN (IP[46]) ([^\s/]+)", re.MULTILINE)
_FAMILY = re.compile(r"(?:^|(?<=[ \t]))IP([46])[ \t]+(\S+)")


@frozen
class Connection:
    """A c= line: `4` or `6`, and the address."""

    family: str
    address: str


def body_of(message: SipMessage) -> tuple[int, str] | None:
    """The SDP of a message with its offset; None where there is none."""
    kind = message.get("content-type").partition(";")[0].strip().lower()
    start = len(message.buf) - len(message.body)
    if not message.body:
        return None
    if kind == "application/sdp":
        return start, message.body
    if kind.startswith("multipart/"):
        return _part(message, start)
    return None


def has_private_address(world: World, message: SipMessage) -> bool:
    """A media stream is at a private IPv4 address; the first of another kind ends the search."""
    found = body_of(message)
    if found is None:
        return False
    session, *media = re.split(r"(?m)^(?=m=)", found[1])
    fallback = _connection(session)
    at = [_connection(section) or fallback for section in media]
    if None in at:
        # without a c= line for each stream Kamailio can't parse the body
        return False
    for connection in at:
        if connection is None or connection.family != "4" or connection.address == "0.0.0.0":  # noqa: S104
            return False
        if addresses.is_private(
            connection.address, world.param("nathelper", "nat_addr_mode", 1) == 1
        ):
            return True
    return False


def session_is_not_source(_world: World, message: SipMessage) -> bool:
    """The session's c= line is there and names another address than the source."""
    found = body_of(message)
    if found is None:
        return False
    connection = _connection(re.split(r"(?m)^(?=m=)", found[1])[0])
    if connection is None:
        return False
    address = addresses.parse_ip(connection.address)
    return address is not None and address != addresses.parse_ip(message.source.host)


def fix(world: World, level: int, ip: str) -> int:
    """fix_nated_sdp: see there for the levels.

    Returns:
        1 where an address was changed, 2 where none was, -1 without a body that is SDP.
    """
    message = world.msg
    found = _plain_body(message)
    if found is None:
        return FAILED
    start, body = found[0], found[1].rstrip("\r\n")
    if level & ACTIVE:
        _add_active(message, start, body)
    if level & NO_RTPPROXY:
        text = world.param("nathelper", "nortpproxy_str", "a=nortpproxy:yes").rstrip("\r\n")
        message.insert(start + len(body), f"\r\n{text}")
    lines = (("a=rtcp", MEDIA_IP | ORIGIN_IP), ("c=", MEDIA_IP), ("o=", ORIGIN_IP))
    changed = 0
    for line, bits in lines:
        if level & bits:
            count = _replace(world, start, body, line, ip)
            if count < 0:
                return FAILED
            changed += count
    return DONE if changed else NOTHING_CHANGED


def _plain_body(message: SipMessage) -> tuple[int, str] | None:
    if not message.get("content-length").isdigit() or not message.body.strip("\r\n"):
        return None
    if message.first("content-type") is None:
        return len(message.buf) - len(message.body), message.body
    return body_of(message)


def _add_active(message: SipMessage, start: int, body: str) -> None:
    ends = [match.start() for match in re.finditer(r"\r\nm=", body)][1:]
    if "\r\nm=" in body:
        for end in (*ends, len(body)):
            message.insert(start + end, "\r\na=direction:active")


def _replace(world: World, start: int, body: str, line: str, ip: str) -> int:
    """Replace the address in each such line; -1 where one has none or the families differ."""
    count, family = 0, ""
    for match in re.finditer(rf"(?:^|(?<=[\r\n])){line}([^\r\n]*)", body):
        address = _FAMILY.search(match[1])
        if address is None:
            if line == "a=rtcp":
                continue
            return FAILED
        if family and family != address[1]:
            return FAILED
        family = address[1]
        count += _replace_one(world, start, body, match.start(1) + address.start(2), address, ip)
    return count


def _replace_one(
    world: World, start: int, body: str, at: int, address: re.Match[str], ip: str
) -> int:
    old = address[2]
    null = not old.strip("0:") if address[1] == "6" else old == "0.0.0.0"  # noqa: S104
    if null or old == ip:
        return 0
    if world.param("nathelper", "append_sdp_oldmediaip", 1):
        name = "a=oldmediaip6:" if address[1] == "6" else "a=oldmediaip:"
        world.msg.insert(start + len(body), f"\r\n{name}{old}")
    world.msg.replace(start + at, len(old), ip)
    return 1


def _connection(section: str) -> Connection | None:
    match = _CONNECTION.search(section)
    return None if match is None else Connection(match[1][-1], match[2])


def _part(message: SipMessage, start: int) -> tuple[int, str] | None:
    boundary = re.search(r'boundary="?([^";]+)"?', message.get("content-type"), re.IGNORECASE)
    if boundary is None:
        return None
    pattern = re.compile(
        rf"--{re.escape(boundary[1])}\r?\n((?:[^\r\n]+\r?\n)*)\r?\n(.*?)(?=\r?\n--)", re.DOTALL
    )
    for part in pattern.finditer(message.body):
        if re.search(r"^content-type:\s*application/sdp", part[1], re.IGNORECASE | re.MULTILINE):
            return start + part.start(2), part[2]
    return None
