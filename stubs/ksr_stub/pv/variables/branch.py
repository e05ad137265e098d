"""The branch set: `$(branch(uri)[0])`, `$sbranch(uri)`, `$br`, `$bR` (modules/pv/pv_branch.c)."""

from __future__ import annotations

import attrs

from ksr_stub import branches
from ksr_stub.branches import Q_UNSPECIFIED, Branch
from ksr_stub.message import Socket
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value, number_of
from ksr_stub.pv.variables.network import find_socket
from ksr_stub.world import World

_FIELDS = {
    "uri": "uri", "dst_uri": "dst_uri", "path": "path", "q": "q", "Q": "q", "count": "",
    "send_socket": "socket", "flags": "bflags", "ruid": "ruid", "location_ua": "ua",
    "otcpid": "connection", "instance": "instance",
}  # fmt: skip
_TEXTS = ("uri", "dst_uri", "path")
_NUMBERS = ("q", "bflags", "connection")


@attrs.define(eq=False)
class StaticBranch:
    """The branch that `$sbranch(...)` fills, for sbranch_append and sbranch_set_ruri."""

    branch: Branch = attrs.Factory(lambda: Branch("", q=0))


def field_name(text: str) -> str:
    """The attribute of Branch that a name in parentheses stands for, '' for the count.

    Raises:
        ValueError: no branch has such.
    """
    if text not in _FIELDS:
        raise ValueError(f"unknown PV branch name {text}")
    return _FIELDS[text]


def _shown(world: World, branch: Branch, name: str, count: int) -> Value:
    if not branch.uri and name:
        world.say(-1, "pv: error accessing branch")
        return None
    value: Value | Socket = getattr(branch, name) if name else count
    if name in ("bflags", "connection", ""):
        return number_of(value) if isinstance(value, int) else None
    if name == "q":
        return None if branch.q == Q_UNSPECIFIED else branch.q
    return None if not value else str(value)


def _change(world: World, branch: Branch, name: str, value: Value) -> bool:
    if name == "socket":
        branch.socket = find_socket(world, str(value)) if value else None
    elif name in _NUMBERS:
        number = (Q_UNSPECIFIED if name == "q" else 0) if value is None else number_of(value)
        if number is None:
            world.say(-1, "pv: int value required to set a branch")
            return False
        setattr(branch, name, number)
    elif name in _TEXTS:
        if isinstance(value, int):
            world.say(-1, "pv: str value required to set a branch")
            return False
        setattr(branch, name, str(value or ""))
    return True


def _at(world: World, index: Index) -> Branch | None:
    entries = branches.current(world)
    number, _ = index.resolve(world)
    return entries[number] if -len(entries) <= number < len(entries) else None


def _set_branch(world: World, inner: str, index: Index, value: Value) -> bool:
    found = _at(world, index)
    if found is None:
        return False
    if inner == "uri" and not value:
        branches.current(world).remove(found)
        return True
    return _change(world, found, inner, value)


@variable("branch", set=_set_branch, inner=field_name, indexed=True)
def branch(world: World, inner: str, index: Index) -> Value:
    found = _at(world, index)
    count = len(branches.current(world))
    return None if found is None else _shown(world, found, inner, count)


def _set_static(world: World, inner: str, index: Index, value: Value) -> bool:
    part = world.part(StaticBranch)
    if inner == "uri" and not value:
        part.branch = Branch("", q=0)
        return True
    return _change(world, part.branch, inner, value)


@variable("sbranch", set=_set_static, inner=field_name)
def static_branch(world: World, inner: str, index: Index) -> Value:
    count = len(branches.current(world))
    return _shown(world, world.part(StaticBranch).branch, inner, count)


def _append(world: World, inner: object, index: Index, value: Value) -> bool:
    if not isinstance(value, str) or not value:
        world.say(-1, "pv: str value required to set the branch")
        return False
    return branches.append(world, Branch(str(value), socket=world.msg.send_socket))


@variable("br", set=_append)
def first_branch(world: World, inner: object, index: Index) -> Value:
    entries = branches.current(world)
    return entries[0].uri if entries and world.msg.is_request else None


def q_text(q: int) -> str:
    """A q value as Kamailio writes it: 1, 0, 0.5, 0.25, 0.125."""
    return "1" if q >= 1000 else "0" if q <= 0 else f"0.{q:03}".rstrip("0")


@variable("bR")
def all_branches(world: World, inner: object, index: Index) -> Value:
    entries = branches.current(world)
    if not entries or not world.msg.is_request:
        return None
    return ", ".join(
        one.uri if one.q == Q_UNSPECIFIED else f"<{one.uri}>;q={q_text(one.q)}" for one in entries
    )
