"""Bring tables that an older Kamailio made to the versions of schema.py, step by step.

The steps are those that Kamailio's own schema took since 4.0 (utils/kamctl/postgres). Nothing is
dropped: columns that Kamailio no longer uses stay, with what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from kemi_routes.subscribers.database import Database, connect
from kemi_routes.subscribers.schema import (
    LOCATION,
    SUBSCRIBER,
    VERSION,
    Table,
    initialise,
    versions,
)


@frozen
class Step:
    """What leads a table from the version before to `version`."""

    table: Table
    version: int
    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()

    def statements(self, *, sizes_count: bool) -> Iterable[str]:
        """Yield the SQL; SQLite takes no notice of a VARCHAR's size and can't change it."""
        columns = {column.name: column for column in self.table.columns}
        for name in self.added:
            yield f"ALTER TABLE {self.table.name} ADD COLUMN {columns[name].definition()}"
        for name in self.widened if sizes_count else ():
            kind = columns[name].kind
            yield f"ALTER TABLE {self.table.name} ALTER COLUMN {name} TYPE {kind}"


STEPS = (
    Step(SUBSCRIBER, 7, widened=("password", "ha1", "ha1b")),
    Step(LOCATION, 7, added=("server_id", "connection_id", "keepalive")),
    Step(LOCATION, 8, added=("partition",)),
    Step(LOCATION, 9, widened=("contact",)),
)


def upgrade(dburl: str) -> tuple[str, ...]:
    """Bring old tables up to date, then make what is missing; what was done.

    A second run and a run at the same time do nothing. The user of DBURL needs no more rights than
    to own the tables, so it may be a managed database.
    Errors: any StoreError; SchemaOutdated when a table is too old or too new for the steps here.
    """
    done: list[str] = []
    with connect(dburl, create=True) as database, database.transaction():
        database.lock_schema()
        found = versions(database) if database.has_table(VERSION.name) else {}
        for step in STEPS:
            if found.get(step.table.name) == step.version - 1:
                _take(database, step)
                found[step.table.name] = step.version
                done.append(f"brought {step.table.name} to version {step.version}")
    return (*done, *(f"made {name}" for name in initialise(dburl)))


def _take(database: Database, step: Step) -> None:
    for statement in step.statements(sizes_count=database.sizes_count):
        database.execute(statement)
    for statement in step.table.index_statements():
        database.execute(statement)
    database.execute(
        "UPDATE version SET table_version = ? WHERE table_name = ?",
        (step.version, step.table.name),
    )
