"""htable's tables: cells, their expiry, and the order that iterators see (htable/ht_api.c)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import attrs

from ksr_stub import events
from ksr_stub.hashing import core_hash
from ksr_stub.world import World

ITERATORS = 4
ITERATOR_NAME = 31
_UPPER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


@attrs.define(eq=False)
class Cell:
    """A value under a name; `expire` in seconds since the epoch, 0: never."""

    name: str
    value: str | int
    expire: int
    hashed: int


@attrs.define(eq=False)
class Table:
    """One table; `expire` is its autoexpire in seconds, 0: cells stay."""

    name: str
    slots: int = 16
    expire: int = 0
    initval: int | None = None
    update_expire: bool = True
    cells: dict[str, Cell] = attrs.Factory(dict)

    def find(self, name: str, now: int) -> Cell | None:
        """A cell that has not expired."""
        cell = self.cells.get(name)
        if cell is None or (self.expire > 0 and cell.expire and cell.expire < now):
            return None
        return cell

    def store(self, name: str, value: str | int, now: int, version: str, lasts: int = 0) -> None:
        """Set a value.

        Args:
            name: its name.
            value: a text or an int.
            now: seconds since the epoch.
            version: 5.6 and 6.0 on differ in what a new, longer text does to the expiry.
            lasts: seconds until it expires, 0: as the table says.
        """
        base = now if self.expire > 0 else 0
        cell = self.cells.get(name)
        if cell is None:
            expire = base + (lasts if lasts > 0 else self.expire)
            self.cells[name] = Cell(name, value, expire, _case_hash(name))
            return
        # A text that needs more room makes a new cell. 5.6 then writes the expiry into the old
        # one, so that the new cell never expires.
        moved = isinstance(value, str) and (
            isinstance(cell.value, int) or len(value) > len(cell.value)
        )
        cell.value = value
        if lasts > 0:
            cell.expire = 0 if moved and version == "5.6" else base + lasts
        elif self.update_expire:
            cell.expire = base + self.expire

    def add(self, name: str, amount: int, now: int) -> int | None:
        """Add to an int; None where it is a text, or not there in a table without initval."""
        base = now if self.expire > 0 else 0
        cell = self.cells.get(name)
        if cell is None:
            if self.initval is None:
                return None
            cell = Cell(name, self.initval, base + self.expire, _case_hash(name))
            self.cells[name] = cell
        elif base and cell.expire and cell.expire < now:
            if self.initval is None:
                return None
            cell.value = self.initval
        if isinstance(cell.value, str):
            return None
        cell.value = (cell.value + amount + 2**31) % 2**32 - 2**31
        if self.update_expire:
            cell.expire = base + self.expire
        return cell.value

    def ordered(self) -> list[Cell]:
        """The cells slot by slot, as Kamailio walks through them."""
        mask = self.slots - 1
        return sorted(self.cells.values(), key=lambda cell: (cell.hashed & mask, cell.hashed))


@attrs.define(eq=False)
class CellIterator:
    """A walk through a table; `at` is the cell that it stands on."""

    table: Table | None
    at: Cell | None = None

    def step(self, *, drop: bool = False) -> bool:
        """Go to the next cell, the first one after the last; False where there is none."""
        if self.table is None:
            return False
        cells = self.table.ordered()
        place = cells.index(self.at) + 1 if self.at in cells else 0
        if drop and self.at is not None:
            self.table.cells.pop(self.at.name, None)
        self.at = cells[place] if place < len(cells) else None
        return self.at is not None


@attrs.define(eq=False)
class Tables:
    """All tables of a World, made from `modparam("htable", "htable", ...)`."""

    needs_world: ClassVar[bool] = True

    world: World
    by_name: dict[str, Table] = attrs.Factory(dict)
    iterators: dict[str, CellIterator] = attrs.Factory(dict)
    expired: Cell | None = None
    _timer_runs: bool = False
    _specs: int = 0

    def __attrs_post_init__(self) -> None:
        self._read_params()

    def get(self, name: str) -> Table | None:
        """A table; None: there is none of that name."""
        self._read_params()
        return self.by_name.get(name)

    def add(self, spec: str) -> Table:
        """Make a table from `name=>size=8;autoexpire=60;...`.

        Raises:
            ValueError: Kamailio would not start with it.
        """
        table = parse_table(spec)
        if table.name in self.by_name:
            raise ValueError(f"htable {table.name} is configured twice: Kamailio does not start")
        self.by_name[table.name] = table
        if table.expire and not self._timer_runs:
            self._timer_runs = True
            self._start_timer()
        return table

    @property
    def now(self) -> int:
        """Seconds since the epoch, as time() gives them."""
        return int(self.world.clock.now)

    def _read_params(self) -> None:
        specs: str | tuple[str, ...] = self.world.param("htable", "htable", ())
        given = (specs,) if isinstance(specs, str) else specs
        if len(given) != self._specs:
            for spec in given[self._specs :]:
                self.add(spec)
            self._specs = len(given)

    def _start_timer(self) -> None:
        interval = self.world.param("htable", "timer_interval", 20)
        self.world.clock.after(interval if interval > 0 else 20, self._expire)

    def _expire(self) -> None:
        for table in self.by_name.values():
            for cell in table.ordered() if table.expire else []:
                if cell.expire and cell.expire < self.now:
                    self._tell(table, cell)
                    table.cells.pop(cell.name, None)
        self._start_timer()

    def _tell(self, table: Table, cell: Cell) -> None:
        callback = self.world.param("htable", "event_callback", "")
        self.expired = cell
        try:
            events.run(self.world, callback, f"htable:expired:{table.name}")
        finally:
            self.expired = None


def parse_table(spec: str) -> Table:
    """Read `name=>size=8;autoexpire=60;...`.

    Raises:
        ValueError: a wrong parameter, with what Kamailio says.
    """
    name, arrow, rest = spec.partition("=>")
    if not arrow or not name.strip():
        raise ValueError(f'invalid htable parameter [{spec}]: write "name=>size=8;..."')
    table = Table(name.strip())
    for key, value in _pairs(rest):
        if key in ("size", "autoexpire", "initval", "updateexpire", "dbmode", "dmqreplicate"):
            if not re.fullmatch(r"[+-]?\d+", value):
                raise ValueError(f"invalid htable parameter [{spec}]: {key} takes a number")
            _apply(table, key, int(value))
        elif key not in ("dbtable", "cols", "coldelim", "colnull"):
            raise ValueError(f"invalid htable parameter [{spec}]: there is no {key!r}")
    return table


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for item in text.split(";"):
        if item.strip():
            key, _, value = item.partition("=")
            yield key.strip().lower(), value.strip().strip("'\"")


def _apply(table: Table, key: str, number: int) -> None:
    if key == "size":
        table.slots = 8 if number <= 1 else 1 << (14 if number > 31 else number)
    elif key == "autoexpire":
        table.expire = number
    elif key == "initval":
        table.initval = number
    elif key == "updateexpire":
        table.update_expire = bool(number)


def _case_hash(text: str) -> int:
    return core_hash(text.translate(_UPPER))
