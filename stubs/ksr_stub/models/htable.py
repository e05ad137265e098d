"""Module htable: hash tables in shared memory (modules/htable)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ksr_stub import regex
from ksr_stub.models.htable_pv import count
from ksr_stub.registry import model
from ksr_stub.tables import ITERATOR_NAME, ITERATORS, Cell, CellIterator, Table, Tables
from ksr_stub.world import World

NO_INT = -255


def _table(world: World, name: str) -> Table | None:
    table = world.part(Tables).get(name)
    if table is None:
        world.say(-1, f"htable: No such htable: {name}")
    return table


def _read(world: World, htname: str, itname: str, null: str | None) -> str | int | None:
    table = _table(world, htname)
    if table is None:
        return null
    cell = table.find(itname, world.part(Tables).now)
    if cell is not None:
        return cell.value
    return null if table.initval is None else table.initval


def _write(world: World, htname: str, itname: str, value: str | int, lasts: int = 0) -> bool:
    table = _table(world, htname)
    if table is None:
        return False
    table.store(itname, value, world.part(Tables).now, world.version, lasts)
    return True


@model("htable")
def sht_get(world: World, htname: str, itname: str) -> str | int | None:
    """The value; None, or the table's initval, where there is none."""
    return _read(world, htname, itname, None)


@model("htable")
def sht_gete(world: World, htname: str, itname: str) -> str | int | None:
    """As sht_get, '' for no value."""
    return _read(world, htname, itname, "")


@model("htable")
def sht_getw(world: World, htname: str, itname: str) -> str | int | None:
    """As sht_get, `<null>` for no value."""
    return _read(world, htname, itname, "<null>")


@model("htable")
def sht_is_null(world: World, htname: str, itname: str) -> int:
    """1: no value; -1: a value; -2: the table has an initval; 2: no such table."""
    table = world.part(Tables).get(htname)
    if table is None:
        return 2
    if table.initval is not None:
        return -2
    return 1 if table.find(itname, world.part(Tables).now) is None else -1


@model("htable")
def sht_sets(world: World, htname: str, itname: str, itval: str) -> int:
    """Set a text; -1: no such table."""
    return 1 if _write(world, htname, itname, itval) else -1


@model("htable")
def sht_seti(world: World, htname: str, itname: str, itval: int) -> int:
    """Set an int; -1: no such table."""
    return 1 if _write(world, htname, itname, itval) else -1


@model("htable")
def sht_setxs(world: World, htname: str, itname: str, itval: str, exval: int) -> int:
    """Set a text that expires in `exval` seconds."""
    return 1 if _write(world, htname, itname, itval, exval) else -1


@model("htable")
def sht_setxi(world: World, htname: str, itname: str, itval: int, exval: int) -> int:
    """Set an int that expires in `exval` seconds; success is 0 in 5.6 and 1 later."""
    if not _write(world, htname, itname, itval, exval):
        return -1
    return 0 if world.version == "5.6" else 1


@model("htable")
def sht_setex(world: World, htname: str, itname: str, itval: int) -> int:
    """Let a value expire in `itval` seconds, never if 0; 1 also where there is no value."""
    table = _table(world, htname)
    if table is None:
        return -1
    cell = table.cells.get(itname)
    if cell is not None and table.expire:
        cell.expire = world.part(Tables).now + itval if itval > 0 else 0
    return 1


@model("htable")
def sht_inc(world: World, htname: str, itname: str) -> int:
    """Add one; the new value, -255 where it is no int."""
    return _add(world, htname, itname, 1)


@model("htable")
def sht_dec(world: World, htname: str, itname: str) -> int:
    """Subtract one; the new value, -255 where it is no int."""
    return _add(world, htname, itname, -1)


def _add(world: World, htname: str, itname: str, amount: int) -> int:
    table = world.part(Tables).get(htname)
    value = None if table is None else table.add(itname, amount, world.part(Tables).now)
    return NO_INT if value is None else value


@model("htable")
def sht_rm(world: World, htname: str, itname: str) -> int:
    """Remove a value; 1 also where there was none."""
    table = _table(world, htname)
    if table is None:
        return -1
    table.cells.pop(itname, None)
    return 1


@model("htable")
def sht_reset(world: World, htname: str) -> int:
    """Empty a table; success is 0."""
    table = _table(world, htname)
    if table is None:
        return -1
    table.cells.clear()
    return 0


@model("htable")
def sht_lock(world: World, htname: str, skey: str) -> int:
    """Lock the slot of a key: one worker alone never waits."""
    return -1 if _table(world, htname) is None else 1


@model("htable")
def sht_unlock(world: World, htname: str, skey: str) -> int:
    """Unlock it."""
    return -1 if _table(world, htname) is None else 1


# Removing and matching many


def _name(cell: Cell) -> str | None:
    return cell.name


def _text(cell: Cell) -> str | None:
    return cell.value if isinstance(cell.value, str) else None


def _matcher(world: World, operator: str, wanted: str) -> Callable[[str], bool] | None:
    """What `eq`, `ne`, `sw`, `re`, from 6.0 on `ew` and `in` mean; None for a bad pattern."""
    if not wanted:
        return None
    if operator == "re":
        try:
            pattern = regex.compiled(wanted, ignore_case=True)
        except (regex.BadRegex, re.error):
            world.say(-1, f"htable: bad re {wanted}")
            return None
        return lambda text: pattern.search(text) is not None
    tests: dict[str, Callable[[str], bool]] = {
        "eq": lambda text: text == wanted,
        "ne": lambda text: text != wanted,
        "sw": lambda text: text.startswith(wanted),
        "ew": lambda text: text.endswith(wanted),
        "in": lambda text: wanted in text,
    }
    return tests[operator]


def _remove(
    world: World,
    table: Table,
    operator: str,
    wanted: str,
    subject: Callable[[Cell], str | None],
) -> int:
    matches = _matcher(world, operator, wanted)
    if matches is None:
        return -1
    for cell in list(table.cells.values()):
        text = subject(cell)
        if text is not None and matches(text):
            del table.cells[cell.name]
    return 1


def _remove_by(
    world: World, htname: str, op: str, val: str, subject: Callable[[Cell], str | None]
) -> int:
    table = _table(world, htname)
    if table is None:
        return -1
    if op not in ("re", "sw") and not (op in ("ew", "in") and world.version != "5.6"):
        world.say(0, f"htable: unsupported match operator: {op}")
        return -1
    return _remove(world, table, op, val, subject)


@model("htable")
def sht_rm_name_re(world: World, htname: str, rexp: str) -> int:
    """Remove all whose name matches; 1 also where there is no such table."""
    table = world.part(Tables).get(htname)
    return 1 if table is None else _remove(world, table, "re", rexp, _name)


@model("htable")
def sht_rm_value_re(world: World, htname: str, rexp: str) -> int:
    """Remove all whose text matches; 1 also where there is no such table."""
    table = world.part(Tables).get(htname)
    return 1 if table is None else _remove(world, table, "re", rexp, _text)


@model("htable")
def sht_rm_name(world: World, sname: str, sop: str, sval: str) -> int:
    """Remove by name: operators `re` and `sw`, from 6.0 on `ew` and `in`."""
    return _remove_by(world, sname, sop, sval, _name)


@model("htable")
def sht_rm_value(world: World, sname: str, sop: str, sval: str) -> int:
    """Remove by text value: operators as sht_rm_name."""
    return _remove_by(world, sname, sop, sval, _text)


@model("htable")
def sht_match_name(world: World, sname: str, sop: str, sval: str) -> int:
    """1 if a name matches, else -1; operators `eq`, `ne`, `re`, `sw`."""
    return _match(world, sname, sop, sval, _name)


@model("htable", "sht_match_str_value")
def sht_match_str_value(world: World, sname: str, sop: str, sval: str) -> int:
    """1 if a text value matches, else -1; operators `eq`, `ne`, `re`, `sw`."""
    return _match(world, sname, sop, sval, _text)


def _match(
    world: World, htname: str, op: str, val: str, subject: Callable[[Cell], str | None]
) -> int:
    table = _table(world, htname)
    if table is None:
        return -1
    if op not in ("eq", "ne", "re", "sw"):
        world.say(0, f"htable: unsupported match operator: {op}")
        return -1
    matches = _matcher(world, op, val)
    if matches is None:
        return -1
    now = world.part(Tables).now
    for cell in table.ordered():
        if world.version != "5.6" and table.find(cell.name, now) is None:
            continue
        text = subject(cell)
        if text is not None and matches(text):
            return 1
    return -1


# Iterators


@model("htable")
def sht_iterator_start(world: World, iname: str, hname: str) -> int:
    """Begin a walk; -1: no such table, a name too long, or four iterators already."""
    tables = world.part(Tables)
    if not iname or not hname:
        return -1
    full = len(tables.iterators) >= ITERATORS or len(iname) > ITERATOR_NAME
    if full and iname not in tables.iterators:
        world.say(-1, f"htable: no iterator available for {iname}")
        return -1
    tables.iterators[iname] = CellIterator(tables.get(hname))
    return 1 if tables.iterators[iname].table is not None else -1


@model("htable")
def sht_iterator_next(world: World, iname: str) -> int:
    """Step to the next value; -1 after the last one."""
    iterator = _iterator(world, iname)
    return 1 if iterator is not None and iterator.step() else -1


@model("htable")
def sht_iterator_end(world: World, iname: str) -> int:
    """End a walk."""
    if _iterator(world, iname) is None:
        return -1
    del world.part(Tables).iterators[iname]
    return 1


@model("htable")
def sht_iterator_rm(world: World, iname: str) -> int:
    """Remove the value that the walk stands on and step on; -2: it was the last one."""
    iterator = _iterator(world, iname)
    if iterator is None or iterator.at is None:
        return -1
    return 1 if iterator.step(drop=True) else -2


@model("htable")
def sht_iterator_sets(world: World, iname: str, sval: str) -> int:
    """Set the value that the walk stands on to a text."""
    return _set_here(world, iname, sval)


@model("htable")
def sht_iterator_seti(world: World, iname: str, ival: int) -> int:
    """Set the value that the walk stands on to an int."""
    return _set_here(world, iname, ival)


@model("htable")
def sht_iterator_setex(world: World, iname: str, exval: int) -> int:
    """Let the value that the walk stands on expire in `exval` seconds."""
    iterator = _iterator(world, iname)
    if iterator is None or iterator.at is None:
        return -1
    iterator.at.expire = world.part(Tables).now + exval
    return 1


def _iterator(world: World, name: str) -> CellIterator | None:
    iterator = world.part(Tables).iterators.get(name)
    if iterator is None:
        world.say(-1, f"htable: iterator not found [{name}]")
    return iterator


def _set_here(world: World, iname: str, value: str | int) -> int:
    iterator = _iterator(world, iname)
    if iterator is None or iterator.at is None or iterator.table is None:
        return -1
    iterator.at.value = value
    if iterator.table.update_expire:
        iterator.at.expire = world.part(Tables).now + iterator.table.expire
    return 1


@model("htable")
def sht_cn(world: World, table: str, op: str, pattern: str) -> int:
    """From 6.1 on: how many names match, as `$shtcn()` counts them."""
    found = _table(world, table)
    if found is None or len(op) not in (0, 2):
        return -1
    return count(world, found, (op or "~~") + pattern, names=True)
