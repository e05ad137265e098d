"""Module dispatcher: which destination a call loads (modules/dispatcher/ds_ht.c)."""

from __future__ import annotations

import attrs

from ksr_stub.models.dispatcher_sets import Destination, Dispatcher
from ksr_stub.world import World


@attrs.define(eq=False)
class Load:
    """A call that a destination has."""

    duid: str
    group: int
    expires: float
    expires_unanswered: float
    answered: bool = False


@attrs.define(eq=False)
class Calls:
    """The calls by Call-ID."""

    by_call_id: dict[str, Load] = attrs.Factory(dict)


def call_id(world: World) -> str:
    """The Call-ID of the message."""
    return world.msg.get("call-id")


def current(world: World) -> Load | None:
    """The load of the message's call."""
    _forget_old(world)
    return world.part(Calls).by_call_id.get(call_id(world))


def add(world: World, group: int, destination: Destination) -> bool:
    """Count the call at a destination; False where it is counted already, or nobody counts."""
    if not destination.duid:
        world.say(-1, f"dispatcher: dst unique id not set for {group}")
        return False
    calls = world.part(Calls).by_call_id
    if not world.param("dispatcher", "ds_hash_size", 0) or current(world) is not None:
        world.say(-1, f"dispatcher: cannot add load to {group}")
        return False
    now = world.clock.now
    longest = world.param("dispatcher", "ds_hash_expire", 7200)
    unanswered = world.param("dispatcher", "ds_hash_initexpire", 7200)
    calls[call_id(world)] = Load(destination.duid, group, now + longest, now + unanswered)
    destination.calls += 1
    return True


def remove(world: World) -> bool:
    """The call is over; False where it loads nobody, or its destination is gone."""
    load = current(world)
    if load is None or not _release(world, load):
        world.say(-1, "dispatcher: cannot find load")
        return False
    del world.part(Calls).by_call_id[call_id(world)]
    return True


def replace(world: World, duid: str) -> int:
    """The call goes to another destination.

    Returns:
        0, -1 where it loads nobody, -2 where there is no such destination.
    """
    load = current(world)
    members = [] if load is None else world.part(Dispatcher).members(load.group)
    if not duid or load is None or not members:
        world.say(-1, f"dispatcher: cannot find load or destination {duid!r}")
        return -1
    new = _named(members, duid)
    if new is None:
        return -2
    del world.part(Calls).by_call_id[call_id(world)]
    _release(world, load)
    return 0 if add(world, load.group, new) else -1


def least_loaded(world: World, members: list[Destination]) -> int | None:
    """The place of the first usable destination with the fewest calls; None: all are full."""
    _forget_old(world)
    free = [n for n, one in enumerate(members) if one.is_usable and one.has_room]
    return min(free, key=lambda n: members[n].calls, default=None)


def _release(world: World, load: Load) -> bool:
    found = _named(world.part(Dispatcher).members(load.group), load.duid)
    if found is None:
        return False
    found.calls = max(0, found.calls - 1)
    return True


def _named(members: list[Destination], duid: str) -> Destination | None:
    return next((one for one in members if one.duid.lower() == duid.lower()), None)


def _forget_old(world: World) -> None:
    now, calls = world.clock.now, world.part(Calls).by_call_id
    for key, load in list(calls.items()):
        if load.expires < now or (not load.answered and load.expires_unanswered < now):
            _release(world, load)
            del calls[key]
