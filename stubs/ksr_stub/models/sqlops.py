"""Module sqlops: SQL from routes. Behind it is an SQLite database in memory."""

from __future__ import annotations

import sqlite3

import attrs

from ksr_stub.registry import model
from ksr_stub.text import from_python
from ksr_stub.world import World

_INT = 2**31


@attrs.define(eq=False)
class Answer:
    """The rows of the last query with this result name."""

    columns: list[str] = attrs.Factory(list)
    rows: list[tuple[object, ...]] = attrs.Factory(list)


@attrs.define(eq=False)
class Sql:
    """The database: fill it with `connection.execute(...)`; `unavailable` takes it away."""

    connection: sqlite3.Connection = attrs.Factory(lambda: sqlite3.connect(":memory:"))
    unavailable: bool = False
    answers: dict[str, Answer] = attrs.Factory(dict)

    def query(self, text: str) -> Answer:
        """Do a query.

        Raises:
            sqlite3.Error: the database is away, or the query is wrong.
        """
        if self.unavailable:
            raise sqlite3.OperationalError("the database is away")
        cursor = self.connection.execute(text)
        names = [column[0] for column in cursor.description or ()]
        return Answer(names, cursor.fetchall())


def _names(world: World) -> set[str]:
    given: str | tuple[str, ...] = world.param("sqlops", "sqlcon", ())
    specs = (given,) if isinstance(given, str) else given
    return {spec.partition("=>")[0].strip() for spec in specs}


@model("sqlops")
def sql_query(world: World, connection: str, query: str, sres: str) -> int:
    """Do a query: 0, also without rows; -1: no such connection, or the database fails."""
    if connection not in _names(world):
        world.say(-1, f"sqlops: invalid connection [{connection}]")
        return -1
    sql = world.part(Sql)
    sql.answers[sres] = Answer()
    try:
        sql.answers[sres] = sql.query(query.encode("latin-1").decode())
    except sqlite3.Error as error:
        world.say(-1, f"sqlops: cannot do the query [{query[:64]}]: {error}")
        return -1
    return 0


@model("sqlops")
def sql_num_rows(world: World, sres: str) -> int:
    """How many rows the last query gave."""
    return len(_answer(world, sres).rows)


@model("sqlops")
def sql_num_columns(world: World, sres: str) -> int:
    """How many columns the rows have: 0 without rows."""
    answer = _answer(world, sres)
    return len(answer.columns) if answer.rows else 0


@model("sqlops")
def sql_is_null(world: World, sres: str, i: int, j: int) -> int:
    """1: null, 0: a value, -1: there is no such row or column."""
    rows = _answer(world, sres).rows
    if not (0 <= i < len(rows) and 0 <= j < len(rows[i])):
        return -1
    return 1 if rows[i][j] is None else 0


@model("sqlops")
def sql_result_get(world: World, resid: str, row: int, col: int) -> str | int | None:
    """A value of the last query; None where it is null or not there."""
    return _value(world, resid, row, col, None)


@model("sqlops")
def sql_result_gete(world: World, resid: str, row: int, col: int) -> str | int | None:
    """As sql_result_get, '' for null."""
    return _value(world, resid, row, col, "")


@model("sqlops")
def sql_result_getz(world: World, resid: str, row: int, col: int) -> str | int | None:
    """As sql_result_get, 0 for null."""
    return _value(world, resid, row, col, 0)


@model("sqlops")
def sql_result_free(world: World, sres: str) -> int:
    """Forget the rows of a query."""
    world.part(Sql).answers.pop(sres, None)
    return 1


def _answer(world: World, name: str) -> Answer:
    return world.part(Sql).answers.get(name, Answer())


def _value(
    world: World, name: str, row: int, column: int, null: str | int | None
) -> str | int | None:
    rows = _answer(world, name).rows
    if not (0 <= row < len(rows) and 0 <= column < len(rows[row])):
        return null
    value = rows[row][column]
    if value is None:
        return null
    if isinstance(value, int) and -_INT <= value < _INT:
        return value
    return from_python(value.decode() if isinstance(value, bytes) else str(value))
