"""KSR.pvx: variables and lists without the text of a pseudo-variable (modules/pv)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ksr_stub import branches, pv
from ksr_stub.pv import paramlist
from ksr_stub.pv.lists import Entry, XList, of
from ksr_stub.pv.spec import Index
from ksr_stub.pv.values import Value
from ksr_stub.pv.variables.branch import StaticBranch
from ksr_stub.pv.variables.stores import Script, UserLists, counted, shared
from ksr_stub.registry import model
from ksr_stub.world import World

_MODES: dict[str, str | None] = {"": None, "e": "", "w": "<null>"}


@model("pvx")
def var_sets(world: World, name: str, value: str) -> int:
    """Write `$var(name)`."""
    world.part(Script).variables[name] = value
    return 1


@model("pvx")
def var_seti(world: World, name: str, value: int) -> int:
    """Write a number to `$var(name)`."""
    world.part(Script).variables[name] = value
    return 1


@model("pvx")
def var_get(world: World, name: str) -> str | int:
    """The value of `$var(name)`, 0 where it was never written."""
    return world.part(Script).variables.get(name, 0)


@model("pvx")
def shv_sets(world: World, name: str, value: str) -> int:
    """Write `$shv(name)`, which all workers share; -1 where nobody has named it before."""
    if not _is_shared(world, name):
        return -1
    world.part(Script).shared[name] = value
    return 1


@model("pvx")
def shv_seti(world: World, name: str, value: int) -> int:
    """Write a number to `$shv(name)`; -1 where nobody has named it before."""
    if not _is_shared(world, name):
        return -1
    world.part(Script).shared[name] = value
    return 1


@model("pvx")
def shv_get(world: World, name: str) -> str | int | None:
    """The value of `$shv(name)`."""
    if not _is_shared(world, name):
        return 0
    value = shared(world, name, Index())
    return int(value) if isinstance(value, int) else value


@model("pvx")
def shvinc_get(world: World, name: str) -> Value:
    """`$shvinc(name)`, 0 where nobody has named it before (new in 6.0)."""
    return counted(world, name, Index()) if _is_shared(world, name) else 0


def _is_shared(world: World, name: str) -> bool:
    """Whether modparam shvset or a `$shv(name)` that was used made the variable."""
    settings = world.param("pv", "shvset", list[str]())
    named = any(setting.partition("=")[0] == name for setting in settings)
    if not named and name not in world.part(Script).shared:
        world.say(-1, f"pv: $shv({name}) is not defined")
        return False
    return True


@model("pvx")
def evalx(world: World, target: str, text: str) -> int:
    """Write a text with the values of its variables to a variable. Returns 1 or -1."""
    shown = pv.evaluate(world, text)
    return 1 if shown is not None and pv.put(world, target, shown) else -1


@model("pvx")
def avp_sets(world: World, name: str, value: str) -> int:
    """Put a value before those of `$avp(name)`."""
    of(world.msg).avps.setdefault(name, []).insert(0, value)
    return 1


@model("pvx")
def avp_seti(world: World, name: str, value: int) -> int:
    """Put a number before the values of `$avp(name)`."""
    of(world.msg).avps.setdefault(name, []).insert(0, value)
    return 1


@model("pvx")
def avp_rm(world: World, name: str) -> int:
    """Take the newest value of `$avp(name)` out. Returns 1."""
    del of(world.msg).avps.setdefault(name, [])[:1]
    return 1


@model("pvx")
def avp_is_null(world: World, name: str) -> int:
    """1 without a value, -1 with one. In 5.6 it first takes the newest value out."""
    values = of(world.msg).avps.setdefault(name, [])
    if world.version == "5.6":
        del values[:1]
    return -1 if values else 1


def _provide_avp_get(suffix: str, default: str | None) -> None:
    def get(world: World, name: str) -> str | int | None:
        """The newest value of `$avp(name)`."""
        values = of(world.msg).avps.get(name, [])
        return values[0] if values else default

    model("pvx", f"avp_get{suffix}")(get)


for _suffix, _default in _MODES.items():
    _provide_avp_get(_suffix, _default)


def _put(values: XList, name: str, value: str | int | XList, unique: bool) -> None:
    if not unique or not values.put(name, 0, value):
        values.add(name, value)


def _set_child(values: XList, root: str, child: str, value: str | int, unique: bool) -> int:
    found = values.at(root, 0)
    if found is None or not isinstance(found.value, XList):
        if not unique:
            values.remove(root)
        _put(values, root, values.like([Entry(child, value)]), unique)
        return 1
    found.value.remove(child)
    found.value.add(child, value)
    return 1


def _child(values: XList, root: str, child: str) -> Entry | None:
    found = values.at(root, 0)
    if found is None or not isinstance(found.value, XList):
        return None
    return found.value.at(child, 0)


def _provide_lists(kind: str, lists: Callable[[World], XList], unique: bool) -> None:
    def set_value(world: World, name: str, value: str | int) -> int:
        """Put a value before those of the name; `$xavu` has one only."""
        _put(lists(world), name, value, unique)
        return 1

    def set_child(world: World, root: str, child: str, value: str | int) -> int:
        """Set a value within the newest list of the name, which is made if there is none."""
        return _set_child(lists(world), root, child, value, unique)

    def remove(world: World, name: str) -> int:
        """Take the newest value of the name out. Returns 1."""
        lists(world).remove(name)
        return 1

    def remove_child(world: World, root: str, child: str) -> int:
        """Take a value out of the newest list of the name. Returns 1."""
        found = lists(world).at(root, 0)
        if found is not None and isinstance(found.value, XList):
            found.value.remove(child)
        return 1

    def is_null(world: World, name: str) -> int:
        """1 without a value, -1 with one."""
        return 1 if lists(world).at(name, 0) is None else -1

    def child_is_null(world: World, root: str, child: str) -> int:
        """1 without a value in the newest list of the name, -1 with one.

        For `$xavu` 5.6 looks into `$xavp`.
        """
        if unique:
            return 1 if _child(of(world.msg).xavp, root, child) is None else -1
        return 1 if _child(lists(world), root, child) is None else -1

    for letter in ("s", "i"):
        model("pvx", f"{kind}_set{letter}")(set_value)
        model("pvx", f"{kind}_child_set{letter}")(set_child)
    model("pvx", f"{kind}_rm")(remove)
    model("pvx", f"{kind}_child_rm")(remove_child)
    model("pvx", f"{kind}_is_null")(is_null)
    model("pvx", f"{kind}_child_is_null")(child_is_null)
    for suffix, default in _MODES.items():
        _provide_get(kind, suffix, lists, default)


def _provide_get(
    kind: str, suffix: str, lists: Callable[[World], XList], default: str | None
) -> None:
    def get(world: World, name: str) -> str | int | None:
        """The newest value of the name."""
        found = lists(world).at(name, 0)
        return default if found is None else found.shown()

    def get_child(world: World, root: str, child: str) -> str | int | None:
        """A value of the newest list of the name."""
        found = _child(lists(world), root, child)
        return default if found is None else found.shown()

    model("pvx", f"{kind}_get{suffix}")(get)
    model("pvx", f"{kind}_child_get{suffix}")(get_child)


_provide_lists("xavp", lambda world: of(world.msg).xavp, unique=False)
_provide_lists("xavi", lambda world: of(world.msg).xavi, unique=False)
_provide_lists("xavu", lambda world: world.part(UserLists).values, unique=True)


def _explode(values: XList, text: str, name: str, unique: bool) -> int:
    if not text or not name:
        return -1
    params = paramlist.parse(text.removesuffix(";"))
    if not params:
        return -1
    # 5.6 puts those of $xavu beside the name instead of into its list
    entries = values.like([])
    for param, value in reversed(params):
        _put(values if unique else entries, param, value, unique)
    _put(values, name, entries, unique)
    return 1


@model("pvx")
def xavp_params_explode(world: World, text: str, name: str) -> int:
    """Put the parameters `a=1;b=2` into `$xavp(name=>a)`, ... Returns 1 or -1."""
    return _explode(of(world.msg).xavp, text, name, unique=False)


@model("pvx")
def xavu_params_explode(world: World, text: str, name: str) -> int:
    """Put the parameters `a=1;b=2` into `$xavu(name=>a)`, ... Returns 1 or -1."""
    return _explode(world.part(UserLists).values, text, name, unique=True)


@model("pvx")
def xavp_slist_explode(world: World, text: str, separators: str, mode: str, name: str) -> int:
    """Put the items of a list into `$xavp(name=>v[0])`, ...; mode `t` trims them."""
    if not text or not separators or not name:
        return -1
    items = [""]
    for char in text:
        if char in separators:
            items.append("")
        else:
            items[-1] += char
    if mode[:1] == "t":
        items = [item.strip(" \t\r\n") for item in items]
    values = of(world.msg).xavp
    values.add(name, values.like([Entry("v", item) for item in items if item]))
    return 1


@model("pvx")
def sbranch_reset(world: World) -> int:
    """Empty `$sbranch(...)`. Returns 1."""
    world.part(StaticBranch).branch = branches.Branch("", q=0)
    return 1


@model("pvx")
def sbranch_append(world: World) -> int:
    """Add the branch that `$sbranch(...)` describes; -1 where it has no URI."""
    branch = world.part(StaticBranch).branch
    return 1 if branch.uri and branches.append(world, attrs.evolve(branch)) else -1


@model("pvx")
def sbranch_set_ruri(world: World) -> int:
    """Let the R-URI be what `$sbranch(...)` describes; -1 where it has no URI."""
    branch, message = world.part(StaticBranch).branch, world.msg
    if not branch.uri:
        return -1
    message.new_uri, message.dst_uri = branch.uri, branch.dst_uri or None
    message.path_vector = branch.path or None
    message.instance, message.ruid, message.location_ua = branch.instance, branch.ruid, branch.ua
    message.send_socket = branch.socket or message.send_socket
    message.q, message.bflags = branch.q, message.bflags | branch.bflags
    return 1
