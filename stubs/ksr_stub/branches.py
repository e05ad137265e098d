"""The branch set of a request: where append_branch and lookup put further destinations.

Kamailio keeps it beside the message, one for each process: it is empty when a new message
comes, and t_relay forks to the R-URI and to each entry.
"""

from __future__ import annotations

import attrs

from ksr_stub.message import Socket
from ksr_stub.world import World

MAX_BRANCHES = 12
Q_UNSPECIFIED = -1


@attrs.define(eq=False)
class Branch:
    """One further destination. `q` is 0..1000, -1 where it has none."""

    uri: str
    dst_uri: str = ""
    path: str = ""
    socket: Socket | None = None
    q: int = Q_UNSPECIFIED
    bflags: int = 0
    instance: str = ""
    ruid: str = ""
    ua: str = ""
    connection: int = 0
    reg_id: int = 0


@attrs.define(eq=False)
class BranchSet:
    """The entries, in the order they were added."""

    entries: list[Branch] = attrs.Factory(list)


def current(world: World) -> list[Branch]:
    """The branch set of the message being routed; changing the list changes the set."""
    return world.part(BranchSet).entries


def append(world: World, branch: Branch) -> bool:
    """Add a destination.

    Returns:
        False where the set is full (12, the core parameter max_branches).
    """
    entries = current(world)
    if len(entries) >= world.param("core", "max_branches", MAX_BRANCHES) - 1:
        world.say(-1, "core: max nr of branches exceeded")
        return False
    entries.append(branch)
    return True


def clear(world: World) -> None:
    """Forget all destinations but the R-URI."""
    current(world).clear()


def swap(world: World, entries: list[Branch]) -> list[Branch]:
    """Put another set in force, and return the former: nested routes have their own."""
    part = world.part(BranchSet)
    former, part.entries = part.entries, entries
    return former
