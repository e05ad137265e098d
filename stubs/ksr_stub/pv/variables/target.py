"""Where the request goes: `$ru`, `$rU`, `$du`, `$nh(u)`, ... (modules/pv/pv_core.c)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ksr_stub import ruri, via
from ksr_stub import uri as uris
from ksr_stub.message import ParseError
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import one_of, provide, variable
from ksr_stub.pv.values import Numbered, Value, parse_int, text_of
from ksr_stub.transport import address_family, number, uri_name
from ksr_stub.uri import Uri
from ksr_stub.world import World

_KINDS = {"sip": 1, "sips": 2, "tel": 3, "tels": 4, "urn": 5}


def port(uri: Uri, tls_port: bool = True) -> Value:
    """The port, the default one where there is none: 5061 for transport=tls, else 5060."""
    if uri.port_given:
        return Numbered(uri.port, uri.port_number)
    default = 5061 if tls_port and uri.parsed_proto == "tls" else 5060
    return Numbered(str(default), default)


def transport(uri: Uri) -> Value:
    """The transport as it is written; `UDP` without one."""
    written = uri.known("transport")
    return Numbered(written, number(uri.parsed_proto)) if written else Numbered("UDP", 1)


_ATTRIBUTES: dict[str, Callable[[Uri], Value]] = {
    "U": lambda uri: uri.user or None,
    "d": lambda uri: uri.host or None,
    "p": port,
    "P": transport,
    "z": lambda uri: Numbered(uri.kind, _KINDS[uri.kind]),
    "Ul": lambda uri: len(uri.user),
}


def _parsed(world: World, text: str | None) -> Uri | None:
    if text is None or not world.msg.is_request:
        return None
    found = uris.parse(text)
    if found is None:
        world.say(-1, f"pv: failed to parse the URI <{text}>")
    return found


def _set_uri(world: World, inner: object, index: Index, value: Value) -> bool:
    if not isinstance(value, str):
        world.say(-1, "pv: str value required to set R-URI")
        return False
    world.msg.new_uri = str(value)
    return True


@variable("ru", "ruri", set=_set_uri)
def request_uri(world: World, inner: object, index: Index) -> Value:
    return None if _parsed(world, world.msg.uri) is None else world.msg.uri


@variable("ou", "ouri")
def original_uri(world: World, inner: object, index: Index) -> Value:
    return None if _parsed(world, world.msg.ruri) is None else world.msg.ruri


def _set_user(world: World, inner: object, index: Index, value: Value) -> bool:
    if isinstance(value, int):
        world.say(-1, "pv: str value required to set R-URI user")
        return False
    return ruri.rewrite(world, user=value or "")


def _set_host(world: World, inner: object, index: Index, value: Value) -> bool:
    if not isinstance(value, str):
        world.say(-1, "pv: str value required to set R-URI hostname")
        return False
    return ruri.rewrite(world, host=str(value))


def _set_port(world: World, inner: object, index: Index, value: Value) -> bool:
    return ruri.rewrite(world, port="" if value is None else text_of(value))


def _ruri_part(letter: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        found = _parsed(world, world.msg.uri)
        return None if found is None else _ATTRIBUTES[letter](found)

    return getter


def _ouri_part(letter: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        found = _parsed(world, world.msg.ruri)
        return None if found is None else _ATTRIBUTES[letter](found)

    return getter


provide("rU", _ruri_part("U"), _set_user)
provide("ruri.user", _ruri_part("U"), _set_user)
provide("rd", _ruri_part("d"), _set_host)
provide("ruri.domain", _ruri_part("d"), _set_host)
provide("rp", _ruri_part("p"), _set_port)
provide("rP", _ruri_part("P"))
provide("rz", _ruri_part("z"))
provide("rUl", _ruri_part("Ul"))
for _letter in ("d", "p", "P", "U", "Ul"):
    provide(f"o{_letter}", _ouri_part(_letter))


def _set_destination(world: World, inner: object, index: Index, value: Value) -> bool:
    if isinstance(value, int):
        world.say(-1, "pv: error - str value required to set dst uri")
        return False
    world.msg.dst_uri = str(value) if value else None
    return True


@variable("du", "duri", set=_set_destination)
def destination(world: World, inner: object, index: Index) -> Value:
    return world.msg.dst_uri


def _destination_part(letter: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        if world.msg.dst_uri is None:
            return None
        found = uris.parse(world.msg.dst_uri)
        if found is None:
            world.say(-1, "pv: failed to parse dst uri")
            return None
        if letter == "p" and not found.port:
            return port(attrs.evolve(found, given=found.given - {"port"}))
        return _ATTRIBUTES[letter](found)

    return getter


for _letter in ("d", "p", "P"):
    provide(f"d{_letter}", _destination_part(_letter))


@variable("nh", inner=one_of("u", "U", "d", "p", "P", "i"))
def next_hop(world: World, inner: str, index: Index) -> Value:
    if not world.msg.is_request:
        return _next_hop_of_reply(world, inner)
    text = world.msg.dst_uri or world.msg.new_uri or world.msg.ruri
    if inner == "u":
        return text
    found = uris.parse(text)
    if found is None:
        world.say(-1, f"pv: failed to parse nh uri [{text}]")
        return None
    if inner == "i":
        return address_family(found.host)
    return port(found, tls_port=False) if inner == "p" else _ATTRIBUTES[inner](found)


def _next_hop_of_reply(world: World, inner: str) -> Value:
    try:
        values = via.all_of(world.msg)
    except ParseError:
        return None
    if len(values) < 2 or inner == "U":
        return None
    second = values[1]
    host = second.get("received") or second.host
    proto = second.proto.lower()
    hop_port = parse_int(second.get("rport") or "") or second.port
    hop_port = hop_port or (5061 if proto in ("tls", "wss") else 5060)
    if inner == "u":
        return f"sip:{host}:{hop_port};transport={uri_name(proto)}"
    if inner == "i":
        return address_family(host)
    if inner == "P":
        return Numbered(proto, number(proto))
    return host if inner == "d" else hop_port
