"""KSR.pv: reading and writing pseudo-variables (core/kemi.c)."""

from __future__ import annotations

from ksr_stub import pv
from ksr_stub.pv.values import Numbered, Value, leading_int, signed
from ksr_stub.registry import model
from ksr_stub.world import World


def _plain(value: Value) -> str | int | None:
    """The value without its second form: what a route gets, of a number the last 32 bits."""
    if value is None or type(value) is str:
        return value
    return signed(int(value)) if isinstance(value, int) else str(value)


@model("pv")
def get(world: World, name: str) -> str | int | None:
    """The value, None where it has none."""
    return _plain(pv.get(world, name))


@model("pv")
def gete(world: World, name: str) -> str | int | None:
    """The value, '' where it has none."""
    value = _plain(pv.get(world, name))
    return "" if value is None else value


@model("pv")
def getw(world: World, name: str) -> str | int | None:
    """The value, `<null>` where it has none."""
    value = _plain(pv.get(world, name))
    return "<null>" if value is None else value


@model("pv")
def getvs(world: World, name: str, default: str) -> str | int | None:
    """The value, a text where it has none. An int stays an int."""
    value = _plain(pv.get(world, name))
    return default if value is None else value


@model("pv")
def getvn(world: World, name: str, default: int) -> str | int | None:
    """The value, a number where it has none. A text stays a text."""
    value = _plain(pv.get(world, name))
    return default if value is None else value


@model("pv")
def geti(world: World, name: str) -> int:
    """The value as int: of a text the digits it starts with, 0 where it has none."""
    value = pv.get(world, name)
    if isinstance(value, Numbered):
        return value.number
    return signed(int(value)) if isinstance(value, int) else leading_int(value or "")


@model("pv")
def getl(world: World, name: str) -> int:
    """As geti, of 64 bits (new in 6.0)."""
    value = pv.get(world, name)
    if isinstance(value, int):
        return int(value)
    return leading_int(value, 2**63 - 1) if type(value) is str else geti(world, name)


@model("pv")
def sets(world: World, name: str, value: str) -> bool:
    """Write a text."""
    return pv.put(world, name, value)


@model("pv", "seti", "setl")
def seti(world: World, name: str, value: int) -> bool:
    """Write a number; setl (new in 6.0) one of more than 32 bits, too."""
    return pv.put(world, name, value)


@model("pv")
def unset(world: World, name: str) -> bool:
    """Let it have no value."""
    return pv.put(world, name, None)


@model("pv")
def is_null(world: World, name: str) -> bool:
    """Whether it has no value."""
    return pv.get(world, name) is None
