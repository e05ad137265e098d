"""KSR.siputils: Contacts that hide the address they come from (modules/siputils/contact_ops.c)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

import attrs

from ksr_stub import contacts, uri
from ksr_stub.contacts import Contact
from ksr_stub.errors import Unpredictable
from ksr_stub.message import ParseError
from ksr_stub.params import parse as parse_params
from ksr_stub.registry import model
from ksr_stub.world import World

_NO_CONTACT, _BAD_CONTACT, _BAD_URI = -1, -4, -509
_SHORTEST = 4


def _of_first_header(world: World) -> list[Contact] | None:
    """The Contacts of the first header field, None where Kamailio can't parse it."""
    header = world.msg.first("contact")
    try:
        return [] if header is None else contacts.of_header(world.msg, header)
    except ParseError:
        world.say(-1, "siputils: contact parsing failed")
        return None


def _separator(world: World) -> str:
    return world.param("siputils", "contact_flds_separator", "*")[:1] or "*"


@model("siputils")
def encode_contact(world: World, prefix: str, address: str) -> int:
    """Put user, address and transport of each Contact into its user, before another address.

    `sip:a@10.0.0.1:5062;transport=tcp` becomes `sip:prefix*a**10.0.0.1*5062*tcp@address`.

    Returns:
        1; -1 without Contact, -4 for one that can't be parsed; others for what is no URI.
    """
    return _rewrite(world, lambda written: _encoded(world, written, prefix, address))


def _rewrite(world: World, change: Callable[[str], str | int]) -> int:
    """Put another URI into each Contact; 1, or the code in place of the first one without."""
    if world.msg.first("contact") is None:
        return _NO_CONTACT
    found = _of_first_header(world)
    if found is None:
        return _BAD_CONTACT
    for one in found:
        changed = change(_written(world, one))
        if isinstance(changed, int):
            return changed
        world.msg.replace(one.start, one.end - one.start, changed)
    return 1


def _written(world: World, one: Contact) -> str:
    return world.msg.buf[one.start : one.end]


def _encoded(world: World, text: str, prefix: str, address: str) -> str | int:
    if len(text) <= 1:
        return -1
    colon, bracket, end = text.find(":"), text.find("<"), len(text)
    if bracket >= 0:
        end = text.find(">", colon)
        if colon < bracket + 4 or end < 0:
            return -22 if colon < 0 else -23 if colon < bracket + 4 else -24
    elif colon < 3:
        return -25 if colon < 0 else -26
    parsed = uri.parse(text[colon - 3 : end])
    if parsed is None:
        return _BAD_URI
    parts = (
        prefix, parsed.user, parsed.password, parsed.host, parsed.port,
        parsed.known("transport"),
    )  # fmt: skip
    return f"{text[: colon + 1]}{_separator(world).join(parts)}@{address}{text[end:]}"


@model("siputils")
def decode_contact(world: World) -> int:
    """Undo encode_contact on the R-URI; 1, or an error for one that is not encoded."""
    decoded = _decoded(world.msg.uri, _separator(world))
    if isinstance(decoded, int):
        world.say(-1, f"siputils: failed decoding contact [{world.msg.uri}]")
        return decoded
    world.msg.new_uri = decoded
    return 1


@model("siputils")
def decode_contact_header(world: World) -> int:
    """Undo encode_contact on each Contact; 1, or an error for one that is not encoded."""
    return _rewrite(world, lambda written: _decoded(written, _separator(world)))


def _decoded(text: str, separator: str) -> str | int:
    scheme, colon, rest = text.partition(":")
    if not text:
        return -1
    if not colon:
        return -22
    hidden, at, shown = rest.partition("@")
    if not at:
        return -23
    parts = hidden.split(separator)
    if len(parts) != 6:
        return -26 if len(parts) < 6 else -24
    _, user, password, host, port, transport = parts
    if not host:
        return -2
    if password and not user:
        return -3
    tail = re.search("[;>].*", shown, re.DOTALL)
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    named = f":{port}" if port else ""
    by = f";transport={transport}" if transport else ""
    return f"{scheme}:{login}{host}{named}{by}{tail[0] if tail else ''}"


@model("siputils")
def contact_param_encode(world: World, name: str, address: str) -> int:
    """Let each Contact be a URI of ours, with its own in Base64 as a parameter.

    Returns 1, also without Contact; -4 for one that can't be parsed.
    """
    found = _of_first_header(world)
    if found is None:
        return _BAD_CONTACT
    buf = world.msg.buf
    for one in found:
        if one.end - one.start <= _SHORTEST:
            continue
        packed = base64.urlsafe_b64encode(_written(world, one).encode("latin-1")).rstrip(b"=")
        hidden = f"{address};{name}={packed.decode()}"
        bare = buf[one.start - 1] != "<"
        world.msg.replace(one.start, one.end - one.start, f"<{hidden}>" if bare else hidden)
    return 1


@attrs.frozen
class _Found:
    """A parameter of a URI, with its place in it: the semicolon before it, and its end."""

    value: str
    start: int
    end: int


class _BadParams(Exception):
    """Kamailio does not take a parameter with `=` and nothing behind it."""


def _param(text: str, name: str) -> _Found | None:
    """A parameter of a URI.

    Raises:
        ValueError: it is no URI.
        _BadParams: it has a parameter that is none.
    """
    parsed = uri.parse(text)
    if parsed is None:
        raise ValueError(text)
    if not parsed.params:
        return None
    begin = text.find(";" + parsed.params) + 1
    found = parse_params(text, begin - 1, begin + len(parsed.params))[0]
    if any(one.value == "" and not text[: one.end].endswith('"') for one in found):
        raise _BadParams(parsed.params)
    for one in reversed(found):  # parse_params puts the last one first
        if one.name.lower() == name.lower():
            return _Found(one.value or "", text.rfind(";", 0, one.start + 1), one.end)
    return None


def _every_contact(world: World) -> list[Contact]:
    if world.msg.unreadable():
        return []
    try:
        found = [
            one
            for header in world.msg.all("contact")
            for one in contacts.of_header(world.msg, header)
        ]
    except ParseError:
        return []
    return [one for one in found if one.end - one.start >= _SHORTEST]


@model("siputils")
def contact_param_decode(world: World, name: str) -> int:
    """Undo contact_param_encode on each Contact; 1, -1 for what is no URI or no Base64."""
    for one in _every_contact(world):
        try:
            decoded = _unpacked(world, _written(world, one), name)
        except _BadParams:
            continue
        if decoded is None:
            return -1
        if decoded:
            world.msg.replace(one.start, one.end - one.start, decoded)
    return 1


@model("siputils")
def contact_param_decode_ruri(world: World, name: str) -> int:
    """Undo contact_param_encode on the R-URI; 1, -1 for what is no URI or no Base64."""
    try:
        decoded = _unpacked(world, world.msg.uri, name)
    except _BadParams:
        decoded = None
    if decoded is None:
        return -1
    if decoded:
        world.msg.new_uri = decoded
    return 1


def _unpacked(world: World, text: str, name: str) -> str | None:
    """The URI in a parameter, '' without one, None for what is no URI or no Base64."""
    try:
        found = _param(text, name)
    except ValueError:
        world.say(-1, f"siputils: failed to parse contact uri [{text}]")
        return None
    if found is None or not found.value:
        return ""
    if re.fullmatch(r"[A-Za-z0-9_-]*={0,2}", found.value) is None:
        raise world.fault(Unpredictable(f"{found.value!r} is no Base64: check it before"))
    try:
        padded = found.value + "=" * (-len(found.value) % 4)
        return base64.urlsafe_b64decode(padded).decode("latin-1") or None
    except binascii.Error:
        return None


@model("siputils")
def contact_param_rm(world: World, name: str) -> int:
    """Take a parameter out of the URI of each Contact; 1, -1 for what is no URI."""
    for one in _every_contact(world):
        try:
            found = _param(_written(world, one), name)
        except ValueError:
            return -1
        except _BadParams:
            continue
        if found is not None:
            world.msg.delete(one.start + found.start, found.end - found.start)
    return 1
