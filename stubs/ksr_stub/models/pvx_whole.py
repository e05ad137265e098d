"""KSR.pvx: whole lists are copied, written to variables, and shown in the log (modules/pv)."""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub import pv
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Socket
from ksr_stub.pv.lists import Entry, XList, of
from ksr_stub.pv.variables.stores import Script, UserLists
from ksr_stub.registry import model
from ksr_stub.world import World


@model("pvx")
def xavp_copy(world: World, source: str, index: int, target: str) -> int:
    """Copy a list behind those of another name; lists within it stay behind. Returns 1 or -1."""
    return xavp_copy_dst(world, source, index, target, 0)


@model("pvx")
def xavp_copy_dst(world: World, source: str, index: int, target: str, _place: int) -> int:
    """As xavp_copy: the place is not looked at."""
    values = of(world.msg).xavp
    found = values.at(source, index)
    if found is None:
        world.say(-1, f"pv: missing can not find source xavp [{source}]")
        return -1
    value = found.value
    if isinstance(value, XList):
        value = values.like(
            [Entry(e.name, e.value) for e in value.entries if not isinstance(e.value, XList)]
        )
    values.add_last(target, value)
    return 1


def _implode(world: World, values: XList, name: str, target: str) -> int:
    """Write `a=1;b=2;` to a variable."""
    if not name or not target:
        return -1
    spec = pv.lookup(world, target)
    if spec is None or spec.variable.set is None:
        world.say(-1, f"pv: read only output variable [{target}]")
        return -1
    found = values.at(name, 0)
    if found is None or not isinstance(found.value, XList):
        return -1
    bits = 32 if world.version == "5.6" else 64
    text = "".join(_serialized(entry, bits) for entry in found.value.entries)
    return 1 if text and pv.put(world, target, text) else -1


def _serialized(entry: Entry, bits: int) -> str:
    if isinstance(entry.value, XList):
        return ""
    shown = entry.value % 2**bits if isinstance(entry.value, int) else entry.value
    return f"{entry.name}={shown};" if shown != "" else f"{entry.name};"


@model("pvx")
def xavp_params_implode(world: World, name: str, target: str) -> int:
    """Write the values in `$xavp(name)` to a variable, as `a=1;b=2;`. Returns 1 or -1."""
    return _implode(world, of(world.msg).xavp, name, target)


@model("pvx")
def xavu_params_implode(world: World, name: str, target: str) -> int:
    """Write the values in `$xavu(name)` to a variable, as `a=1;b=2;`. Returns 1 or -1."""
    return _implode(world, world.part(UserLists).values, name, target)


@model("pvx")
def pv_var_to_xavp(world: World, name: str, target: str) -> int:
    """Put `$var(name)`, with `*` all of them, into a new `$xavp(target)`, the only one.

    Returns 1; -1 where the script has no such variable.
    """
    values, variables = of(world.msg).xavp, world.part(Script).variables
    values.remove_all(target)
    if name != "*":
        if name not in variables:
            world.say(-1, f"pv: script var [{name}] not found")
            return -1
        values.add(target, values.like([Entry(name, variables[name])]))
        return 1
    entries = [Entry(one, value) for one, value in variables.items() if value != ""]
    if entries:
        values.add(target, values.like(entries))
    return 1


@model("pvx")
def pv_xavp_to_var(world: World, name: str) -> int:
    """Write the values of all lists of the name to `$var(...)`; -1 for one that is no list."""
    found = of(world.msg).xavp.all(name)
    if not found:
        world.say(-1, f"pv: xavp [{name}] not found")
        return -1
    if not isinstance(found[0].value, XList):
        world.say(-1, f"pv: {name} not xavp type?")
        return -1
    for one in found:
        if not isinstance(one.value, XList):
            raise world.fault(
                Unpredictable(f"an older $xavp({name}) that is no list crashes Kamailio 5.6.3")
            )
        if not _to_variables(world.part(Script).variables, one.value):
            return -1
    return 1


def _to_variables(variables: dict[str, str | int], values: XList) -> bool:
    for entry in values.entries:
        if isinstance(entry.value, XList | Socket):
            variables.setdefault(entry.name, 0)
            return False
        variables[entry.name] = entry.value
    return True


def _provide_whole(kind: str, lists: Callable[[World], XList]) -> None:
    def get(world: World, name: str, index: int | None = None) -> None:
        """Lists and dictionaries, which app_python3 can't give to Python. Returns None."""
        found = lists(world).all(name)
        if index is not None:
            found = found[index:][:1] if -len(found) <= index < len(found) else []
        if any(isinstance(one.value, XList) and one.value.entries for one in found):
            raise world.fault(
                Unpredictable(f"what this makes of ${kind}({name}) can crash Kamailio 5.6.3")
            )

    model("pvx", f"{kind}_getd", f"{kind}_getd_p1", f"{kind}_get_keys")(get)


_provide_whole("xavp", lambda world: of(world.msg).xavp)
_provide_whole("xavi", lambda world: of(world.msg).xavi)


def _provide_print(kind: str, lists: Callable[[World], XList]) -> None:
    def show(world: World) -> int:
        """Write all lists to the log, as information. Returns 1."""
        _show(world, kind.upper(), lists(world), 0)
        return 1

    model("pvx", f"pv_{kind}_print")(show)


def _show(world: World, kind: str, values: XList, level: int) -> None:
    for entry in values.entries:
        world.say(2, f"core: {kind} (l:{level}) {entry.name}: {entry.shown()}")
        if isinstance(entry.value, XList):
            _show(world, kind, entry.value, level + 1)


_provide_print("xavp", lambda world: of(world.msg).xavp)
_provide_print("xavi", lambda world: of(world.msg).xavi)
_provide_print("xavu", lambda world: world.part(UserLists).values)
