"""Kamailio's own tables: version, subscriber, location and location_attrs, described once.

They are what `kamdbctl create` makes for the modules auth_db and usrloc. The versions are the same
in Kamailio 5.6, 6.0 and 6.1: subscriber 7, location 9, location_attrs 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from attrs import frozen

from kemi_routes.subscribers.database import Database, connect
from kemi_routes.subscribers.errors import DatabaseDenied, SchemaMissing, SchemaOutdated


@frozen
class Column:
    """One column; `default` is an SQL literal: "NULL" where it may be NULL, None for no default."""

    name: str
    kind: str
    default: str | None

    def definition(self) -> str:
        default = "" if self.default is None else f" DEFAULT {self.default}"
        not_null = "" if self.default == "NULL" else " NOT NULL"
        return f"{self.name} {self.kind}{default}{not_null}"


@frozen
class Index:
    """An index; a unique one is a constraint of the table."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False


@frozen
class Table:
    """One table and the number Kamailio's modules look for in the table `version`."""

    name: str
    version: int
    columns: tuple[Column, ...]
    indices: tuple[Index, ...]

    def statements(self, identity: str) -> Iterable[str]:
        """Yield the SQL that makes the table; `identity` is the dialect's type of the column id."""
        lines = [f"id {identity} PRIMARY KEY NOT NULL"]
        lines += [column.definition() for column in self.columns]
        lines += [
            f"CONSTRAINT {index.name} UNIQUE ({', '.join(index.columns)})"
            for index in self.indices
            if index.unique
        ]
        yield f"CREATE TABLE {self.name} ({', '.join(lines)})"
        yield from self.index_statements()

    def index_statements(self) -> Iterable[str]:
        """Yield the SQL that makes the indices that are not there."""
        for index in self.indices:
            if not index.unique:
                columns = ", ".join(index.columns)
                yield f"CREATE INDEX IF NOT EXISTS {index.name} ON {self.name} ({columns})"


def _text(name: str, size: int, default: str = "''") -> Column:
    return Column(name, f"VARCHAR({size})", default)


def _integer(name: str, default: str = "0") -> Column:
    return Column(name, "INTEGER", default)


def _time(name: str, default: str) -> Column:
    return Column(name, "TIMESTAMP WITHOUT TIME ZONE", default)


VERSION = Table(
    "version",
    1,
    (Column("table_name", "VARCHAR(32)", None), _integer("table_version")),
    (Index("version_table_name_idx", ("table_name",), unique=True),),
)
SUBSCRIBER = Table(
    "subscriber",
    7,
    (
        _text("username", 64),
        _text("domain", 64),
        _text("password", 64),
        _text("ha1", 128),
        _text("ha1b", 128),
    ),
    (
        Index("subscriber_account_idx", ("username", "domain"), unique=True),
        Index("subscriber_username_idx", ("username",)),
    ),
)
LOCATION = Table(
    "location",
    9,
    (
        _text("ruid", 64),
        _text("username", 64),
        _text("domain", 64, "NULL"),
        _text("contact", 512),
        _text("received", 128, "NULL"),
        _text("path", 512, "NULL"),
        _time("expires", "'2030-05-28 21:32:15'"),
        Column("q", "REAL", "1.0"),
        _text("callid", 255, "'Default-Call-ID'"),
        _integer("cseq", "1"),
        _time("last_modified", "'2000-01-01 00:00:01'"),
        _integer("flags"),
        _integer("cflags"),
        _text("user_agent", 255),
        _text("socket", 64, "NULL"),
        _integer("methods", "NULL"),
        _text("instance", 255, "NULL"),
        _integer("reg_id"),
        _integer("server_id"),
        _integer("connection_id"),
        _integer("keepalive"),
        _integer("partition"),
    ),
    (
        Index("location_ruid_idx", ("ruid",), unique=True),
        Index("location_account_contact_idx", ("username", "domain", "contact")),
        Index("location_expires_idx", ("expires",)),
        Index("location_tcpcon_idx", ("connection_id",)),
        Index("location_connection_idx", ("server_id", "connection_id")),
    ),
)
LOCATION_ATTRS = Table(
    "location_attrs",
    1,
    (
        _text("ruid", 64),
        _text("username", 64),
        _text("domain", 64, "NULL"),
        _text("aname", 64),
        _integer("atype"),
        _text("avalue", 512),
        _time("last_modified", "'2000-01-01 00:00:01'"),
    ),
    (
        Index("location_attrs_account_record_idx", ("username", "domain", "ruid")),
        Index("location_attrs_last_modified_idx", ("last_modified",)),
    ),
)
SERVED = (SUBSCRIBER, LOCATION, LOCATION_ATTRS)


def initialise(dburl: str) -> tuple[str, ...]:
    """Make the tables that are not there yet, in one transaction, and return their names.

    And the triggers that announce changed subscribers, where this user may make them.
    A second run, a run at the same time and a run on a database that kamdbctl made are harmless.
    Errors: any StoreError; SchemaOutdated when a table there has another version.
    """
    with connect(dburl, create=True) as database:
        with database.transaction():
            database.lock_schema()
            made = [table for table in (VERSION, *SERVED) if not database.has_table(table.name)]
            for table in made:
                _create(database, table)
            check(database, SERVED)
        with suppress(DatabaseDenied), database.transaction():
            database.lock_schema()
            _announce(database)
    return tuple(table.name for table in made)


def announces(database: Database) -> bool:
    """Whether the database announces every change of a subscriber. Errors: any StoreError."""
    return database.rows(database.announcement.ask) == [(database.announcement.count,)]


def versions(database: Database) -> dict[str, int]:
    """The version of each table, as Kamailio's modules read it."""
    return dict(database.rows("SELECT table_name, table_version FROM version"))


def check(database: Database, tables: Iterable[Table]) -> None:
    """Compare the table versions in the database with ours.

    Errors: SchemaMissing, SchemaOutdated (names table, number found, number expected).
    """
    if not database.has_table(VERSION.name):
        raise SchemaMissing(f"{database.name} has no tables yet: run kemi-routes db init")
    found = versions(database)
    for table in tables:
        if not database.has_table(table.name):
            raise SchemaMissing(
                f"{database.name} has no table {table.name}: run kemi-routes db init"
            )
        version = found.get(table.name, "unknown")
        if version != table.version:
            raise SchemaOutdated(
                f"{database.name}: table {table.name} has version {version}, "
                f"and Kamailio 5.6 to 6.1 need {table.version}: "
                "run kemi-routes db upgrade, or use a new database"
            )


def _announce(database: Database) -> None:
    if announces(database):
        return
    for statement in database.announcement.make:
        database.execute(statement)


def _create(database: Database, table: Table) -> None:
    for statement in table.statements(database.identity):
        database.execute(statement)
    # A row that is there already keeps its number: check() is to see it.
    database.execute(
        "INSERT INTO version (table_name, table_version) VALUES (?, ?) "
        "ON CONFLICT (table_name) DO NOTHING",
        (table.name, table.version),
    )
