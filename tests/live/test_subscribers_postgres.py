"""Subscribers in a real PostgreSQL: what SQLite does as well, and what only a server can do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from kemi_routes.subscribers.database import connect
from kemi_routes.subscribers.errors import (
    DatabaseDenied,
    DatabaseFault,
    DatabaseUnreachable,
    StoreError,
)
from kemi_routes.subscribers.schema import VERSION, announces, initialise
from kemi_routes.subscribers.store import open_store
from tests.subscriber_behaviour import StoreBehaviour

from .postgres import PostgresServer
from .requirement import require


@pytest.fixture
def dburl(postgres: PostgresServer) -> str:
    """The DBURL of an empty database."""
    return postgres.new_database()


class TestPostgres(StoreBehaviour):
    """The behaviour both databases share."""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    require("postgresql")
    with PostgresServer() as server:
        yield server


def test_a_database_that_goes_away_is_named_and_serves_again_when_it_is_back(
    server: PostgresServer,
) -> None:
    """An open store reports it, a new one works, and no subscriber is lost."""
    initialise(server.url)
    with open_store(server.url) as store:
        store.add("1111@example.test", "x")
        server.stop(immediate=True)
        with pytest.raises(DatabaseUnreachable, match="closed the connection"):
            store.exists("1111@example.test")
        _refused(server.url, DatabaseUnreachable, "Connection refused: check that PostgreSQL runs")
    server.start()
    with open_store(server.url) as store:
        assert store.exists("1111@example.test")


def test_a_server_that_restarts_during_a_transaction_undoes_it(server: PostgresServer) -> None:
    """The error is that of the connection, not that of the rollback."""
    initialise(server.url)
    database = connect(server.url)
    with pytest.raises(DatabaseUnreachable), database.transaction():  # noqa: PT012 - it is the point
        database.execute("INSERT INTO subscriber (username, domain) VALUES ('1111', 'a.test')")
        server.restart(immediate=True)
        database.execute("INSERT INTO subscriber (username, domain) VALUES ('2222', 'a.test')")
    with open_store(server.url) as store:
        assert list(store.list()) == []


def test_an_initialisation_waits_for_one_that_has_begun(dburl: str) -> None:
    """It sees the tables of the other only after, and makes what is left."""
    with ThreadPoolExecutor(1) as pool, connect(dburl) as first, connect(dburl) as observer:
        with first.transaction():
            first.lock_schema()
            for statement in VERSION.statements(first.identity):
                first.execute(statement)
            second = pool.submit(initialise, dburl)
            while not observer.rows(
                "SELECT 1 FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                assert not second.done(), second.result()
        assert second.result() == ("subscriber", "location", "location_attrs")


def test_the_order_of_the_list_is_not_that_of_the_database(postgres: PostgresServer) -> None:
    """An English collation would put a before B and ignore the dash."""
    dburl = postgres.new_database(
        "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8' TEMPLATE template0"
    )
    initialise(dburl)
    with open_store(dburl) as store:
        for user in ("a", "B", "a-b", "ab"):
            store.add(f"{user}@example.test", "x")
        assert [aor.user for aor in store.list()] == ["B", "a-b", "a", "ab"]


def test_a_wrong_password_is_not_shown(postgres: PostgresServer) -> None:
    """The message names the setting to look at."""
    wrong = postgres.url.replace(postgres.password, "wr0ng")
    _refused(wrong, DatabaseUnreachable, "check the user and the password in DBURL$")


def test_a_percent_encoded_password_is_explained(postgres: PostgresServer) -> None:
    """Other programs decode DBURL's password; Kamailio does not."""
    postgres.administer("CREATE ROLE odd LOGIN PASSWORD 'a@b:c%41'")
    plain = f"postgres://odd:a@b:c%41@{postgres.host}:{postgres.port}/kamailio"
    connect(plain).close()
    encoded = plain.replace("a@b:c%41", quote("a@b:c%41"))
    _refused(encoded, DatabaseUnreachable, "taken as written, nothing is %-decoded")


def test_a_database_that_does_not_exist_is_named(postgres: PostgresServer) -> None:
    """With the program that makes one."""
    _refused(postgres.url_of("nowhere"), DatabaseUnreachable, '"nowhere" does not exist.*createdb')


def test_a_user_without_rights_is_told_which_are_missing(postgres: PostgresServer) -> None:
    """Since PostgreSQL 15 only the owner of a database may make tables in it."""
    postgres.administer("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    dburl = postgres.new_database()
    guest = dburl.replace(f"kamailio:{postgres.password}", "guest:guest")
    with pytest.raises(DatabaseDenied, match="permission denied for schema public: make this user"):
        initialise(guest)
    initialise(dburl)
    _refused(guest, DatabaseDenied, "permission denied for table version")


def test_tables_of_another_owner_are_used_without_triggers(postgres: PostgresServer) -> None:
    """He has granted us the rows, and nothing more; Kamailio then asks again every 2 s."""
    dburl = postgres.new_database()
    initialise(dburl)
    postgres.administer(
        "DROP FUNCTION kemi_routes_changed CASCADE",
        "ALTER TABLE subscriber OWNER TO postgres",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON subscriber TO kamailio",
        "GRANT USAGE ON SEQUENCE subscriber_id_seq TO kamailio",
        database=dburl.rpartition("/")[2],
    )
    assert initialise(dburl) == ()
    with connect(dburl) as database:
        assert not announces(database)
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
        assert store.exists("1111@example.test")


def test_a_standby_server_is_recognised(postgres: PostgresServer) -> None:
    """It answers queries and refuses to write."""
    dburl = postgres.new_database()
    initialise(dburl)
    name = dburl.rpartition("/")[2]
    postgres.administer(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with open_store(dburl) as store:
        assert list(store.list()) == []
        with pytest.raises(DatabaseDenied, match="let DBURL name the primary"):
            store.add("1111@example.test", "x")


def test_a_database_without_encoding_lists_subscribers_as_text(postgres: PostgresServer) -> None:
    """SQL_ASCII is what initdb chooses in the C locale."""
    dburl = postgres.new_database("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    initialise(dburl)
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
        assert [str(aor) for aor in store.list()] == ["1111@example.test"]


def test_a_query_that_is_cut_off_is_a_fault_and_the_connection_lives(dburl: str) -> None:
    """Not every operational error means that the server is gone."""
    with connect(dburl) as database:
        database.execute("SET statement_timeout = '10ms'")
        with pytest.raises(DatabaseFault, match="statement timeout"):
            database.rows("SELECT pg_sleep(10)")
        assert database.rows("SELECT 1") == [(1,)]


def _refused(dburl: str, error: type[StoreError], reason: str) -> None:
    """Check that the store cannot be opened, why, and that no password is in the message."""
    with pytest.raises(error, match=reason) as caught:
        open_store(dburl)
    message = str(caught.value)
    assert "\n" not in message
    password = dburl.partition("://")[2].rpartition("@")[0].partition(":")[2]
    assert f":{password}@" not in message
    assert ":***@" in message
