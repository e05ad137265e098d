"""Module cfgutils: locks, chance and hashes."""

from __future__ import annotations

import random

import attrs

from ksr_stub.hashing import core_hash as hashed
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import World


@attrs.define(eq=False)
class Chance:
    """The probability of rand_event in percent; seeded, so that a test repeats itself."""

    probability: int | None = None
    source: random.Random = attrs.Factory(lambda: random.Random(5060))  # noqa: S311
    held: set[tuple[str, str]] = attrs.Factory(set)


@variable("RANDOM")
def random_number(world: World, inner: object, index: object) -> Value:
    """A number of up to 31 bits."""
    return world.part(Chance).source.randrange(2**31)


def _probability(world: World) -> int:
    chosen = world.part(Chance).probability
    return world.param("cfgutils", "initial_probability", 10) if chosen is None else chosen


@model("cfgutils")
def lock(world: World, lkey: str, lkey2: str = "") -> int:
    """Lock a key, on 6.0.1 of two parts; -1 without `lock_set_size`. The one worker never waits."""
    if not world.param("cfgutils", "lock_set_size", 0):
        return -1
    world.part(Chance).held.add((lkey, lkey2))
    return 1


@model("cfgutils")
def unlock(world: World, lkey: str, lkey2: str = "") -> int:
    """Unlock a key; 1 also if it was not locked."""
    if not world.param("cfgutils", "lock_set_size", 0):
        return -1
    world.part(Chance).held.discard((lkey, lkey2))
    return 1


@model("cfgutils")
def trylock(world: World, lkey: str, lkey2: str = "") -> int:
    """Lock a key unless it is locked: then -1."""
    if (lkey, lkey2) in world.part(Chance).held:
        return -1
    return lock(world, lkey, lkey2)


@model("cfgutils")
def rand_set_prob(world: World, percent: int) -> int:
    """Set the probability of rand_event; it is not checked."""
    world.part(Chance).probability = percent
    return 1


@model("cfgutils")
def rand_reset_prob(world: World) -> int:
    """Back to `initial_probability`."""
    world.part(Chance).probability = None
    return 1


@model("cfgutils")
def rand_get_prob(world: World) -> int:
    """The probability in percent."""
    return _probability(world)


@model("cfgutils")
def rand_event(world: World) -> int:
    """1 with the probability, else -1."""
    chance = world.part(Chance)
    return 1 if chance.source.uniform(0, 100) < _probability(world) else -1


@model("cfgutils")
def core_hash(world: World, s1: str, s2: str, sz: int) -> int:
    """The hash of one or two texts, from 1 to 2 to the power of `sz`."""
    return hashed(s1, s2 or None, 2 if sz <= 0 else 1 << sz) + 1


@model("cfgutils", "sleep", "usleep")
def sleep(world: World, _time: int) -> int:
    """Nothing waits in a test; a real worker would."""
    return 1


@model("cfgutils", "check_route_exists", "route_if_exists")
def check_route_exists(world: World, _name: str) -> int:
    """A KEMI script has no routes of the native language."""
    return -1


@model("cfgutils", "pkg_status", "pkg_summary", "shm_status", "shm_summary")
def pkg_status(world: World) -> int:
    """Write how the memory is used to the log. Returns 1."""
    world.say(-1, "cfgutils: the stub has no memory of its own to tell about")
    return 1
