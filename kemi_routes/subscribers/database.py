"""One connection to the database, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, ClassVar, Self

from kemi_routes.subscribers.dburl import SqliteURL, parse_dburl
from kemi_routes.subscribers.errors import StoreError
from kemi_routes.subscribers.triggers import Announcement

TIMEOUT = 10  # seconds to wait for a connection or for another writer

Values = Sequence[str | int]


class Database(ABC):
    """An open connection. SQL has `?` for each value. Every method raises only StoreError."""

    identity: ClassVar[str]  # type of the column id
    byte_order: ClassVar[str]  # collation that sorts the same everywhere
    begin: ClassVar[str]
    announcement: ClassVar[Announcement]
    sizes_count: ClassVar[bool]  # a VARCHAR takes no more than its size

    def __init__(self, name: str) -> None:
        self.name = name  # for messages: DBURL without its password

    @abstractmethod
    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement and return how many rows it changed."""

    @abstractmethod
    def rows(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Run one query and return all its rows."""

    @abstractmethod
    def has_table(self, table: str) -> bool:
        """Tell whether a table of this name is there."""

    @abstractmethod
    def lock_schema(self) -> None:
        """Inside a transaction: wait until no other initialisation runs."""

    @abstractmethod
    def close(self) -> None:
        """End the connection. Never raises."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what runs inside, or nothing of it when it raises."""
        self.execute(self.begin)
        try:
            yield
        except BaseException:
            with suppress(StoreError):  # the first error is the one worth showing
                self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(dburl: str, *, create: bool = False) -> Database:
    """Open the database of DBURL; `create` makes a SQLite file that is not there.

    Errors: BadDatabaseURL, UnknownScheme, DatabaseUnusable and its kinds.
    """
    url = parse_dburl(dburl)
    if isinstance(url, SqliteURL):
        from kemi_routes.subscribers.sqlite import SqliteDatabase

        return SqliteDatabase(url, create=create)
    # psycopg and libpq take longer to import than a SQLite command takes to run.
    from kemi_routes.subscribers.postgres import PostgresDatabase

    return PostgresDatabase(url)
