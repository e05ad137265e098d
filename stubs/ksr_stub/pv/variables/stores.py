"""Where scripts keep values: `$var(x)`, `$avp(x)`, `$xavp(a=>b)`, `$shv(x)` (modules/pv)."""

from __future__ import annotations

import re

import attrs
from attrs import frozen

from ksr_stub.pv.lists import Entry, Lists, XList, of
from ksr_stub.pv.spec import Index, Spec, parse, parse_index
from ksr_stub.pv.table import provide, variable
from ksr_stub.pv.values import Value, no_value, text_of
from ksr_stub.world import World

_SPACE = " \t\r\n"
_XNAME = re.compile(r"[ \t\r\n]*([^= \t\r\n\[]+)[ \t\r\n]*(?:\[([^\]]*)\])?")


@attrs.define(eq=False)
class Script:
    """What lives as long as the worker: `$var`, `$vn`, `$shv`."""

    variables: dict[str, str | int] = attrs.Factory(dict)
    nullable: dict[str, str | int] = attrs.Factory(dict)
    shared: dict[str, str | int] = attrs.Factory(dict)


def plain(value: Value) -> str | int | None:
    """The value as it is kept: without a second form."""
    if value is None:
        return None
    return int(value) if isinstance(value, int) else str(value)


def _set_var(world: World, inner: str, index: Index, value: Value) -> bool:
    kept = plain(value)
    world.part(Script).variables[inner] = 0 if kept is None else kept
    return True


@variable("var", "vz", set=_set_var, inner=str)
def var(world: World, inner: str, index: Index) -> Value:
    return world.part(Script).variables.get(inner, 0)


def _set_nullable(world: World, inner: str, index: Index, value: Value) -> bool:
    kept = plain(value)
    if kept is None:
        world.part(Script).nullable.pop(inner, None)
    else:
        world.part(Script).nullable[inner] = kept
    return True


@variable("vn", set=_set_nullable, inner=str)
def nullable(world: World, inner: str, index: Index) -> Value:
    return world.part(Script).nullable.get(inner)


def _initial(world: World, name: str) -> str | int:
    """modparam("pv", "shvset", "name=i:5"): a test sets world.params to a list of these."""
    for setting in world.param("pv", "shvset", list[str]()):
        key, _, text = setting.partition("=")
        if key == name:
            return int(text[2:]) if text.startswith("i:") else text[2:]
    return 0


def _set_shared(world: World, inner: str, index: Index, value: Value) -> bool:
    kept = plain(value)
    world.part(Script).shared[inner] = "" if kept is None else kept
    return True


@variable("shv", set=_set_shared, inner=str)
def shared(world: World, inner: str, index: Index) -> Value:
    return world.part(Script).shared.setdefault(inner, _initial(world, inner))


@variable("shvinc", inner=str)
def counted(world: World, inner: str, index: Index) -> Value:
    """One more than `$shv(name)` was, which keeps it; 0 of a text."""
    value = shared(world, inner, index)
    if not isinstance(value, int):
        return 0
    world.part(Script).shared[inner] = value + 1
    return value + 1


AvpName = str | int | Spec


def avp_name(text: str) -> AvpName:
    """`i:5` is a number, `s:name` and `name` a text, `$x` a variable with either.

    Raises:
        ValueError: `i:` without a number.
    """
    if text.startswith("$"):
        return parse(text)[0]
    if text.startswith("i:"):
        return int(text[2:])
    return text.removeprefix("s:")


def avp_key(world: World, inner: AvpName) -> str | int:
    """The name of an avp.

    Raises:
        NoValue: a variable without one.
    """
    if not isinstance(inner, Spec):
        return inner
    value = plain(inner.value(world))
    if value is None or value == "":
        raise no_value(world, "null or empty avp name")
    return value


def _set_avp(world: World, inner: AvpName, index: Index, value: Value) -> bool:
    values = of(world.msg).avps.setdefault(avp_key(world, inner), [])
    every = index.resolve(world)[1]
    kept = plain(value)
    if every:
        values.clear()
    if kept is not None:
        values.insert(0, kept)
    elif values and not every:
        values.pop(0)
    return True


@variable("avp", set=_set_avp, inner=avp_name, indexed=True)
def avp(world: World, inner: AvpName, index: Index) -> Value:
    values = of(world.msg).avps.get(avp_key(world, inner), [])
    number, every = index.resolve(world)
    if not values:
        return None
    if every:
        return ", ".join(str(value) for value in values)
    if number < 0:
        # 5.6 counts to the end and then looks for more behind it: only the newest is found so
        return values[0] if number == -len(values) else None
    return values[number] if number < len(values) else None


@frozen
class XName:
    """One step of `$xavp(a[0]=>b[*])`."""

    name: str
    index: Index | None

    def resolve(self, world: World) -> tuple[int, bool]:
        """The index that is given, 0 without."""
        return (0, False) if self.index is None else self.index.resolve(world)


@frozen
class XPath:
    """`a[i]=>b[j]`; `child` is None for `a[i]` alone."""

    root: XName
    child: XName | None


def x_path(text: str) -> XPath:
    """Read the name of an xavp.

    Raises:
        ValueError: it is none.
    """
    match = _XNAME.match(text)
    if match is None:
        raise ValueError("no xavp name")
    root = XName(match[1], None if match[2] is None else parse_index(match[2]))
    rest = text[match.end() :]
    if not rest.startswith("="):
        return XPath(root, None)
    below = _XNAME.match(rest[2:])
    if not rest.startswith("=>") or below is None:
        raise ValueError("bad xavp name")
    return XPath(root, XName(below[1], None if below[2] is None else parse_index(below[2])))


def _found(world: World, values: XList, name: XName) -> Entry | None:
    number, _ = name.resolve(world)
    return values.at(name.name, number if number >= 0 else values.count(name.name) + number)


def _get(world: World, values: XList, path: XPath) -> Value:
    root = _found(world, values, path.root)
    if root is None or path.child is None:
        return None if root is None else root.shown()
    if not isinstance(root.value, XList):
        return None
    child = _found(world, root.value, path.child)
    if child is None:
        return None
    if path.child.resolve(world)[1]:
        found = root.value.all(path.child.name)
        return ", ".join(text_of(one.shown()) for one in found)
    return child.shown()


def _unset(world: World, values: XList, path: XPath) -> None:
    number, every = path.root.resolve(world)
    if path.child is None:
        _remove(values, path.root.name, number, every)
        return
    roots = values.all(path.root.name)
    if not every:
        at = number if number >= 0 else len(roots) + number + 1
        roots = roots[at : at + 1]
    index, all_children = path.child.resolve(world)
    for root in roots:
        if isinstance(root.value, XList):
            _remove(root.value, path.child.name, index, all_children)


def _remove(values: XList, name: str, number: int, every: bool) -> None:
    if every:
        values.remove_all(name)
    else:
        values.remove(name, number if number >= 0 else values.count(name) + number + 1)


def _set(world: World, values: XList, path: XPath, value: str | int) -> bool:
    number, every = path.root.resolve(world)
    if path.child is None:
        if path.root.index is None:
            values.add(path.root.name, value)
            return True
        return not every and values.put(path.root.name, _forward(values, path.root, number), value)
    if path.root.index is None:
        values.add(path.root.name, values.like([Entry(path.child.name, value)]))
        return True
    if every:
        return True
    root = values.at(path.root.name, _forward(values, path.root, number))
    if root is None:
        return True
    if not isinstance(root.value, XList):
        return False
    return _set_child(world, root.value, path.child, value)


def _set_child(world: World, values: XList, child: XName, value: str | int) -> bool:
    if child.index is None:
        values.add(child.name, value)
        return True
    number, every = child.resolve(world)
    if not every:
        values.put(child.name, _forward(values, child, number), value)
    return True


def _forward(values: XList, name: XName, number: int) -> int:
    return number if number >= 0 else values.count(name.name) + number + 1


def _provide(name: str) -> None:
    def lists(world: World) -> XList:
        found: Lists = of(world.msg)
        return found.xavi if name == "xavi" else found.xavp

    def getter(world: World, inner: XPath, index: Index) -> Value:
        return _get(world, lists(world), inner)

    def setter(world: World, inner: XPath, index: Index, value: Value) -> bool:
        kept = plain(value)
        if kept is None:
            _unset(world, lists(world), inner)
            return True
        return _set(world, lists(world), inner, kept)

    provide(name, getter, setter, inner=x_path)


_provide("xavp")
_provide("xavi")


@attrs.define(eq=False)
class UserLists:
    """The lists of `$xavu`: they live as long as the worker, and each name is there once."""

    values: XList = attrs.Factory(XList)


def _xavu_names(text: str) -> tuple[str, str]:
    """Root and child of `a=>b`, the child '' in `a`.

    Raises:
        ValueError: an empty child.
    """
    root, arrow, child = text.strip(_SPACE).partition("=>")
    if not root or (arrow and not child):
        raise ValueError("bad xavu name")
    return root, child


def _set_xavu(world: World, inner: tuple[str, str], index: Index, value: Value) -> bool:
    values, kept = world.part(UserLists).values, plain(value)
    root, child = inner
    found = values.at(root, 0)
    if kept is None:
        below = found.value if found is not None and child else None
        if isinstance(below, XList):
            below.remove(child)
        elif not child:
            values.remove(root)
    elif not child:
        put_once(values, root, kept)
    elif found is not None and isinstance(found.value, XList):
        put_once(found.value, child, kept)
    else:
        put_once(values, root, values.like([Entry(child, kept)]))
    return True


def put_once(values: XList, name: str, value: str | int | XList) -> None:
    """Give a name a value in place of the one it has."""
    if not values.put(name, 0, value):
        values.add(name, value)


@variable("xavu", set=_set_xavu, inner=_xavu_names)
def xavu(world: World, inner: tuple[str, str], index: Index) -> Value:
    root, child = inner
    found = world.part(UserLists).values.at(root, 0)
    if found is None or not child:
        return None if found is None else found.shown()
    below = found.value.at(child, 0) if isinstance(found.value, XList) else None
    return None if below is None else below.shown()
