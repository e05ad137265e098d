"""Credentials: `$au`, `$ar`, `$adn`, ... of the Proxy-Authorization, else the Authorization."""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub import tobody
from ksr_stub import uri as uris
from ksr_stub.credentials import Credentials, parse
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import provide, variable
from ksr_stub.pv.values import Value
from ksr_stub.world import World


def credentials(message: SipMessage) -> Credentials | None:
    """The digest fields; None without a header that can be parsed."""
    header = message.first("proxy-authorization") or message.first("authorization")
    try:
        return None if header is None else parse(header)
    except ParseError:
        return None


def _field(read: Callable[[Credentials], Value]) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        if world.msg.method in ("ACK", "CANCEL"):
            return None
        fields = credentials(world.msg)
        return None if fields is None else read(fields)

    return getter


_READERS: dict[str, Callable[[Credentials], Value]] = {
    "au": lambda fields: fields.user,
    "ad": lambda fields: fields.domain,
    "aU": lambda fields: fields.get("username"),
    "ar": lambda fields: fields.get("realm"),
    "adu": lambda fields: fields.get("uri") or None,
    "aa": lambda fields: fields.get("algorithm"),
    "adn": lambda fields: fields.get("nonce"),
    "adc": lambda fields: fields.get("cnonce"),
    "adr": lambda fields: fields.get("response"),
    "ado": lambda fields: fields.get("opaque"),
}

for _name, _reader in _READERS.items():
    provide(_name, _field(_reader))


def _authorized(message: SipMessage) -> Credentials | None:
    """The credentials that a check of module auth has found right, if they name a user."""
    for key in ("proxy-authorization", "authorization"):
        header = message.notes.get(f"auth.{key}")
        if isinstance(header, Header):
            found = parse(header)
            return found if found is not None and found.user else None
    return None


@variable("AU")
def accounted_user(world: World, inner: object, index: Index) -> Value:
    """The user of right credentials, else that of From."""
    found = _authorized(world.msg)
    if found is not None:
        return found.user
    body = tobody.of(world.msg, "from")
    uri = None if body is None else uris.parse(body.uri)
    return None if uri is None else uri.user


@variable("Au")
def accounted_username(world: World, inner: object, index: Index) -> Value:
    """User and domain, or realm, of right credentials, else those of From."""
    found = _authorized(world.msg)
    if found is not None:
        realm = found.domain or found.get("realm")
        return f"{found.user}@{realm}" if realm else found.user
    body = tobody.of(world.msg, "from")
    uri = None if body is None else uris.parse(body.uri)
    return None if uri is None else f"{uri.user}@{uri.host}"
