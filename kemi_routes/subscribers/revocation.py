"""Which subscribers have changed: heard from PostgreSQL, asked of SQLite twice a second."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from kemi_routes.subscribers.database import connect
from kemi_routes.subscribers.dburl import PostgresURL, parse_dburl
from kemi_routes.subscribers.errors import DatabaseBusy
from kemi_routes.subscribers.schema import announces

PATIENCE = 0.2  # seconds for a locked SQLite file
BATCH = 2000  # subscribers


class Unanswered(Exception):
    """The database answers nobody; the text says why, without any password."""


class Subscriber(NamedTuple):
    """A row of the subscriber table; the key is user@domain."""

    id: int
    key: str
    ha1: str


class Changes(ABC):
    """Changes of the subscriber table since the connection was made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.announced = False  # whether `poll` sees every change

    @abstractmethod
    def poll(self) -> list[str] | None:
        """The user@domain of each row that was changed since the last call, or None: any may be.

        Raises:
            Unanswered: the database does not answer; what changed meanwhile is not known.
            StoreError: it answers, but not this question.
        """

    @abstractmethod
    def registered(self, after: int) -> list[Subscriber]:
        """The next BATCH of those who have a binding, in the order of their id.

        What changes from now on the next `poll` tells.

        Args:
            after: the id of the last one of the batch before, 0 for the first batch.
        Raises:
            as `poll`.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection. Never raises."""

    def describe(self) -> str:
        """What this means for those who change a password, in one line."""
        if self.announced:
            return f"{self.name} announces changes of subscribers"
        return (
            f"{self.name} does not announce changes of subscribers, so that it is asked again "
            "every 2 s: let the owner of its tables run kemi-routes db init"
        )


def open_changes(dburl: str) -> Changes:
    """Begin to follow the changes in the database of DBURL; the first `poll` is None.

    Raises:
        Unanswered, StoreError: as `Changes.poll`.
    """
    url = parse_dburl(dburl)
    if isinstance(url, PostgresURL):
        # psycopg is for this process alone: no worker loads it
        from kemi_routes.subscribers.notify import PostgresChanges

        return PostgresChanges(url)
    return SqliteChanges(dburl)


def registered_after(after: int) -> str:
    """The SQL for `Changes.registered`: no cursor, which would not see what changes meanwhile."""
    return (
        "SELECT s.id, s.username || '@' || s.domain, s.ha1 FROM subscriber s"  # noqa: S608 - a number
        f" WHERE s.id > {after} AND EXISTS (SELECT 1 FROM location l"
        " WHERE l.username = s.username AND l.domain = s.domain)"
        f" ORDER BY s.id LIMIT {BATCH}"
    )


class SqliteChanges(Changes):
    """A counter that triggers keep; it is only looked at when the file has changed."""

    def __init__(self, dburl: str) -> None:
        self._database = connect(dburl)
        super().__init__(self._database.name)
        self._database.rows(f"PRAGMA busy_timeout={int(PATIENCE * 1000)}")
        self._seen: tuple[object, ...] = ()
        self._version: object = None

    def poll(self) -> list[str] | None:
        try:
            return self._poll()
        except DatabaseBusy:
            raise Unanswered(f"{self.name} is locked by another process") from None

    def registered(self, after: int) -> list[Subscriber]:
        return [Subscriber._make(row) for row in self._database.rows(registered_after(after))]

    def close(self) -> None:
        self._database.close()

    def _poll(self) -> list[str] | None:
        ((version,),) = self._database.rows("PRAGMA data_version")
        if version == self._version:
            return []
        self.announced = announces(self._database)
        seen: tuple[object, ...] = (self.announced,)
        if self.announced:
            seen += tuple(self._database.rows("SELECT changes FROM subscriber_changes"))
        before, self._seen, self._version = self._seen, seen, version
        return [] if seen == before else None
