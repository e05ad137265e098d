"""`$cnt($avp(x))`: how many values a name has in the lists (modules/pv/pv_core.c)."""

from __future__ import annotations

from typing import cast

from ksr_stub.pv.lists import Entry, XList, of
from ksr_stub.pv.spec import Index, Spec, whole
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.pv.variables.stores import AvpName, XName, XPath, avp_key
from ksr_stub.world import World


def _list_name(text: str) -> Spec:
    """The `$avp(x)` or `$xavp(x)` whose values are counted.

    Raises:
        ValueError: it is neither; BadSpec: it is no variable.
    """
    spec = whole(text)
    if spec.variable.name not in ("avp", "xavp"):
        raise ValueError(f"expected avp or xavp name instead of [{text}]")
    return spec


@variable("cnt", inner=_list_name)
def count(world: World, inner: Spec, index: Index) -> Value:
    lists = of(world.msg)
    path = inner.inner
    if not isinstance(path, XPath):
        return len(lists.avps.get(avp_key(world, cast("AvpName", path)), []))
    number, every = _place(world, path.root)
    roots = lists.xavp.all(path.root.name)
    if not every:
        roots = _only(roots, number)
    if path.child is None:
        return len(roots)
    below = [root.value for root in roots if isinstance(root.value, XList)]
    number, every = _place(world, path.child)
    found = [values.all(path.child.name) for values in below]
    return sum(len(entries if every else _only(entries, number)) for entries in found)


def _place(world: World, name: XName) -> tuple[int, bool]:
    """The index, and whether all are counted: so they are without one."""
    return (0, True) if name.index is None else name.index.resolve(world)


def _only(entries: list[Entry], number: int) -> list[Entry]:
    place = number if number >= 0 else len(entries) + number
    return entries[place : place + 1] if place >= 0 else []
