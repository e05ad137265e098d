"""Module dispatcher: sets of destinations, and one of them for a request (modules/dispatcher)."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import ClassVar

import attrs

from ksr_stub import uri
from ksr_stub.errors import NotModelled
from ksr_stub.hashing import core_hash
from ksr_stub.registry import model
from ksr_stub.world import World

FAILOVER = 2
NO_PORT, NO_PROTO = 1, 2
INACTIVE, TRYING, DISABLED, PROBING = 1, 2, 4, 8
_STATES = {"a": 0, "i": INACTIVE, "t": TRYING, "d": DISABLED, "p": PROBING}
BY_HASH, ROUND_ROBIN, RANDOM, BY_PRIORITY = (0, 1, 2, 3), 4, 6, 8


@attrs.define(eq=False)
class Destination:
    """A gateway; `state` 0 is active."""

    uri: str
    state: int = 0
    priority: int = 0
    attributes: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether requests are sent there."""
        return not self.state & (INACTIVE | DISABLED)


@attrs.define(eq=False)
class Dispatcher:
    """The sets: from `list_file`, or as the test adds to them."""

    needs_world: ClassVar[bool] = True

    world: World
    sets: dict[int, list[Destination]] = attrs.Factory(dict)
    # Call-ID and CSeq of a request to what is left to try, the current one first
    chosen: dict[tuple[str, str], list[Destination]] = attrs.Factory(dict)
    _last: dict[int, int] = attrs.Factory(dict)
    _chance: random.Random = attrs.Factory(lambda: random.Random(5060))  # noqa: S311

    def __attrs_post_init__(self) -> None:
        path = self.world.param("dispatcher", "list_file", "")
        if path and Path(path).exists():
            self._read(Path(path))

    def add(self, group: int, address: str, priority: int = 0, state: int = 0) -> Destination:
        """Add a destination; those of a set are tried by falling priority."""
        destination = Destination(address, state, priority)
        members = self.sets.setdefault(group, [])
        members.append(destination)
        members.sort(key=lambda member: -member.priority)
        return destination

    def choose(self, group: int, algorithm: int) -> list[Destination]:
        """The destination for the request, and those after it; [] where none is usable."""
        members = self.sets.get(group, [])
        if not any(member.is_usable for member in members):
            return []
        start = self._start(group, algorithm, len(members))
        order = members[start:] + members[:start]
        usable = [member for member in order if member.is_usable]
        if algorithm == ROUND_ROBIN:
            self._last[group] = members.index(usable[0]) + 1
        return usable

    def _start(self, group: int, algorithm: int, size: int) -> int:
        if algorithm == ROUND_ROBIN:
            return self._last.get(group, 0) % size
        if algorithm == BY_PRIORITY:
            return 0
        if algorithm == RANDOM:
            return self._chance.randrange(size)
        if algorithm in BY_HASH:
            return core_hash(self._hash_key(algorithm)) % size
        raise self.world.fault(
            NotModelled(
                f"dispatcher algorithm {algorithm} has no model: 0 to 4, 6 and 8 have one;"
                " let the test answer with ksr.answer('dispatcher.ds_select_dst', ...)"
            )
        )

    def _hash_key(self, algorithm: int) -> str:
        message = self.world.msg
        if algorithm == 0:
            return message.get("call-id")
        if algorithm == 3:
            return message.uri
        return message.get("from" if algorithm == 1 else "to")

    def _read(self, path: Path) -> None:
        for line in path.read_text().splitlines():
            words = line.split("#")[0].split()
            if len(words) < 2:
                continue
            numbers = [int(word) for word in words[2:4] if re.fullmatch(r"\d+", word)]
            state, priority = [*numbers, 0, 0][:2]
            self.add(int(words[0]), words[1], priority, state).attributes = " ".join(words[4:])


def _key(world: World) -> tuple[str, str]:
    return world.msg.get("call-id"), world.msg.get("cseq").split()[0]


def _apply(world: World, destination: Destination, *, domain: bool) -> None:
    if not domain:
        world.msg.dst_uri = destination.uri
        return
    target, current = uri.parse(destination.uri), uri.parse(world.msg.uri)
    if target is not None and current is not None:
        user = f"{current.user}@" if current.user else ""
        port = f":{target.port}" if target.port else ""
        world.msg.new_uri = f"{current.scheme}:{user}{target.host}{port}"


def _select(world: World, group: int, algorithm: int, limit: int, *, domain: bool) -> int:
    part = world.part(Dispatcher)
    if group not in part.sets:
        world.say(-1, f"dispatcher: destination set [{group}] not found")
        return -1
    found = part.choose(group, algorithm)
    if not found:
        return -1
    keep = limit if limit > 0 else len(found)
    part.chosen[_key(world)] = found[:keep]
    _apply(world, found[0], domain=domain)
    return 1


@model("dispatcher")
def ds_select_dst(world: World, group: int, alg: int) -> int:
    """Set `$du` to a destination of a set; -1: no such set, or none is active."""
    return _select(world, group, alg, 0, domain=False)


@model("dispatcher")
def ds_select_dst_limit(world: World, group: int, alg: int, limit: int) -> int:
    """As ds_select_dst, with at most `limit` destinations to try."""
    return _select(world, group, alg, limit, domain=False)


@model("dispatcher")
def ds_select_domain(world: World, group: int, alg: int) -> int:
    """Set host and port of the R-URI to a destination of a set."""
    return _select(world, group, alg, 0, domain=True)


@model("dispatcher")
def ds_select_domain_limit(world: World, group: int, alg: int, limit: int) -> int:
    """As ds_select_domain, with at most `limit` destinations to try."""
    return _select(world, group, alg, limit, domain=True)


@model("dispatcher")
def ds_next_dst(world: World) -> int:
    """Go to the next destination; -1: there is none, or `flags` has no failover (2)."""
    return _next(world, domain=False)


@model("dispatcher")
def ds_next_domain(world: World) -> int:
    """As ds_next_dst, for the R-URI."""
    return _next(world, domain=True)


def _next(world: World, *, domain: bool) -> int:
    if not world.param("dispatcher", "flags", 0) & FAILOVER:
        world.say(0, "dispatcher: failover support disabled")
        return -1
    left = world.part(Dispatcher).chosen.get(_key(world), [])
    if len(left) < 2:
        return -1
    del left[0]
    _apply(world, left[0], domain=domain)
    return 1


@model("dispatcher")
def ds_mark_dst(world: World) -> int:
    """Mark the current destination inactive and probing."""
    return ds_mark_dst_state(world, "ip")


@model("dispatcher")
def ds_mark_dst_state(world: World, sval: str) -> int:
    """Mark the current destination: letters of `aitdp`; -1 for others."""
    left = world.part(Dispatcher).chosen.get(_key(world), [])
    letters = sval.lower()
    if not left or not letters or any(letter not in _STATES for letter in letters):
        return -1
    left[0].state = sum({_STATES[letter] for letter in letters})
    return 1


@model("dispatcher")
def ds_list_exists(world: World, sid: int) -> int:
    """1: there is such a set."""
    return 1 if sid in world.part(Dispatcher).sets else -1


@model("dispatcher")
def ds_is_active(world: World, sid: int) -> int:
    """1: a destination of the set is active."""
    members = world.part(Dispatcher).sets.get(sid, [])
    return 1 if any(member.is_usable for member in members) else -1


@model("dispatcher")
def ds_is_active_uri(world: World, sid: int, suri: str) -> int:
    """1: the destination with this URI is active."""
    members = world.part(Dispatcher).sets.get(sid, [])
    return 1 if any(m.is_usable and _same(m.uri, suri, 0) for m in members) else -1


@model("dispatcher")
def ds_is_from_lists(world: World) -> int:
    """1: the request comes from a destination of any set."""
    return ds_is_from_list_mode(world, -1, NO_PROTO)


@model("dispatcher")
def ds_is_from_list(world: World, group: int) -> int:
    """1: the request comes from a destination of the set."""
    return ds_is_from_list_mode(world, group, NO_PROTO)


@model("dispatcher")
def ds_is_from_list_mode(world: World, vset: int, vmode: int) -> int:
    """As ds_is_from_list; mode 1 ignores the port, 2 the protocol."""
    source = world.msg.source
    host = f"[{source.host}]" if ":" in source.host else source.host
    proto = world.msg.socket.proto
    text = f"sip:{host}:{source.port};transport={proto}"
    return ds_is_from_list_uri(world, vset, vmode, text)


@model("dispatcher")
def ds_is_from_list_uri(world: World, vset: int, vmode: int, vuri: str) -> int:
    """1: a destination of the set (-1: of any) has this address."""
    sets = world.part(Dispatcher).sets
    members = [m for group in sets.values() for m in group] if vset == -1 else sets.get(vset, [])
    return 1 if any(_same(member.uri, vuri, vmode) for member in members) else -1


def _same(first: str, second: str, mode: int) -> bool:
    one, other = uri.parse(first), uri.parse(second)
    if one is None or other is None or one.host.lower() != other.host.lower():
        return False
    ports = mode & NO_PORT or one.effective_port == other.effective_port
    return bool(ports and (mode & NO_PROTO or one.proto == other.proto))
