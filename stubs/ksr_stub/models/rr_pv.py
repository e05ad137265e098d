"""rr's pseudo-variables: `$route_uri`, `$fti`, `$tti`, `$rdir(name)` (rr/rr_mod.c)."""

from __future__ import annotations

from ksr_stub import nameaddr, route_set, uri
from ksr_stub.message import ParseError
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value, no_value
from ksr_stub.world import World


@variable("route_uri")
def route_uri(world: World, inner: object, index: object) -> Value:
    """The URI of the first Route."""
    try:
        hops = route_set.hops_of(world.msg)
    except ParseError as error:
        raise no_value(world, f"rr: {error}") from None
    if not hops:
        raise no_value(world, "rr: No route header present.")
    return hops[0].value.uri


@variable("rr_count")
def record_route_count(world: World, inner: object, index: object) -> Value:
    """How many Record-Routes there are (module nathelper)."""
    return len(_record_routes(world))


@variable("rr_top_count")
def record_route_top_count(world: World, inner: object, index: object) -> Value:
    """How many Record-Routes the last proxy put in: 2 where it says `r2` (module nathelper)."""
    found = _record_routes(world)
    if not found:
        return 0
    parsed = uri.parse(found[0].uri)
    if parsed is None:
        raise no_value(world, "nathelper: while parsing rr uri")
    return 2 if parsed.has_param("r2") else 1


def _record_routes(world: World) -> list[nameaddr.NameAddr]:
    if world.msg.unreadable():
        raise no_value(world, "nathelper: while parsing message")
    try:
        found = nameaddr.all_of(world.msg, "record-route")
    except ParseError as error:
        raise no_value(world, f"nathelper: {error}") from None
    if not all(one.bracketed for one in found):
        raise no_value(world, "nathelper: while parsing rr header")
    return found


def _tag(world: World, name: str) -> Value:
    value = nameaddr.of(world.msg, name)
    return value.tag if value is not None and value.tag else None


@variable("fti")
def from_tag_initial(world: World, inner: object, index: object) -> Value:
    """The From tag of the request that began the dialog."""
    return _tag(world, "to" if route_set.upstream(world, world.msg) else "from")


@variable("tti")
def to_tag_initial(world: World, inner: object, index: object) -> Value:
    """The To tag of the reply to the request that began the dialog."""
    return _tag(world, "from" if route_set.upstream(world, world.msg) else "to")


@variable("rdir", inner=one_of("id", "name"))
def direction(world: World, inner: str, index: object) -> Value:
    """`downstream` or `upstream`, as a number 1 or 2."""
    up = route_set.upstream(world, world.msg)
    if inner == "name":
        return "upstream" if up else "downstream"
    return 2 if up else 1
