"""htable's pseudo-variables: `$sht(table=>key)` and its relatives (htable/ht_var.c)."""

from __future__ import annotations

import re

from attrs import frozen

from ksr_stub import regex
from ksr_stub.pv import spec
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value, number_of, signed, text_of
from ksr_stub.tables import Cell, Table, Tables
from ksr_stub.world import World

_INNER = re.compile(r"\s*([^=\s]+)\s*=>(.*)", re.DOTALL)


@frozen
class Inner:
    """`table=>key`: the key is text in which variables are replaced."""

    table: str
    key: tuple[str | spec.Spec, ...]

    def find(self, world: World) -> Table | None:
        """The table."""
        table = world.part(Tables).get(self.table)
        if table is None:
            world.say(-1, f"htable: htable not found for $sht({self.table}=>...)")
        return table

    def name(self, world: World) -> str:
        """The key now."""
        return "".join(
            part if isinstance(part, str) else text_of(part.value(world)) for part in self.key
        )


def parse_inner(text: str) -> Inner:
    """Read `table=>key`.

    Raises:
        ValueError: it is not of that form.
    """
    match = _INNER.fullmatch(text)
    if match is None:
        raise ValueError("write table=>key")
    return Inner(match[1], tuple(_parts(match[2])))


def _parts(text: str) -> list[str | spec.Spec]:
    parts: list[str | spec.Spec] = []
    at = 0
    while at < len(text):
        if text[at] == "$":
            found, at = spec.parse(text, at)
            parts.append(found)
        else:
            end = text.find("$", at)
            end = len(text) if end < 0 else end
            parts.append(text[at:end])
            at = end
    return parts


def _set(world: World, inner: Inner, index: spec.Index, value: Value) -> bool:
    table = inner.find(world)
    if table is None:
        return False
    if value is None:
        table.cells.pop(inner.name(world), None)
        return True
    plain = int(value) if isinstance(value, int) else str(value)
    table.store(inner.name(world), plain, world.part(Tables).now, world.version)
    return True


@variable("sht", set=_set, inner=parse_inner)
def sht(world: World, inner: Inner, index: spec.Index) -> Value:
    table = inner.find(world)
    if table is None:
        return None
    cell = table.find(inner.name(world), world.part(Tables).now)
    return table.initval if cell is None else cell.value


def _set_expire(world: World, inner: Inner, index: spec.Index, value: Value) -> bool:
    table = inner.find(world)
    if table is None:
        return False
    lasts = number_of(value) or 0
    cell = table.cells.get(inner.name(world))
    if cell is not None and table.expire:
        cell.expire = world.part(Tables).now + lasts if lasts > 0 else 0
    return True


@variable("shtex", set=_set_expire, inner=parse_inner)
def shtex(world: World, inner: Inner, index: spec.Index) -> Value:
    table = world.part(Tables).get(inner.table)
    if table is None:
        return None
    cell = table.cells.get(inner.name(world))
    if cell is None or not table.expire:
        return 0
    return signed(cell.expire - world.part(Tables).now)


@variable("shtinc", inner=parse_inner)
def shtinc(world: World, inner: Inner, index: spec.Index) -> Value:
    return _add(world, inner, 1)


@variable("shtdec", inner=parse_inner)
def shtdec(world: World, inner: Inner, index: spec.Index) -> Value:
    return _add(world, inner, -1)


def _add(world: World, inner: Inner, amount: int) -> Value:
    table = world.part(Tables).get(inner.table)
    return None if table is None else table.add(inner.name(world), amount, world.part(Tables).now)


@variable("shtcn", inner=parse_inner)
def shtcn(world: World, inner: Inner, index: spec.Index) -> Value:
    return _count(world, inner, names=True)


@variable("shtcv", inner=parse_inner)
def shtcv(world: World, inner: Inner, index: spec.Index) -> Value:
    return _count(world, inner, names=False)


def _count(world: World, inner: Inner, *, names: bool) -> Value:
    table = world.part(Tables).get(inner.table)
    return None if table is None else count(world, table, inner.name(world), names=names)


def count(world: World, table: Table, pattern: str, *, names: bool) -> int:
    """How many cells match a pattern: `~~regex`, `~%end`, `%~start`, `==text`, `eqint`, `**` all.

    Args:
        world: for the log.
        table: the table.
        pattern: without an operator a regular expression.
        names: whether the names are compared; else the values.
    """
    operator, wanted = pattern[:2], pattern[2:]
    if operator == "**":
        return len(table.cells)
    if operator not in ("~~", "~%", "%~", "==", "eq"):
        operator, wanted = "~~", pattern
    if not wanted:
        return 0
    if operator == "eq":
        number = int(wanted) if re.fullmatch(r"[+-]?\d+", wanted) else 0
        return 0 if names else sum(cell.value == number for cell in table.cells.values())
    texts = [
        subject
        for cell in table.cells.values()
        if isinstance(subject := cell.name if names else cell.value, str)
    ]
    if operator == "~~":
        try:
            search = regex.compiled(wanted, ignore_case=True).search
        except regex.BadRegex:
            world.say(-1, f"htable: bad re {wanted}")
            return 0
        return sum(search(text) is not None for text in texts)
    if operator == "==":
        return texts.count(wanted)
    return sum(
        text.endswith(wanted) if operator == "~%" else text.startswith(wanted) for text in texts
    )


def _record(cell: Cell | None, what: str) -> Value:
    if cell is None:
        return None
    return cell.name if what == "key" else cell.value


@variable("shtrecord", inner=one_of("key", "value"))
def shtrecord(world: World, inner: str, index: spec.Index) -> Value:
    return _record(world.part(Tables).expired, inner)


@variable("shtitkey", inner=str)
def shtitkey(world: World, inner: str, index: spec.Index) -> Value:
    iterator = world.part(Tables).iterators.get(inner)
    return _record(iterator.at if iterator else None, "key")


@variable("shtitval", inner=str)
def shtitval(world: World, inner: str, index: spec.Index) -> Value:
    iterator = world.part(Tables).iterators.get(inner)
    return _record(iterator.at if iterator else None, "value")
