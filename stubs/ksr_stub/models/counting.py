"""Modules statistics and counters: numbers that are counted up and down; and uuid."""

from __future__ import annotations

import uuid

import attrs

from ksr_stub.errors import WrongArguments
from ksr_stub.registry import model
from ksr_stub.world import World

_WORD = 2**64


@attrs.define(eq=False)
class Counts:
    """The statistics and counters by name."""

    values: dict[str, int] = attrs.Factory(dict)


def _names(world: World, module: str, parameter: str) -> set[str]:
    given: str | tuple[str, ...] = world.param(module, parameter, ())
    specs = (given,) if isinstance(given, str) else given
    return {spec.split("/")[0].split(" ")[0].strip() for spec in specs}


@model("statistics")
def update_stat(world: World, name: str, value: int) -> int:
    """Add to a statistic of `modparam("statistics", "variable", ...)`; -1: there is none."""
    return _add(world, _names(world, "statistics", "variable"), name, value)


@model("statistics")
def reset_stat(world: World, name: str) -> int:
    """Set a statistic to 0; -1: there is none."""
    return _reset(world, _names(world, "statistics", "variable"), name)


@model("counters")
def inc(world: World, sname: str) -> int:
    """Count one up; -1: `modparam("counters", "script_counter", ...)` has none of that name."""
    return add(world, sname, 1)


@model("counters")
def add(world: World, sname: str, v: int) -> int:
    """Add to a counter; -1: there is none."""
    _refuse_group(world, sname)
    return _add(world, _names(world, "counters", "script_counter"), sname, v)


@model("counters")
def reset(world: World, sname: str) -> int:
    """Set a counter to 0; -1: there is none."""
    _refuse_group(world, sname)
    return _reset(world, _names(world, "counters", "script_counter"), sname)


@model("uuid", "get", "rget")
def get(world: World) -> str:
    """A random UUID (RFC 4122, version 4)."""
    return str(uuid.uuid4())


def _add(world: World, known: set[str], name: str, value: int) -> int:
    if name not in known:
        world.say(-1, f"no statistic or counter {name}")
        return -1
    values = world.part(Counts).values
    values[name] = (values.get(name, 0) + value) % _WORD
    return 1


def _reset(world: World, known: set[str], name: str) -> int:
    if name not in known:
        return -1
    world.part(Counts).values[name] = 0
    return 1


def _refuse_group(world: World, name: str) -> None:
    if "." in name and world.strict:
        raise world.fault(
            WrongArguments(
                f"the counter {name!r} is named with its group: Kamailio writes a NUL over the dot,"
                " in Python's own string, so that the next call with this text raises SystemError;"
                " name a counter of the group `script` without a group"
            )
        )
