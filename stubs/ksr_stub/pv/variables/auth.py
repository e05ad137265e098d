"""Credentials: `$au`, `$ar`, `$adn`, ... of the Proxy-Authorization, else the Authorization."""

from __future__ import annotations

import re
from collections.abc import Callable

from ksr_stub import tobody
from ksr_stub import uri as uris
from ksr_stub.message import Header, SipMessage
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import provide, variable
from ksr_stub.pv.values import Value
from ksr_stub.world import World

_DIGEST = re.compile(r"Digest[ \t\r\n]+", re.IGNORECASE)
_FIELD = re.compile(
    r"[ \t\r\n]*([^ \t\r\n=,]+)[ \t\r\n]*=[ \t\r\n]*(?:\"((?:[^\"\\]|\\.)*)\"|([^ \t\r\n,\"]+))"
    r"[ \t\r\n]*(,|$)",
    re.DOTALL,
)


def credentials(message: SipMessage) -> dict[str, str] | None:
    """The digest fields, names in lower case; None without a header that can be parsed."""
    header = message.first("proxy-authorization") or message.first("authorization")
    return None if header is None else parsed(header)


def parsed(header: Header) -> dict[str, str] | None:
    """The digest fields of a header; None where it can't be parsed."""
    scheme = _DIGEST.match(header.body)
    if scheme is None:
        return None
    fields: dict[str, str] = {}
    at = scheme.end()
    while at < len(header.body):
        match = _FIELD.match(header.body, at)
        if match is None:
            return None
        fields[match[1].lower()] = match[2] if match[2] is not None else match[3]
        at = match.end()
    return fields


def _user(fields: dict[str, str]) -> str:
    return fields.get("username", "").partition("@")[0]


def _domain(fields: dict[str, str]) -> str:
    return fields.get("username", "").partition("@")[2]


def _field(read: Callable[[dict[str, str]], Value]) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        if world.msg.method in ("ACK", "CANCEL"):
            return None
        fields = credentials(world.msg)
        return None if fields is None else read(fields)

    return getter


_READERS: dict[str, Callable[[dict[str, str]], Value]] = {
    "au": _user,
    "ad": _domain,
    "aU": lambda fields: fields.get("username", ""),
    "ar": lambda fields: fields.get("realm", ""),
    "adu": lambda fields: fields.get("uri") or None,
    "aa": lambda fields: fields.get("algorithm", ""),
    "adn": lambda fields: fields.get("nonce", ""),
    "adc": lambda fields: fields.get("cnonce", ""),
    "adr": lambda fields: fields.get("response", ""),
    "ado": lambda fields: fields.get("opaque", ""),
}

for _name, _reader in _READERS.items():
    provide(_name, _field(_reader))


@variable("AU")
def accounted_user(world: World, inner: object, index: Index) -> Value:
    body = tobody.of(world.msg, "from")
    uri = None if body is None else uris.parse(body.uri)
    return None if uri is None else uri.user


@variable("Au")
def accounted_username(world: World, inner: object, index: Index) -> Value:
    body = tobody.of(world.msg, "from")
    uri = None if body is None else uris.parse(body.uri)
    return None if uri is None else f"{uri.user}@{uri.host}"
