"""rr's pseudo-variables: `$route_uri`, `$fti`, `$tti`, `$rdir(name)` (rr/rr_mod.c)."""

from __future__ import annotations

from ksr_stub import nameaddr, route_set
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
