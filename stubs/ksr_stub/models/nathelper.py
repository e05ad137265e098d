"""nathelper: who is behind NAT, and how the phone is found again (Kamailio module nathelper)."""

from __future__ import annotations

import re

from ksr_stub import addresses, contacts, nameaddr, pv, uri, via
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.models import nathelper_sdp
from ksr_stub.registry import model
from ksr_stub.uri import Uri
from ksr_stub.via import Via
from ksr_stub.world import World

CONTACT_PRIVATE, SOURCE_IS_NOT_VIA, VIA_PRIVATE, SDP_PRIVATE = 1, 2, 4, 8
SOURCE_PORT_IS_NOT_VIA, SOURCE_PRIVATE, WEBSOCKET, SOURCE_PORT_IS_NOT_CONTACT = 16, 32, 64, 128
SDP_IS_NOT_SOURCE, DESTINATION_DIFFERS = 256, 512

DONE, NOTHING_TO_DO, FAILED = 1, 2, -1
SIP_PORT = 5060


@model("nathelper")
def nat_uac_test(world: World, tests: int) -> int:
    """1 on the first of the asked tests that holds, -1 if none does."""
    message = world.msg
    checks = (
        (SOURCE_PORT_IS_NOT_VIA, _source_port_is_not_via),
        (SOURCE_IS_NOT_VIA, _source_is_not_via),
        (CONTACT_PRIVATE, _contact_private),
        (SDP_PRIVATE, nathelper_sdp.has_private_address),
        (VIA_PRIVATE, _via_private),
        (SOURCE_PRIVATE, _source_private),
        (WEBSOCKET, _over_websocket),
        (SOURCE_PORT_IS_NOT_CONTACT, _source_port_is_not_contact),
        (SDP_IS_NOT_SOURCE, nathelper_sdp.session_is_not_source),
        (DESTINATION_DIFFERS, _destination_differs),
    )
    return DONE if any(tests & bit and holds(world, message) for bit, holds in checks) else FAILED


@model("nathelper")
def is_rfc1918(world: World, address: str) -> int:
    """1 for a private address (with Kamailio's idea of private), else -1."""
    return DONE if is_private(world, address) else FAILED


@model("nathelper")
def set_contact_alias(world: World) -> int:
    """Put the source address into the first Contact as `;alias=ip~port~transport`."""
    return _set_alias(world, trim=False)


@model("nathelper")
def set_contact_alias_trim(world: World) -> int:
    """The same, without the alias that is there."""
    return _set_alias(world, trim=True)


@model("nathelper")
def fix_nated_contact(world: World) -> int:
    """Write the source address in place of host and port of the first Contact."""
    message = world.msg
    found = contacts.first(message)
    if found is None:
        return FAILED
    contact, parsed = found
    if message.contact_uri_changed:
        world.say(-1, "nathelper: you can't call fix_nated_contact twice, check your config!")
        return FAILED
    text = _with_source(message, contact.uri, parsed)
    message.replace(contact.start, len(contact.uri), text, "contact")
    contacts.set_uri(message, text)
    return DONE


@model("nathelper")
def add_contact_alias(world: World) -> int:
    """Add an alias behind the port of the first Contact, unless it names the source itself.

    Returns:
        1, 2 where there is nothing to do, -1.
    """
    message = world.msg
    header = message.first("contact")
    if header is None:
        return FAILED if world.msg.unreadable("contact") else NOTHING_TO_DO
    found = contacts.first(message)
    if found is None:
        return FAILED
    contact, parsed = found
    if _names_source(message, parsed):
        return NOTHING_TO_DO
    source = f"{addresses.in_uri(message.source.host)}~{message.source.port}"
    number = addresses.proto_number(message.proto)
    return _add_alias(world, header, contact, parsed, f"{source}~{number}")


@model("nathelper")
def add_contact_alias_addr(world: World, ip: str, port: str, proto: str) -> int:
    """The same with a given address."""
    header = world.msg.first("contact")
    if header is None:
        return FAILED if world.msg.unreadable("contact") else NOTHING_TO_DO
    found = contacts.first(world.msg)
    number = addresses.proto_number(proto)
    in_range = port.isdigit() and 0 < int(port) < 65536
    if found is None or addresses.parse_ip(ip) is None or not in_range or not number:
        return FAILED
    return _add_alias(world, header, *found, f"{ip}~{port}~{number}")


@model("nathelper")
def set_alias_to_pv(world: World, name: str) -> int:
    """Write where the alias of the only Contact leads to into a variable; -1 without one."""
    header = world.msg.first("contact")
    try:
        found = [] if header is None else contacts.of_header(world.msg, header)
    except ParseError:
        found = []
    if len(found) != 1:
        return FAILED
    alias = re.search(rf";{re.escape(alias_name(world))}([^~]*)~([^~]*)~(\d+)", found[0].value.uri)
    spec = pv.lookup(world, name)
    if alias is None or spec is None or spec.variable.set is None:
        return FAILED
    proto = addresses.proto_name(int(alias[3]))
    value = f"sip:{alias[1]}:{alias[2]};transport={proto}"
    return DONE if pv.put(world, name, value) else FAILED


@model("nathelper")
def fix_nated_register(world: World) -> int:
    """Keep the source address in the AVP `received_avp`, where registrar.save finds it."""
    name = world.param("nathelper", "received_avp", "")
    if not name:
        return DONE
    message = world.msg
    source = addresses.source_uri(message.source.host, message.source.port, message.proto)
    pv.put(world, name, source)
    return DONE


@model("nathelper")
def add_rcv_param(world: World, in_uri: int) -> int:
    """Add `;received=` with the source address to every Contact, for the next proxy."""
    message = world.msg
    if in_uri and message.proto != "udp":
        return FAILED
    source = addresses.source_uri(message.source.host, message.source.port, message.proto)
    try:
        values = [contact.value for contact in contacts.all_of(message)]
    except ParseError:
        return FAILED
    for value in values:
        if in_uri:
            message.insert(value.uri_end - _spaces(message, value), f";received={source}")
        else:
            message.insert(value.end, f';received="{source}"')
    return DONE


@model("nathelper")
def fix_nated_sdp(world: World, level: int) -> int:
    """Change the SDP: 1 `a=direction:active`, 2 c=, 4 `a=nortpproxy:yes`, 8 o=."""
    return nathelper_sdp.fix(world, level, world.msg.source.host)


@model("nathelper")
def fix_nated_sdp_ip(world: World, level: int, ip: str) -> int:
    """The same with a given address."""
    return nathelper_sdp.fix(world, level, ip or world.msg.source.host)


def _spaces(message: SipMessage, value: nameaddr.NameAddr) -> int:
    inside = message.buf[value.uri_start : value.uri_end]
    return len(inside) - len(inside.rstrip(" \t"))


def is_private(world: World, host: str) -> bool:
    """Whether nathelper takes a host for an address behind NAT."""
    return addresses.is_private(host, world.param("nathelper", "nat_addr_mode", 1) == 1)


def top_via(message: SipMessage) -> Via:
    """The first Via."""
    return via.all_of(message)[0]


def _source_port_is_not_via(_world: World, message: SipMessage) -> bool:
    return message.source.port != (top_via(message).port or SIP_PORT)


def _source_is_not_via(_world: World, message: SipMessage) -> bool:
    host, source = top_via(message).host, message.source.host
    if ":" in source:
        return host.lower() not in (source, f"[{source}]")
    return host != source


def _contact_private(world: World, message: SipMessage) -> bool:
    found = contacts.first(message)
    return found is not None and is_private(world, found[1].host)


def _via_private(world: World, message: SipMessage) -> bool:
    return is_private(world, top_via(message).host)


def _source_private(world: World, message: SipMessage) -> bool:
    return is_private(world, message.source.host)


def _over_websocket(_world: World, message: SipMessage) -> bool:
    return message.proto in ("ws", "wss")


def _source_port_is_not_contact(_world: World, message: SipMessage) -> bool:
    found = contacts.first(message)
    return found is not None and message.source.port != (found[1].port_number or SIP_PORT)


def _destination_differs(_world: World, message: SipMessage) -> bool:
    return _request_is_diverted(message) if message.is_request else _reply_is_diverted(message)


def _reply_is_diverted(message: SipMessage) -> bool:
    vias = via.all_of(message)
    if len(vias) < 2:
        return False
    second = vias[1]
    if second.proto.lower() in ("ws", "wss"):
        return True
    rport = second.get("rport") or ""
    if rport.isdigit() and int(rport) and int(rport) != second.effective_port:
        return True
    received = second.get("received")
    return received is not None and not _same_host(received, second.host)


def _request_is_diverted(message: SipMessage) -> bool:
    target = uri.parse(message.uri)
    hop = uri.parse(message.dst_uri) if message.dst_uri else target
    if target is None or hop is None:
        return False
    if hop.proto in ("ws", "wss"):
        return True
    return bool(message.dst_uri) and (
        hop.effective_port != target.effective_port or not _same_host(hop.host, target.host)
    )


def _same_host(one: str, other: str) -> bool:
    first, second = addresses.parse_ip(one), addresses.parse_ip(other)
    return one == other if first is None and second is None else first == second


def _set_alias(world: World, trim: bool) -> int:
    message = world.msg
    found = contacts.first(message)
    if found is None:
        return FAILED
    contact, _ = found
    if message.contact_uri_changed:
        world.say(-1, "nathelper: you can't update contact twice, check your config!")
        return FAILED
    name = alias_name(world)
    base = trim_alias(contact.uri, name) if trim else contact.uri
    number = addresses.proto_number(message.proto)
    host = addresses.in_uri(message.source.host)
    text = f"{base};{name}{host}~{message.source.port}~{number}"
    bare = message.buf[contact.start - 1] != "<"
    shown = f"<{text}>" if bare else text
    message.replace(contact.start, len(contact.uri), shown, "contact")
    contacts.set_uri(message, text)
    return DONE


def alias_name(world: World) -> str:
    """`alias=`, or what the parameter alias_name makes of it."""
    return f"{world.param('nathelper', 'alias_name', '') or 'alias'}="


def trim_alias(text: str, name: str = "alias=") -> str:
    """A URI without its last alias; as it is where that one is broken."""
    if len(text) < len(name) + 17:
        return text
    at = text.rfind(f";{name}", 6, len(text) - 11)
    if at < 0:
        return text
    match = re.compile(r"[^~]*~[^~]*~.(?=;|$)", re.DOTALL).match(text, at + len(name) + 1)
    return text if match is None else text[:at] + text[match.end() :]


def _with_source(message: SipMessage, text: str, parsed: Uri) -> str:
    source = f"{addresses.in_uri(message.source.host)}:{message.source.port}"
    hostport = parsed.host + (f":{parsed.port}" if parsed.port else "")
    at = host_offset(text)
    rest = text[at + len(hostport) :]
    # of two the last one goes
    last = re.match(r"([^?]*)[; \t]maddr=[^;?]*", rest)
    kept = rest if last is None else last[1].rstrip("; \t") + rest[last.end() :]
    return text[:at] + source + kept


def host_offset(text: str) -> int:
    """Where the host of a URI begins."""
    before_headers = text.partition("?")[0]
    at = before_headers.rfind("@")
    return (at if at >= 0 else text.index(":")) + 1


def _names_source(message: SipMessage, parsed: Uri) -> bool:
    address = addresses.parse_ip(parsed.host)
    return (
        address is not None
        and address == addresses.parse_ip(message.source.host)
        and message.source.port == (parsed.port_number or SIP_PORT)
        and (parsed.param("transport") or "").lower() == message.proto
    )


def _add_alias(
    world: World, header: Header, contact: contacts.Contact, parsed: Uri, alias: str
) -> int:
    message = world.msg
    if message.contact_uri_changed:
        world.say(-1, "nathelper: you can't call alias_contact twice, check your config!")
        return FAILED
    bare = "<" not in header.body
    if bare:
        message.insert(header.body_start, "<")
    hostport = parsed.host + (f":{parsed.port}" if parsed.port else "")
    behind = contact.start + host_offset(contact.uri) + len(hostport)
    message.insert(behind, f";{alias_name(world)}{alias}{'>' if bare else ''}")
    return DONE
