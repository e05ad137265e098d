"""SQLite behind the Database interface: the file that Kamailio's db_sqlite opens as well."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from kemi_routes.subscribers.database import TIMEOUT, Database, Values
from kemi_routes.subscribers.dburl import SqliteURL
from kemi_routes.subscribers.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseFault,
    DatabaseUnreachable,
    DuplicateRow,
    SchemaMissing,
    StoreError,
)
from kemi_routes.subscribers.triggers import SQLITE, Announcement

FILE_MODE = 0o640  # the file holds HA1 values, which are as good as passwords
_RETRY = 0.02  # seconds


class SqliteDatabase(Database):
    """One SQLite file in WAL mode, where Kamailio's workers read while another process writes."""

    identity: ClassVar[str] = "INTEGER"
    byte_order: ClassVar[str] = "BINARY"
    begin: ClassVar[str] = "BEGIN IMMEDIATE"
    announcement: ClassVar[Announcement] = SQLITE
    sizes_count: ClassVar[bool] = False

    def __init__(self, url: SqliteURL, *, create: bool) -> None:
        super().__init__(str(url))
        _find_file(url.path, create=create)
        with self._named_errors():
            self._connection = sqlite3.connect(url.path, timeout=TIMEOUT, isolation_level=None)
        if create:
            try:
                self._switch_on_wal()
            except StoreError:
                self.close()
                raise

    def execute(self, sql: str, values: Values = ()) -> int:
        with self._named_errors():
            return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._named_errors():
            return self._connection.execute(sql, values).fetchall()

    def has_table(self, table: str) -> bool:
        found = self.rows("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (table,))
        return bool(found)

    def lock_schema(self) -> None:
        """Nothing to do: BEGIN IMMEDIATE holds the only write lock there is."""

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()

    def _switch_on_wal(self) -> None:
        """Set what stays in the file; SQLite does not wait for the lock itself here."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                if self.rows("PRAGMA journal_mode") != [("wal",)]:
                    self.rows("PRAGMA journal_mode=WAL")
                return
            except DatabaseBusy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_CONSTRAINT:
            return DuplicateRow(f"{self.name}: {error}")
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return DatabaseBusy(
                f"{self.name} is locked by another process for more than {TIMEOUT} s: try again"
            )
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            return DatabaseDenied(
                f"{self.name} may not be written: make the file and its directory writable"
            )
        if code == sqlite3.SQLITE_NOTADB:
            return DatabaseFault(f"{self.name} is not a SQLite database: move that file away")
        if code == sqlite3.SQLITE_CANTOPEN:
            return DatabaseUnreachable(
                f"{self.name} cannot be opened: make the file and its directory writable"
            )
        if str(error).startswith("no such table"):
            return SchemaMissing(f"{self.name}: {error}: run kemi-routes db init")
        return DatabaseFault(f"{self.name}: {error}")


def _find_file(path: Path, *, create: bool) -> None:
    """Make sure there is a file to open; SQLite itself would make one with too open a mode."""
    mode = _mode(path)
    if mode is None and not create:
        raise SchemaMissing(f"there is no database {path}: run kemi-routes db init")
    if mode is None:
        _make_file(path)
    elif not stat.S_ISREG(mode):
        raise DatabaseUnreachable(f"{path} is not a file: let DBURL name a SQLite file")


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatabaseDenied(
            f"{path} cannot be opened ({error.strerror}): let DBURL name a file this user may read"
        ) from error


def _make_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise DatabaseUnreachable(f"there is no directory {path.parent}: make it first")
    try:
        # Without O_EXCL: another start may make it at the same time.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, FILE_MODE))
    except OSError as error:
        raise DatabaseDenied(
            f"{path} cannot be made ({error.strerror}): make {path.parent} writable"
        ) from error
