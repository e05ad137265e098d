"""PostgreSQL behind the Database interface, through psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from kemi_routes.subscribers.database import TIMEOUT, Database, Values
from kemi_routes.subscribers.dburl import PostgresURL
from kemi_routes.subscribers.errors import (
    DatabaseDenied,
    DatabaseFault,
    DatabaseUnreachable,
    DriverMissing,
    DuplicateRow,
    SchemaMissing,
    StoreError,
)
from kemi_routes.subscribers.triggers import POSTGRES, Announcement

try:
    import psycopg
    from psycopg import errors as complaints
    from psycopg.conninfo import make_conninfo
except ImportError as error:  # psycopg raises it as well when libpq is not there
    raise DriverMissing(
        "the Python module psycopg is missing: install the package python3-psycopg"
    ) from error

SCHEMA_LOCK = 0x6B656D69  # any number that every version of this program shares


class PostgresDatabase(Database):
    """One connection in autocommit mode; a transaction is asked for."""

    identity: ClassVar[str] = "SERIAL"
    byte_order: ClassVar[str] = '"C"'
    begin: ClassVar[str] = "BEGIN"
    announcement: ClassVar[Announcement] = POSTGRES
    sizes_count: ClassVar[bool] = True

    def __init__(self, url: PostgresURL, timeout: int = TIMEOUT) -> None:
        super().__init__(str(url))
        self._url = url
        try:
            self.connection = psycopg.connect(conninfo(url, timeout), autocommit=True)
        except psycopg.Error as error:
            raise DatabaseUnreachable(
                f"{self.name} cannot be reached: {_first_line(error)}: {_advice(url, error)}"
            ) from error

    def execute(self, sql: str, values: Values = ()) -> int:
        with self._named_errors():
            return self._run(sql, values).rowcount

    def rows(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._named_errors():
            return self._run(sql, values).fetchall()

    def has_table(self, table: str) -> bool:
        return self.rows("SELECT to_regclass(?) IS NOT NULL", (table,)) == [(True,)]

    def lock_schema(self) -> None:
        self.rows("SELECT pg_advisory_xact_lock(?)", (SCHEMA_LOCK,))

    def close(self) -> None:
        with suppress(psycopg.Error):
            self.connection.close()

    def _run(self, sql: str, values: Values) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.connection.execute(sql.replace("?", "%s").encode(), values or None)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._named(error) from error

    def _named(self, error: psycopg.Error) -> StoreError:
        reason = _first_line(error)
        if isinstance(error, complaints.UniqueViolation):
            return DuplicateRow(f"{self.name}: {reason}")
        if isinstance(error, complaints.UndefinedTable):
            return SchemaMissing(f"{self.name}: {reason}: run kemi-routes db init")
        if isinstance(error, complaints.InsufficientPrivilege):
            return DatabaseDenied(
                f"{self.name}: {reason}: make this user the owner of the database, or grant it that"
            )
        if isinstance(error, complaints.ReadOnlySqlTransaction):
            return DatabaseDenied(f"{self.name} only answers queries: let DBURL name the primary")
        if self.connection.closed:
            return DatabaseUnreachable(
                f"{self.name} closed the connection: {reason}: try again when PostgreSQL is back"
            )
        return DatabaseFault(f"{self.name}: {reason}")


def conninfo(url: PostgresURL, timeout: int) -> str:
    """What libpq needs to connect; `timeout` in seconds. It has the password in it."""
    return make_conninfo(
        host=url.host,
        port=url.port,
        dbname=url.database,
        user=url.user,
        password=url.password,
        connect_timeout=timeout,
        client_encoding="UTF8",
        application_name="kemi-routes",
    )


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return (text.splitlines() or [type(error).__name__])[0].strip().rstrip(".:")


def _advice(url: PostgresURL, error: psycopg.Error) -> str:
    text = str(error)
    if "authentication failed" in text or "no password supplied" in text:
        literal = " (it is taken as written, nothing is %-decoded)" if _escaped(url) else ""
        return f"check the user and the password in DBURL{literal}"
    if "does not exist" in text:
        return "make the user and the database first, with createuser and createdb"
    return "check that PostgreSQL runs there and that DBURL names its host and port"


def _escaped(url: PostgresURL) -> bool:
    return "%" in (url.password or "")
