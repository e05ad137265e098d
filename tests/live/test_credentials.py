"""Credentials in shared memory: no query for who is known, and no grace for who was."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from kemi_routes.subscribers.database import connect
from kemi_routes.subscribers.store import open_store
from kemi_routes.subscribers.triggers import CHANNEL

from .conftest import require
from .digest import quoted
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .postgres import PostgresServer
from .server import DOMAIN, LAUNCHER, Server
from .test_kamctl_schema import kamctl

ANY_PORT = ("127.0.0.1", 0)
AOR = f"1111@{DOMAIN}"
LAST = f"last@{DOMAIN}"  # a subscriber who comes and goes
PASSWORD, OTHER = "first-secret", "second-secret"
# These tests guess more often than phones do.
PATIENT = {"MAX_GUESSES": "1000"}
# Seconds after which a revocation counts, whoever made it.
PROMISED = 2.0


@pytest.fixture(scope="module")
def on_postgres(host: Namespace, postgres: PostgresServer) -> Server:
    """A server with a PostgreSQL that logs every statement."""
    dburl = postgres.new_database()
    postgres.administer(f"ALTER DATABASE {_database(dburl)} SET log_statement TO 'all'")
    return Server(host, settings={**PATIENT, "DBURL": dburl, "DB_TIMEOUT": "2"})


@pytest.fixture(scope="module")
def on_sqlite(host: Namespace) -> Server:
    """A server with SQLite."""
    return Server(host, settings=PATIENT)


@pytest.fixture(params=["on_postgres", "on_sqlite"])
def server(request: pytest.FixtureRequest) -> Server:
    """A server with each kind of database."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def alice(server: Server) -> Iterator[Phone]:
    """1111, who has proved who she is."""
    with _known(server) as phone:
        yield phone


@contextmanager
def _known(server: Server) -> Iterator[Phone]:
    """1111 with PASSWORD, kept in shared memory."""
    with open_store(server.settings["DBURL"]) as store:
        if store.exists(AOR):
            store.remove(AOR)
    server.add_subscriber(AOR, PASSWORD)
    _let_listener_catch_up(server)
    phone = server.phone(server.host, "1111", local=ANY_PORT)
    _make_known(server, phone)
    yield phone
    phone.close()
    server.kamcmd("ul.rm", "location", AOR)


def _let_listener_catch_up(server: Server) -> None:
    """Wait until it has heard of all changes so far: it would forget what is made known before."""
    server.kamcmd("htable.sets", "ha1", LAST, "no-hash")
    with open_store(server.settings["DBURL"]) as store:
        store.add(LAST, PASSWORD)
        store.remove(LAST)
    eventually(lambda: LAST not in _kept(server), "the listener's look at the last change")


def _make_known(server: Server, phone: Phone) -> None:
    def registered_and_kept() -> bool:
        return phone.register().status == 200 and AOR in _kept(server)

    eventually(registered_and_kept, "credentials in shared memory")


def _kept(server: Server, table: str = "ha1") -> list[str]:
    """Whose credentials are in shared memory."""
    return re.findall(r"name: (\S+)", server.kamcmd("htable.dump", table))


def _database(dburl: str) -> str:
    return dburl.rpartition("/")[2]


def _queries(postgres: PostgresServer) -> int:
    """How often PostgreSQL was asked for credentials so far."""
    return len(re.findall(r"select .*from subscriber", postgres.log.read_text()))


def _listener(server: Server) -> int:
    """The process that hears of changes."""
    return next(pid for pid, words in server.workers().items() if "RTIMER" in words)


def _change_password(server: Server, password: str) -> None:
    with open_store(server.settings["DBURL"]) as store:
        store.set_password(AOR, password)


def _sql(server: Server, *statements: str) -> None:
    with connect(server.settings["DBURL"]) as database:
        for statement in statements:
            database.execute(statement)


def _is_refused(phone: Phone) -> bool:
    return phone.register().status == 401


# No query


def test_the_first_request_is_one_query_and_all_others_are_none(
    on_postgres: Server, postgres: PostgresServer
) -> None:
    with _known(on_postgres) as alice:
        on_postgres.kamcmd("htable.delete", "ha1", AOR)
        before = _queries(postgres)
        assert alice.register().status == 200
        assert _queries(postgres) == before + 1
        assert alice.unregister().status == 200
        for _ in range(8):  # from port to port the kernel chooses another worker
            phone = on_postgres.phone(on_postgres.host, "1111", local=ANY_PORT)
            assert phone.register().status == 200
            call = phone.invite("1111")
            phone.expect_request("INVITE").reply(486)
            call.wait_for(486)
            assert phone.unregister().status == 200
            phone.close()
        assert _queries(postgres) == before + 1


def test_a_phone_that_gives_its_domain_with_its_user_is_known_as_well(
    server: Server, alice: Phone
) -> None:
    """Its hash is another one, ha1b."""
    long = Phone(server.host, "1111", DOMAIN, PASSWORD, server.address(), local=ANY_PORT)
    long.user = AOR

    def registered_and_kept() -> bool:
        return long.register().status == 200 and AOR in _kept(server, "ha1b")

    eventually(registered_and_kept, "second hash in shared memory")
    assert long.register().status == 200
    _change_password(server, OTHER)
    eventually(lambda: _is_refused(long), "refusal", PROMISED)
    assert _is_refused(alice)


# Revocation


def _by_our_tool(server: Server, _home: Path) -> None:
    command = (LAUNCHER, "subscriber", "passwd", AOR, "--password-stdin")
    server.host.run(*command, stdin=f"{OTHER}\n", env=server.settings)


def _by_kamctl(server: Server, home: Path) -> None:
    kamctl(home, server.settings["DBURL"], "passwd", AOR, OTHER)


def _by_sql(server: Server, _home: Path) -> None:
    _sql(server, "UPDATE subscriber SET ha1 = 'blocked'")


def _by_removal(server: Server, _home: Path) -> None:
    server.host.run(LAUNCHER, "subscriber", "rm", AOR, env=server.settings)


def _by_removal_with_kamctl(server: Server, home: Path) -> None:
    with suppress(AssertionError):  # it wants to remove aliases and bindings too
        kamctl(home, server.settings["DBURL"], "rm", AOR)


def _by_deletion(server: Server, _home: Path) -> None:
    _sql(server, "DELETE FROM subscriber")


def _by_another_name(server: Server, _home: Path) -> None:
    _sql(server, "UPDATE subscriber SET username = '1112'")


@pytest.mark.parametrize(
    "revoke",
    [
        _by_our_tool,
        _by_kamctl,
        _by_sql,
        _by_removal,
        _by_removal_with_kamctl,
        _by_deletion,
        _by_another_name,
    ],
)
def test_a_password_that_is_no_longer_right_is_refused_within_two_seconds(
    server: Server, alice: Phone, tmp_path: Path, revoke: Callable[[Server, Path], None]
) -> None:
    require("kamctl", "sqlite3", "psql")
    revoke(server, tmp_path)
    eventually(lambda: _is_refused(alice), "refusal", PROMISED)
    assert alice.register().status == 401
    alice.password = OTHER
    right = revoke in (_by_our_tool, _by_kamctl)
    assert alice.register().status == (200 if right else 401)
    _sql(server, "DELETE FROM subscriber")


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("on_postgres", "TRUNCATE subscriber"),
        (
            "on_postgres",
            "INSERT INTO subscriber (username, domain) VALUES ('1111', 'example.test') "
            "ON CONFLICT (username, domain) DO UPDATE SET ha1 = ''",
        ),
        ("on_sqlite", "REPLACE INTO subscriber (username, domain) VALUES ('1111', 'example.test')"),
    ],
)
def test_no_way_of_changing_the_table_goes_unnoticed(
    request: pytest.FixtureRequest, name: str, statement: str
) -> None:
    server = request.getfixturevalue(name)
    with _known(server) as alice:
        _sql(server, statement)
        eventually(lambda: _is_refused(alice), "refusal", PROMISED)


def test_a_new_password_is_right_at_once(server: Server, alice: Phone) -> None:
    """Even before the change is heard of: a wrong password is checked with the database."""
    with _stopped(_listener(server)):
        assert alice.register().status == 200
        _change_password(server, OTHER)
        alice.password = OTHER
        assert alice.register().status == 200, "without asking its user"


def test_who_has_a_binding_is_known_after_a_start(server: Server, alice: Phone) -> None:
    """Before he registers again. A new password counts as ever."""
    assert server.bindings("1111")
    server.restart()
    eventually(lambda: _kept(server) == [AOR], "credentials of who has a binding")
    _change_password(server, OTHER)
    eventually(lambda: _is_refused(alice), "refusal", PROMISED)


def test_bindings_that_can_not_be_read_in_time_stop_no_listener(on_postgres: Server) -> None:
    """Credentials are then read when they are needed, and changes are heard."""
    with _known(on_postgres) as alice, psycopg.connect(on_postgres.settings["DBURL"]) as other:
        other.execute("LOCK TABLE location IN ACCESS EXCLUSIVE MODE")
        since = on_postgres.mark()
        _sql(on_postgres, f"NOTIFY {CHANNEL}, ''")
        on_postgres.wait_for_log("are read when they are needed: .*timeout", since=since)
        _change_password(on_postgres, OTHER)
        eventually(lambda: _is_refused(alice), "refusal", PROMISED)
        assert "subscribers are served" not in "".join(on_postgres.process.lines[since:])


def test_each_wrong_password_is_one_query(on_postgres: Server, postgres: PostgresServer) -> None:
    """And it is refused as that of an unknown user, and takes nothing from the right one."""
    with _known(on_postgres) as alice:
        before = _queries(postgres)
        alice.password = "wrong"
        for guesses in (1, 2, 3):
            response = alice.register()
            assert response.status == 401
            assert "stale" not in response["WWW-Authenticate"]
            assert _queries(postgres) == before + guesses
        alice.password = PASSWORD
        assert alice.register().status == 200
        assert _queries(postgres) == before + 3


def test_who_was_unknown_is_served_soon_after_being_added(server: Server) -> None:
    with open_store(server.settings["DBURL"]) as store:
        if store.exists(f"3333@{DOMAIN}"):
            store.remove(f"3333@{DOMAIN}")
    phone = Phone(server.host, "3333", DOMAIN, PASSWORD, server.address(), local=ANY_PORT)
    assert _is_refused(phone)
    server.add_subscriber(f"3333@{DOMAIN}", PASSWORD)
    eventually(lambda: phone.register().status == 200, "registration", PROMISED)


@pytest.mark.parametrize("cached", ["0", "1"])
def test_a_column_without_a_hash_lets_nobody_in(host: Namespace, cached: str) -> None:
    """auth_db takes any text for a hash, and who knows it can answer a challenge with it."""
    text = "this subscriber has been blocked"
    server = Server(host, settings={"CREDENTIALS_CACHE": cached})
    alice = server.phone(host, "1111", local=ANY_PORT)
    alice.password = None
    with connect(server.settings["DBURL"]) as database:
        for ha1, status in ((text, 401), (_md5(text), 200)):
            database.execute("UPDATE subscriber SET ha1 = ?", (ha1,))
            assert _register_with_ha1(alice, ha1) == status
    server.close()


def _register_with_ha1(phone: Phone, ha1: str) -> int:
    """The status that somebody gets who knows no password, but its hash."""
    nonce = quoted(phone.register()["WWW-Authenticate"], "nonce")
    response = _md5(f"{ha1}:{nonce}:00000001:c:auth:{_md5(f'REGISTER:sip:{DOMAIN}')}")
    value = (
        f'Digest username="1111", realm="{DOMAIN}", nonce="{nonce}", uri="sip:{DOMAIN}", '
        f'response="{response}", qop=auth, nc=00000001, cnonce="c"'
    )
    return phone.register(headers={"Authorization": value}).status


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# The listener


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """Let a process hang."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_listener_that_hangs_is_trusted_no_longer(server: Server, alice: Phone) -> None:
    with _stopped(_listener(server)):
        _change_password(server, OTHER)
        eventually(lambda: _is_refused(alice), "refusal", PROMISED)
        alice.password = OTHER
        assert alice.register().status == 200
    _make_known(server, alice)


def test_what_changed_while_the_listener_was_cut_off_counts(
    on_postgres: Server, postgres: PostgresServer
) -> None:
    """The workers' connections stay; it may not come back, and when it does all is forgotten."""
    database = _database(on_postgres.settings["DBURL"])
    with _known(on_postgres) as alice, psycopg.connect(on_postgres.settings["DBURL"]) as editor:
        postgres.administer(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        try:
            editor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'kemi-routes' AND query LIKE '%kemi_routes_changed%'"
            )
            since = on_postgres.mark()
            on_postgres.wait_for_log("kemi-routes: .*every request asks the database")
            editor.execute("UPDATE subscriber SET ha1 = 'blocked'")
            editor.commit()
            assert AOR in _kept(on_postgres), "nobody has told of the change"
            assert _is_refused(alice)
        finally:
            postgres.administer(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        on_postgres.wait_for_log("announces changes of subscribers", since=since)
        assert AOR not in _kept(on_postgres)
        assert _is_refused(alice)


def test_what_changed_while_the_database_was_restarted_counts(
    on_postgres: Server, postgres: PostgresServer
) -> None:
    with _known(on_postgres) as alice:
        with _stopped(_listener(on_postgres)):
            postgres.restart()
            _change_password(on_postgres, OTHER)
        eventually(lambda: _is_refused(alice), "refusal", PROMISED)


def test_changes_are_heard_after_the_routes_were_reloaded(server: Server, alice: Phone) -> None:
    server.kamcmd("app_python.reload")
    _make_known(server, alice)
    _change_password(server, OTHER)
    eventually(lambda: _is_refused(alice), "refusal", PROMISED)


@pytest.mark.parametrize("name", ["on_postgres", "on_sqlite"])
def test_a_database_without_our_triggers_is_asked_again_every_two_seconds(
    host: Namespace, postgres: PostgresServer, name: str, tmp_path: Path
) -> None:
    """As another tool made it, with an owner who lets us make none. The log says so in one line."""
    dburl = f"sqlite://{tmp_path}/x" if name == "on_sqlite" else postgres.new_database()
    server = Server(host, settings={"DBURL": dburl})
    with _known(server) as alice:
        on = " ON subscriber" if name == "on_postgres" else ""
        trigger = "changed" if name == "on_postgres" else "updated"
        since = server.mark()
        _sql(server, f"DROP TRIGGER kemi_routes_{trigger}{on}")
        server.wait_for_log("does not announce changes.*kemi-routes db init", since=since)
        eventually(lambda: alice.register().status == 200, "registration")
        _change_password(server, OTHER)
        eventually(lambda: _is_refused(alice), "refusal", PROMISED)
        assert len(re.findall("does not announce", server.log)) == 1
    server.close()


# The database is away


def test_who_is_known_is_served_without_the_database_for_a_bounded_time(
    host: Namespace, postgres: PostgresServer
) -> None:
    dburl = postgres.new_database()
    settings = {"DBURL": dburl, "DB_TIMEOUT": "2", "CREDENTIALS_OUTAGE": "4"}
    server = Server(host, settings=settings)
    newcomer = server.phone(host, "2222", local=ANY_PORT)
    with _known(server) as alice:
        postgres.stop(immediate=True)
        try:
            server.wait_for_log("known subscribers are served for 4 s")
            assert alice.register().status == 200
            call = alice.invite("1111")
            alice.expect_request("INVITE").reply(486)
            call.wait_for(486)
            refused = newcomer.register()
            assert (refused.status, refused["Retry-After"]) == (503, "10")
            server.wait_for_log("known subscribers have been served for 4 s")
            refused = alice.register()
            assert (refused.status, refused["Retry-After"]) == (503, "10")
        finally:
            postgres.start()
        eventually(lambda: alice.register().status == 200, "registration")
        assert newcomer.register().status == 200
    server.close()


def test_a_wrong_password_without_the_database_is_no_wrong_password(
    on_postgres: Server, postgres: PostgresServer
) -> None:
    """It may be a new one: 401 would make the phone ask its user for another."""
    with _known(on_postgres) as alice:
        postgres.stop()
        try:
            alice.password = OTHER
            assert alice.register().status == 503
            alice.password = PASSWORD
            assert alice.register().status == 200
        finally:
            postgres.start()
        eventually(lambda: alice.register().status == 200, "registration")


# Secrets and switches


def test_nothing_is_kept_when_it_is_switched_off(host: Namespace, postgres: PostgresServer) -> None:
    dburl = postgres.new_database()
    postgres.administer(f"ALTER DATABASE {_database(dburl)} SET log_statement TO 'all'")
    server = Server(host, settings={"DBURL": dburl, "CREDENTIALS_CACHE": "0"})
    phone = server.phone(host, "1111", local=ANY_PORT)
    for _ in range(3):
        before = _queries(postgres)
        assert phone.register().status == 200
        assert _queries(postgres) == before + 1
    assert [_kept(server, table) for table in ("ha1", "revocation")] == [[], []]
    assert "kemi_routes_changed" not in _statements_of(postgres, dburl)
    server.close()


def _statements_of(postgres: PostgresServer, dburl: str) -> str:
    with psycopg.connect(dburl) as connection:
        rows = connection.execute(
            "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s",
            (_database(dburl),),
        ).fetchall()
    return "\n".join(query for (query,) in rows)


def test_only_its_own_user_and_group_may_ask_kamailio_what_it_keeps(
    server: Server, alice: Phone
) -> None:
    sockets = [path for path in server.run_dir.iterdir() if not path.is_file()]
    assert {path.name for path in sockets} == {
        "kamailio_ctl",
        "kamailio_rpc.fifo",
        "kamailio_rpc.sock",
    }
    for path in sockets:
        assert path.stat().st_mode & (stat.S_IRWXO) == 0, path.name
    question = '{"jsonrpc": "2.0", "method": "htable.dump", "params": ["ha1"], "id": 1}'
    with socket.create_connection(server.address("tcp"), timeout=5) as connection:
        head = f"POST /RPC HTTP/1.1\r\nHost: x\r\nContent-Length: {len(question)}\r\n\r\n"
        connection.sendall((head + question).encode())
        assert AOR.encode() not in connection.recv(65536)
    assert server.log.count(_ha1(server)) == 0


def _ha1(server: Server) -> str:
    with connect(server.settings["DBURL"]) as database:
        ((ha1,),) = database.rows("SELECT ha1 FROM subscriber WHERE username = '1111'")
    assert isinstance(ha1, str)
    assert len(ha1) == 32
    return ha1
