"""The database goes away and comes back: who is registered stays reachable, nobody is misled."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from .installation import InstalledServer, make
from .media import sdp
from .network import Namespace
from .patience import ANSWERS, RECOVERS, eventually
from .phone import Phone
from .postgres import PostgresServer
from .server import DOMAIN, Server

SOON = {"PING_INTERVAL": "1"}
ANY_PORT = ("127.0.0.1", 0)
OFFLINE = "3333"


@pytest.fixture(scope="module")
def shared(host: Namespace, postgres: PostgresServer) -> Server:
    """A server that keeps everything in PostgreSQL. DB_TIMEOUT is the shortest."""
    server = Server(host, settings={**SOON, "DBURL": postgres.url, "DB_TIMEOUT": "2"})
    server.add_subscriber(f"{OFFLINE}@{DOMAIN}", "never used here")
    return server


@pytest.fixture
def database(postgres: PostgresServer, shared: Server) -> Iterator[PostgresServer]:
    """PostgreSQL up and known to be so, before and after the test."""
    eventually(lambda: _remembers(shared), "trust in what is kept in memory")
    yield postgres
    if not _accepts(postgres):
        postgres.start()
    probe = _phone(shared, "9999")
    eventually(lambda: probe.register().status == 200, "registration after the test")
    probe.unregister()
    probe.close()
    eventually(lambda: _remembers(shared), "trust in what is kept in memory")


def _remembers(server: Server) -> bool:
    """Whether who registers now needs no database next time: the listener sees its changes."""
    return bool(re.search(r"value: [1-9]", server.kamcmd("htable.get", "revocation", "trust")))


def _accepts(database: PostgresServer) -> bool:
    try:
        database.administer("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def alice(shared: Server, database: PostgresServer) -> Iterator[Phone]:
    """1111, registered while the database was there."""
    phone = _phone(shared, "1111")
    assert phone.register().status == 200
    yield phone
    if not _accepts(database):
        database.start()
    eventually(lambda: phone.unregister().status == 200, "end of the registration")


@pytest.fixture
def stranger(shared: Server, host: Namespace) -> Phone:
    """A phone of another provider, who needs no credentials to call our users."""
    return Phone(host, "stranger", "elsewhere.example", None, shared.address(), local=ANY_PORT)


def _phone(server: Server, user: str) -> Phone:
    return server.phone(server.host, user, local=ANY_PORT)


def statuses(phone: Phone) -> list[int]:
    """The status codes that a phone got, without 100."""
    return [message.status for way, message in phone.log if way == "<" and message.status > 100]


# While it is away


def test_a_phone_with_credentials_is_told_to_come_back_later(
    shared: Server, database: PostgresServer
) -> None:
    """401 would make it ask its user for another password."""
    bob = _phone(shared, "2222")
    database.stop(immediate=True)
    response = bob.register()
    assert statuses(bob) == [401, 503], "one challenge, which needs no database, and no second one"
    assert response["Retry-After"] == "10"
    assert "WWW-Authenticate" not in response
    assert shared.bindings("2222") == []


def test_a_caller_with_credentials_is_told_to_come_back_later(
    shared: Server, alice: Phone, database: PostgresServer
) -> None:
    bob = _phone(shared, "2222")
    database.stop(immediate=True)
    call = bob.invite("1111")
    assert call.wait_for(503)["Retry-After"] == "10"
    assert statuses(bob) == [407, 503]
    assert not alice.has_request("INVITE")


def test_registered_phones_are_called_and_keepalives_answered(
    alice: Phone, stranger: Phone, database: PostgresServer
) -> None:
    database.stop(immediate=True)
    keepalive = stranger.request("OPTIONS", f"sip:127.0.0.1:{alice.server[1]}")
    keepalive.wait_for(200, ANSWERS)
    call = stranger.invite(alice.aor, sdp(("127.0.0.1", 4000)))
    incoming = alice.expect_request("INVITE")
    incoming.reply(180)
    call.wait_for(180)
    incoming.reply(200, sdp=sdp(("127.0.0.1", 4002)))
    call.wait_for(200)
    call.ack()
    alice.expect_request("ACK")
    bye = incoming.call.bye()
    stranger.expect_request("BYE").reply(200)
    bye.wait_for(200)


@pytest.mark.parametrize("user", [OFFLINE, "nobody"])
def test_a_call_to_somebody_offline_is_no_wrong_number(
    stranger: Phone, database: PostgresServer, user: str
) -> None:
    """Whether there is such a user, only the database knows."""
    known = {OFFLINE: 480, "nobody": 404}
    assert stranger.request("MESSAGE", f"sip:{user}@{DOMAIN}").final().status == known[user]
    database.stop(immediate=True)
    response = stranger.request("MESSAGE", f"sip:{user}@{DOMAIN}").final()
    assert (response.status, response["Retry-After"]) == (503, "10")


def test_a_database_that_hangs_does_not_take_the_server_along(
    shared: Server, alice: Phone, stranger: Phone, database: PostgresServer
) -> None:
    """A host that lost its power or its network refuses nothing, it just never answers."""
    bob = _phone(shared, "2222")
    # usrloc keeps calls to a phone waiting while it writes that phone's binding
    eventually(lambda: "CS_SYNC" in _known_of(shared, "1111"), "row of the binding")
    with _hanging(database):
        assert bob.register(timeout=15).status == 503
        keepalive = stranger.request("OPTIONS", f"sip:127.0.0.1:{alice.server[1]}")
        keepalive.wait_for(200, ANSWERS)
        message = stranger.request("MESSAGE", alice.aor)
        alice.expect_request("MESSAGE").reply(200)
        message.wait_for(200)
    eventually(lambda: bob.register(timeout=15).status == 200, "registration")
    assert bob.unregister().status == 200


def _known_of(server: Server, user: str) -> str:
    return server.kamcmd("ul.lookup", "location", f"{user}@{DOMAIN}")


@contextmanager
def _hanging(database: PostgresServer) -> Iterator[None]:
    """Stop the processes of PostgreSQL where they are, and let them go on after."""
    leader = int((database.log.parent / "data/postmaster.pid").read_text().split()[0])
    os.kill(leader, signal.SIGSTOP)  # first: from now on it makes no more, and buries none
    family = [leader, *_children(leader)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(family):
            os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


# When it is back


@pytest.mark.parametrize("immediate", [True, False], ids=["crash", "shutdown"])
def test_everything_goes_on_by_itself_when_the_database_is_back(
    shared: Server, alice: Phone, stranger: Phone, database: PostgresServer, immediate: bool
) -> None:
    processes = shared.workers()
    newcomer = _phone(shared, f"new-{immediate}")
    eventually(lambda: _is_known(shared, alice), "credentials in shared memory")
    database.stop(immediate=immediate)
    assert newcomer.register().status == 503
    assert alice.register().status == 200, "she has proved who she is before"
    assert len(shared.bindings("1111")) == 1
    database.start()
    eventually(lambda: newcomer.register().status == 200, "registration", timeout=RECOVERS)
    assert newcomer.unregister().status == 200
    for _ in range(20):  # from port to port the kernel chooses another worker
        bob = _phone(shared, "2222")
        assert bob.register().status == 200
        assert bob.unregister().status == 200
        bob.close()
    assert stranger.request("MESSAGE", f"sip:{OFFLINE}@{DOMAIN}").final().status == 480
    assert stranger.request("MESSAGE", f"sip:nobody@{DOMAIN}").final().status == 404
    assert shared.workers() == processes, "nothing had to be started again"


def test_nobody_notices_a_database_that_was_restarted_between_two_requests(
    shared: Server, alice: Phone, database: PostgresServer
) -> None:
    database.restart(immediate=True)
    for _ in range(10):
        assert alice.register().status == 200
    assert 503 not in statuses(alice)


def test_bindings_of_just_before_a_crash_of_the_database_are_written_after_it(
    host: Namespace, database: PostgresServer
) -> None:
    """A new one and a renewed one; both then outlive a restart of Kamailio as well."""
    server = Server(host, settings={**SOON, "DBURL": database.new_database(), "DB_TIMEOUT": "2"})
    renewed, new = _phone(server, "1111"), _phone(server, "2222")
    assert renewed.register(expires=600).status == 200
    eventually(lambda: [*_lifetimes(server)] == ["1111"], "row of the first binding")
    with _no_writes(server):
        assert renewed.register(expires=3000).status == 200
        assert new.register(expires=3000).status == 200
        written = _lifetimes(server)
        database.stop(immediate=True)
    assert [*written] == ["1111"]
    assert written["1111"] < 700, "neither had been written"
    server.wait_for_log(r"usrloc.*failed")
    database.start()
    eventually(lambda: _late(server) == {"1111", "2222"}, "rows of both bindings")
    server.restart()
    assert [len(server.bindings(user)) for user in ("1111", "2222")] == [1, 1]
    server.close()


def test_a_write_that_the_database_did_after_all_does_not_stop_the_next(
    host: Namespace, database: PostgresServer
) -> None:
    """The row is there, although nobody told Kamailio so in time."""
    server = Server(host, settings={**SOON, "DBURL": database.new_database(), "DB_TIMEOUT": "2"})
    phone = _phone(server, "1111")
    with _no_writes(server):
        assert phone.register(expires=600).status == 200
        server.wait_for_log("inserting contact into database failed")
    eventually(lambda: [*_lifetimes(server)] == ["1111"], "late row")
    assert phone.register(expires=3000).status == 200
    eventually(lambda: _late(server) == {"1111"}, "renewal in the database")
    server.close()


@contextmanager
def _no_writes(server: Server) -> Iterator[None]:
    """Let everybody read the table of bindings, and let writers wait."""
    connection = psycopg.connect(server.settings["DBURL"])
    try:
        connection.execute("LOCK TABLE location IN EXCLUSIVE MODE")
        yield
    finally:
        connection.close()


def _lifetimes(server: Server) -> dict[str, float]:
    """User and seconds left of each row of the table of bindings."""
    with psycopg.connect(server.settings["DBURL"]) as connection:
        rows = connection.execute(
            "SELECT username, extract(epoch FROM expires - now() AT TIME ZONE 'UTC') FROM location"
        )
        return {user: float(left) for user, left in sorted(rows)}


def _late(server: Server) -> set[str]:
    """Users whose row lasts longer than ten minutes."""
    return {user for user, left in _lifetimes(server).items() if left > 700}


# At start


def test_nobody_is_served_before_the_bindings_are_read(
    host: Namespace, database: PostgresServer
) -> None:
    """A call to a registered phone waits a moment, instead of being told that it is offline."""
    dburl = database.new_database()
    server = Server(host, settings={**SOON, "DBURL": dburl, "DB_TIMEOUT": "30"})
    alice = _phone(server, "1111")
    assert alice.register().status == 200
    server.stop()
    stranger = Phone(host, "stranger", "elsewhere.example", None, server.address(), local=ANY_PORT)
    with (
        ThreadPoolExecutor(2) as threads,
        psycopg.connect(dburl) as first,
        psycopg.connect(dburl) as second,
    ):
        first.execute(READ_LOCK)
        started = threads.submit(server.start)
        # the first query is a trial, before there are any sockets: let it pass
        eventually(lambda: len(_waiting(first)) == 1, "trial of the table")
        locked = threads.submit(second.execute, READ_LOCK)
        eventually(lambda: len(_waiting(first)) == 2, "second lock")
        first.rollback()
        locked.result()
        eventually(lambda: _waiting(second), "reader of the bindings")
        message = stranger.request("MESSAGE", alice.aor)
        assert not started.done(), "it says that it is ready"
        second.rollback()
    alice.expect_request("MESSAGE").reply(200)
    message.wait_for(200)
    server.close()


READ_LOCK = "LOCK TABLE location IN ACCESS EXCLUSIVE MODE"


def _waiting(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Who waits for a lock."""
    return connection.execute("SELECT pid FROM pg_locks WHERE NOT granted").fetchall()


# SQLite


def test_another_program_writing_to_sqlite_delays_no_registration(
    server: Server, loopback: Namespace
) -> None:
    """In WAL mode readers never wait; the binding is written when the lock is gone."""
    server.settings.update(SOON)
    server.restart()
    server.add_subscriber(f"{OFFLINE}@{DOMAIN}", "never used here")
    alice = _phone(server, "1111")
    with _locked(server):
        assert alice.register().status == 200
        assert alice.request("MESSAGE", OFFLINE).final().status == 480
        server.wait_for_log("usrloc.*failed")
    eventually(lambda: _rows(server) == ["1111"], "row of the binding")
    server.restart()
    assert len(server.bindings("1111")) == 1


def test_a_locked_sqlite_without_wal_means_503_until_the_lock_is_gone(
    loopback: Namespace, tmp_path: Path
) -> None:
    """As kamdbctl makes it. Kamailio does not wait for the lock."""
    make("install", f"PREFIX={tmp_path}")
    server = InstalledServer(loopback, tmp_path, SOON)
    alice, newcomer = _phone(server, "1111"), _phone(server, "2222")
    server.stop()
    with closing(sqlite3.connect(_file(server))) as connection:
        assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    server.start()
    eventually(lambda: _is_known(server, alice), "credentials in shared memory")
    assert alice.unregister().status == 200
    with _locked(server):
        response = newcomer.register()
        assert (response.status, response["Retry-After"]) == (503, "10")
        assert statuses(newcomer) == [401, 503]
        assert alice.register().status == 200
        assert alice.request("MESSAGE", OFFLINE).final().status == 503
    assert alice.register().status == 200
    eventually(lambda: _rows(server) == ["1111"], "row of the binding")


def _is_known(server: Server, phone: Phone) -> bool:
    registered = phone.register().status == 200
    return registered and f"{phone.user}@{DOMAIN}" in server.kamcmd("htable.dump", "ha1")


@contextmanager
def _locked(server: Server) -> Iterator[None]:
    with closing(sqlite3.connect(_file(server), isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def _rows(server: Server) -> list[str]:
    with closing(sqlite3.connect(_file(server))) as connection:
        return [user for (user,) in connection.execute("SELECT username FROM location")]


def _file(server: Server) -> str:
    return server.settings["DBURL"].removeprefix("sqlite://")
