"""The subscribers in the table that Kamailio's auth_db reads. Only HA1 values are kept."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from kemi_routes.subscribers.address import AoR, parse_domain
from kemi_routes.subscribers.credentials import credentials
from kemi_routes.subscribers.database import Database, connect
from kemi_routes.subscribers.errors import (
    DuplicateRow,
    NoSuchSubscriber,
    SubscriberExists,
)
from kemi_routes.subscribers.schema import SUBSCRIBER, check


class Store:
    """All that can be done to subscribers; every method takes an AoR as `user@domain`.

    Every method may raise BadAddress and DatabaseUnusable beside the errors it names.
    """

    def __init__(self, database: Database, algorithm: str = "MD5") -> None:
        self._database = database
        self._algorithm = algorithm

    def add(self, address: str, password: str) -> AoR:
        """Add a subscriber. Errors: BadPassword, SubscriberExists."""
        aor = AoR.parse(address)
        kept = credentials(aor, password, self._algorithm)
        try:
            with self._database.transaction():
                self._refuse_namesake(aor)
                self._database.execute(
                    "INSERT INTO subscriber (username, domain, password, ha1, ha1b) "
                    "VALUES (?, ?, '', ?, ?)",
                    (aor.user, aor.domain, kept.ha1, kept.ha1b),
                )
        except DuplicateRow as error:  # another process was faster
            raise _exists(aor, str(aor)) from error
        return aor

    def set_password(self, address: str, password: str) -> AoR:
        """Give a subscriber another password. Errors: BadPassword, NoSuchSubscriber."""
        aor = AoR.parse(address)
        kept = credentials(aor, password, self._algorithm)
        changed = self._database.execute(
            "UPDATE subscriber SET password = '', ha1 = ?, ha1b = ? "
            "WHERE username = ? AND domain = ?",
            (kept.ha1, kept.ha1b, aor.user, aor.domain),
        )
        return _found(aor, changed)

    def remove(self, address: str) -> AoR:
        """Remove a subscriber. Errors: NoSuchSubscriber."""
        aor = AoR.parse(address)
        changed = self._database.execute(
            "DELETE FROM subscriber WHERE username = ? AND domain = ?", (aor.user, aor.domain)
        )
        return _found(aor, changed)

    def exists(self, address: str) -> bool:
        """Tell whether this AoR is a subscriber, spelled exactly so."""
        aor = AoR.parse(address)
        return bool(
            self._database.rows(
                "SELECT 1 FROM subscriber WHERE username = ? AND domain = ?",
                (aor.user, aor.domain),
            )
        )

    def list(self, domain: str | None = None) -> Iterator[AoR]:
        """Yield all subscribers, or those of one domain, in the order of their AoRs' bytes."""
        where = "" if domain is None else "WHERE domain = ? "
        rows = self._database.rows(
            f"SELECT username, domain FROM subscriber {where}"  # noqa: S608 - no value is in it
            f"ORDER BY username || '@' || domain COLLATE {self._database.byte_order}",
            () if domain is None else (parse_domain(domain),),
        )
        return (AoR(user, realm) for user, realm in rows)

    def close(self) -> None:
        """End the connection. Never raises."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _refuse_namesake(self, aor: AoR) -> None:
        # Kamailio's registrar does not tell Alice from alice (case_sensitive is 0): each would
        # receive the calls of the other.
        rows = self._database.rows(
            "SELECT username, domain FROM subscriber WHERE lower(username) = ? AND domain = ?",
            (aor.user.lower(), aor.domain),
        )
        for user, domain in rows:
            raise _exists(aor, f"{user}@{domain}")


def open_store(dburl: str, algorithm: str = "MD5") -> Store:
    """Open the subscribers of DBURL; `algorithm` is the server's DIGEST_ALGORITHM.

    Errors: BadDatabaseURL, UnknownScheme, DatabaseUnusable; among them SchemaMissing and
    SchemaOutdated.
    """
    database = connect(dburl)
    try:
        check(database, [SUBSCRIBER])
    except BaseException:
        database.close()
        raise
    return Store(database, algorithm)


def _exists(aor: AoR, there: str) -> SubscriberExists:
    if there == str(aor):
        return SubscriberExists(
            f"{aor} exists already: change its password with kemi-routes subscriber passwd"
        )
    return SubscriberExists(
        f"{aor} cannot be added beside {there}: "
        "Kamailio takes upper and lower case as the same registration"
    )


def _found(aor: AoR, changed: int) -> AoR:
    if not changed:
        raise NoSuchSubscriber(f"there is no subscriber {aor}: see kemi-routes subscriber list")
    return aor
