"""`$hdr(Name)`, `$(hdr(Name)[1])`, `$hdrc(Name)` (modules/pv/pv_core.c)."""

from __future__ import annotations

import functools
import re

from ksr_stub.message import Header, SipMessage, header_key
from ksr_stub.pv.spec import Index, Spec, parse
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value, no_value, text_of
from ksr_stub.world import World

_NAME = re.compile(r"[A-Za-z0-9\-._+~]+[ \t]*")


def header_name(text: str) -> str | Spec:
    """The key of a header name, `*` for every header, or the variable with the name.

    Raises:
        ValueError: no header is called so.
    """
    if text.startswith("$"):
        return parse(text)[0]
    if text == "*":
        return "*"
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"error parsing header name [{text}]")
    return header_key(text)


def key_of(world: World, inner: str | Spec) -> str:
    """The key of the header name that is asked for.

    Raises:
        NoValue: a variable without one.
    """
    if isinstance(inner, str):
        return inner
    value = inner.value(world)
    if value is None or not text_of(value):
        raise no_value(world, "invalid header name")
    return header_key(text_of(value))


def _all(message: SipMessage, key: str) -> list[Header]:
    return list(message.headers) if key == "*" else list(message.all(key))


@variable("hdr", inner=header_name, indexed=True)
def header(world: World, inner: str | Spec, index: Index) -> Value:
    found = [one.body for one in _all(world.msg, key_of(world, inner))]
    if world.msg.unreadable():
        return None
    number, every = index.resolve(world)
    if not found:
        return None
    if index.kind == "next":
        return None
    if every:
        # an empty body at the start gets no comma
        return functools.reduce(lambda text, body: f"{text},{body}" if text else body, found)
    return found[number] if -len(found) <= number < len(found) else None


@variable("hdrc", inner=header_name)
def header_count(world: World, inner: str | Spec, index: Index) -> Value:
    if world.msg.unreadable():
        return 0
    return len([one for one in world.msg.headers if one.key == key_of(world, inner)])
