"""PostgreSQL tells us itself: LISTEN, and a question twice a second whether it is still there."""

from __future__ import annotations

import select
import time

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, PGconn, Ping
from psycopg.pq.abc import PGresult

from kemi_routes.subscribers.dburl import PostgresURL
from kemi_routes.subscribers.errors import DatabaseFault, DatabaseUnreachable
from kemi_routes.subscribers.postgres import PostgresDatabase, conninfo
from kemi_routes.subscribers.revocation import (
    Changes,
    Subscriber,
    Unanswered,
    registered_after,
)
from kemi_routes.subscribers.triggers import CHANNEL, POSTGRES

CONNECT_TIMEOUT = 2  # seconds, the least that libpq takes
ANSWER_TIMEOUT = 1.0  # seconds
# ms: PostgreSQL itself ends a longer query for what is only good to have
LOADING_TIMEOUT = 500


class PostgresChanges(Changes):
    """A connection that listens.

    Each poll asks for our triggers: with the answer come all notifications from before.
    """

    def __init__(self, url: PostgresURL) -> None:
        try:
            self._database = PostgresDatabase(url, CONNECT_TIMEOUT)
        except DatabaseUnreachable as error:
            info = conninfo(url, CONNECT_TIMEOUT).encode()
            if PGconn.ping(info) == Ping.OK:
                raise  # it serves others
            raise Unanswered(str(error)) from None
        super().__init__(self._database.name)
        self._pgconn = self._database.connection.pgconn
        self._heard: list[str] | None = None
        self._ask(f"LISTEN {CHANNEL}")

    def poll(self) -> list[str] | None:
        announced = self._ask(POSTGRES.ask) == str(POSTGRES.count)
        heard, self._heard = self._heard, []
        if announced != self.announced or (heard and "" in heard):
            self.announced = announced
            return None
        return heard

    def registered(self, after: int) -> list[Subscriber]:
        self._ask(f"SET statement_timeout = {LOADING_TIMEOUT}")
        try:
            found = self._result_of(registered_after(after))
        finally:
            self._ask("RESET statement_timeout")
        rows = ([_text(found, row, column) for column in range(3)] for row in range(found.ntuples))
        return [Subscriber(int(number), key, hashed) for number, key, hashed in rows]

    def close(self) -> None:
        self._database.close()

    def _ask(self, sql: str) -> str:
        """The first value of the answer."""
        result = self._result_of(sql)
        return _text(result, 0, 0) if result.ntuples else ""

    def _result_of(self, sql: str) -> PGresult:
        """The answer. psycopg's own `execute` would wait for it for good."""
        try:
            self._pgconn.send_query(sql.encode())
            result = self._answer()
        except psycopg.OperationalError as error:
            raise Unanswered(f"{self.name}: {_first_line(error)}") from None
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            text = result.error_message.decode(errors="replace").partition("\n")[0]
            broken = self._pgconn.status != ConnStatus.OK
            raise Unanswered(text) if broken else DatabaseFault(f"{self.name}: {text}")
        return result

    def _answer(self) -> PGresult:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        results = []
        while (result := self._next_result(deadline)) is not None:
            results.append(result)
        while (notification := self._pgconn.notifies()) is not None:
            if self._heard is not None:
                self._heard.append(notification.extra.decode(errors="replace"))
        return results[0]

    def _next_result(self, deadline: float) -> PGresult | None:
        readable = select.poll()
        readable.register(self._pgconn.socket, select.POLLIN)
        while self._pgconn.is_busy():
            if not readable.poll(max(0, deadline - time.monotonic()) * 1000):
                raise Unanswered(f"{self.name} does not answer")
            self._pgconn.consume_input()
        return self._pgconn.get_result()


def _text(result: PGresult, row: int, column: int) -> str:
    return (result.get_value(row, column) or b"").decode()


def _first_line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
