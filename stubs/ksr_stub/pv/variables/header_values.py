"""`$(hfl(Via)[1])`, `$hflc(Contact)`: the values of Via, Contact, Route and Record-Route, one by
one, be they in one header field or in several; of others the header fields (modules/pv/pv_core.c).
"""

from __future__ import annotations

from ksr_stub import contacts, nameaddr, via
from ksr_stub.message import ParseError
from ksr_stub.pv.spec import Index, Spec
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.pv.variables import headers
from ksr_stub.world import World

_SPACE = " \t\r\n"
_ROUTES = ("route", "record-route")


def _values(world: World, key: str) -> list[str]:
    """What the header fields of a name hold.

    Raises:
        ParseError: Kamailio can't parse one of them.
    """
    message = world.msg
    if key == "via":
        return [message.buf[one.start : one.end].strip(_SPACE) for one in via.all_of(message)]
    if key == "contact":
        found = [one.value for one in contacts.all_of(message)]
    else:
        found = nameaddr.all_of(message, key)
        if not all(one.bracketed for one in found):
            raise ParseError("a Route without brackets")
    return [message.buf[one.start : one.end].strip(_SPACE) for one in found]


@variable("hfl", inner=headers.header_name, indexed=True)
def value(world: World, inner: str | Spec, index: Index) -> Value:
    key = headers.key_of(world, inner)
    number, every = index.resolve(world)
    if every or key not in ("via", "contact", *_ROUTES):
        return headers.header(world, inner, index)
    if world.msg.unreadable():
        return None
    try:
        found = _values(world, key)
    except ParseError:
        return None
    if number < 0:
        # 5.6.3 counts one too many: -1 is behind the last one
        number += len(found) + (world.version == "5.6")
    return found[number] if 0 <= number < len(found) else None


@variable("hflc", inner=headers.header_name)
def count(world: World, inner: str | Spec, index: Index) -> Value:
    key = headers.key_of(world, inner)
    if world.msg.unreadable():
        return 0
    if key not in ("via", "contact", *_ROUTES):
        return headers.header_count(world, inner, index)
    try:
        return len(_values(world, key))
    except ParseError:
        return 0
