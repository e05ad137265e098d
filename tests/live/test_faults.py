"""Parts of the server fail or hang: requests that don't need them are answered, none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from .call import Transaction
from .conversation import PATIENCE
from .link import RawSocket
from .message import Message
from .network import Namespace
from .patience import ANSWERS, RETURNS, eventually
from .phone import Phone
from .postgres import USER, PostgresServer
from .requirement import require
from .server import DOMAIN, LAUNCHER, Server

ANY_PORT = ("127.0.0.1", 0)
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def patient(host: Namespace, postgres: PostgresServer) -> Iterator[Server]:
    """A server that waits for its database for a minute: what is answered has not waited."""
    settings = {"DBURL": postgres.new_database(), "DB_TIMEOUT": "60", "PING_INTERVAL": "1"}
    server = Server(host, settings=settings)
    yield server
    server.close()


@pytest.fixture
def stranger(host: Namespace, patient: Server) -> Iterator[Phone]:
    """A phone of another provider."""
    phone = Phone(host, "stranger", "elsewhere.example", None, patient.address(), local=ANY_PORT)
    yield phone
    phone.close()


@contextmanager
def locked(server: Server, table: str) -> Iterator[None]:
    """Nobody can read or write a table."""
    with psycopg.connect(server.settings["DBURL"]) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


def registering(phone: Phone) -> Transaction:
    """A REGISTER on its way."""
    fields = [("Contact", phone.contact), ("Expires", "600")]
    to = f"<{phone.aor}>"
    return phone.start(phone.make_request("REGISTER", f"sip:{DOMAIN}", fields=fields, to=to))


def answered(transactions: list[Transaction]) -> list[Transaction]:
    """Those that have their final response."""
    return [t for t in transactions if any(r.status >= 200 for r in t.responses)]


def answers_at_once(stranger: Phone) -> None:
    """Whoever asks whether the server is there hears that it is."""
    asked = stranger.request("OPTIONS", f"sip:127.0.0.1:{stranger.server[1]}")
    asked.wait_for(200, ANSWERS)


# The database


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_locked_table_of_subscribers_stops_only_those_who_need_it(
    patient: Server, stranger: Phone, transport: str
) -> None:
    """Who has registered before needs it not; more phones than there are workers do."""
    known, unknown = phones(patient, "udp", 2), phones(patient, transport, 10)
    assert {phone.register().status for phone in known} == {200}
    with locked(patient, "subscriber"):
        waiting = [registering(phone) for phone in unknown]
        refused = eventually(lambda: [t for t in waiting if t.responses], "503 to some")
        for _ in range(5):
            answers_at_once(stranger)
        assert {phone.register().status for phone in known} == {200}
        message = stranger.request("MESSAGE", known[0].aor, "hello", TEXT)
        known[0].expect_request("MESSAGE").reply(200)
        message.wait_for(200)
        for transaction in refused:
            response = transaction.final()
            assert (response.status, response["Retry-After"]) == (503, "10")
    for phone in unknown:
        eventually(lambda phone=phone: phone.register().status == 200, "registration")  # type: ignore[misc]
    for phone in known + unknown:
        phone.unregister()
        phone.close()


def test_a_locked_table_of_bindings_stops_only_those_whose_binding_is_being_written(
    patient: Server, stranger: Phone
) -> None:
    """usrloc writes one binding at a time, and keeps all who ask for it waiting meanwhile."""
    stuck, *others = phones(patient, "udp", 5)
    assert {phone.register().status for phone in others} == {200}
    eventually(lambda: written(patient) == len(others), "rows of the others")
    with locked(patient, "location"):
        assert stuck.register().status == 200
        eventually(lambda: blocked(patient), "write of the binding")
        asking = [registering(stuck) for _ in range(7)]
        eventually(lambda: len(answered(asking)) == len(asking) - 1, "answers to all but one")
        assert {t.final().status for t in answered(asking)} == {503}
        [waiting] = [t for t in asking if t not in answered(asking)]
        for phone in others:
            stranger.request("MESSAGE", phone.aor, "hello", TEXT)
            phone.expect_request("MESSAGE").reply(200)
        answers_at_once(stranger)
    assert waiting.final(PATIENCE).status in (200, 400, 503)
    assert stuck.register().status == 200
    assert len(patient.bindings(stuck.user)) == 1


def test_a_database_that_is_read_only_keeps_nobody_from_registering(
    patient: Server, postgres: PostgresServer
) -> None:
    """The bindings are in memory, and are written when it can be written again."""
    name = patient.settings["DBURL"].rpartition("/")[2]
    (phone,) = phones(patient, "udp", 1)
    postgres.administer(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    disconnect(postgres, name)
    before = written(patient)
    since = patient.mark()
    assert phone.register().status == 200
    patient.wait_for_log("read-only transaction", since=since, timeout=PATIENCE)
    assert written(patient) == before
    postgres.administer(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    disconnect(postgres, name)
    eventually(lambda: written(patient) == before + 1, "row of the binding")


def test_a_password_of_the_database_that_was_changed_is_a_database_that_is_away(
    patient: Server, postgres: PostgresServer
) -> None:
    name = patient.settings["DBURL"].rpartition("/")[2]
    (phone,) = phones(patient, "udp", 1)
    postgres.administer(f"ALTER ROLE {USER} PASSWORD 'another'")
    try:
        disconnect(postgres, name)
        response = eventually(lambda: phone.register(timeout=PATIENCE), "answer")
        assert (response.status, response["Retry-After"]) == (503, "10")
    finally:
        postgres.administer(f"ALTER ROLE {USER} PASSWORD '{postgres.password}'")
    eventually(lambda: phone.register().status == 200, "registration")


_users = iter(range(6000, 7000))


def phones(server: Server, transport: str, count: int) -> list[Phone]:
    """Phones of users who have never registered."""
    users = [str(next(_users)) for _ in range(count)]
    return [server.phone(server.host, user, transport, local=ANY_PORT) for user in users]


def written(server: Server) -> int:
    """How many bindings are in the database."""
    with psycopg.connect(server.settings["DBURL"]) as connection:
        row = connection.execute("SELECT count(*) FROM location").fetchone()
        return int(row[0]) if row else 0


def blocked(server: Server) -> bool:
    """Whether somebody waits for a lock."""
    with psycopg.connect(server.settings["DBURL"]) as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        row = connection.execute(waiting.encode()).fetchone()
        return bool(row and row[0])


def disconnect(postgres: PostgresServer, database: str) -> None:
    """End all connections to a database: the next ones are made with what is set now."""
    those = f"WHERE datname = '{database}'"
    postgres.administer(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity {those}")  # noqa: S608


# A crash


@pytest.fixture
def forgetful(host: Namespace, postgres: PostgresServer) -> Iterator[Server]:
    """A server that writes its bindings every ten minutes."""
    settings = {"DBURL": postgres.new_database(), "PING_INTERVAL": "600", "PING_TIMEOUT": "0"}
    server = Server(host, settings=settings)
    server.wait_for_timers()
    yield server
    server.close()


@pytest.mark.parametrize(
    "process", ["main process", "udp receiver", "tcp main", "USRLOC Timer", "timer=probe"]
)
def test_a_binding_of_a_moment_ago_outlives_the_death_of_any_process(
    forgetful: Server, process: str
) -> None:
    """Kamailio writes what is in memory only before it ends; when its main process is killed, that
    is up to another one."""
    (phone,) = phones(forgetful, "udp", 1)
    assert phone.register().status == 200
    assert written(forgetful) == 0
    since = forgetful.mark()
    forgetful.kill_worker(process)
    forgetful.wait_for_log("Kamailio is ready again", timeout=RETURNS, since=since)
    assert forgetful.bindings(phone.user) == [phone.contact.strip("<>")]
    assert phone.register().status == 200


def test_a_kamailio_that_does_not_come_back_is_started_until_it_does(host: Namespace) -> None:
    """No worker starts without its database."""
    with PostgresServer() as own:
        server = Server(host, settings={"DBURL": own.url})
        (phone,) = phones(server, "udp", 1)
        assert phone.register().status == 200
        own.stop()
        since = server.mark()
        server.kill_worker()
        for _ in range(2):
            server.wait_for_log("did not start, starting it again", timeout=PATIENCE, since=since)
            since = server.mark()
        own.start()
        server.wait_for_log("Kamailio is ready again", timeout=PATIENCE, since=since)
        assert phone.register().status == 200
        assert server.stop() == 0


# No request is lost


def test_a_thousand_relays_between_a_thousand_keepalives_lose_none(loopback: Namespace) -> None:
    """A callback that goes wrong after a relay would cost the next request of that worker."""
    require("kamailio", LAUNCHER)
    server = Server(loopback, settings={"MAX_RATE": "65535"})
    phone = server.phone(loopback, "2222", local=ANY_PORT)
    assert phone.register().status == 200
    phone.close()
    callee = RawSocket(loopback, phone.local, server.address())
    caller = RawSocket(loopback, ANY_PORT, server.address())
    for number in range(1000):
        caller.send(request("OPTIONS", f"sip:{DOMAIN}", caller, number))
        caller.send(request("MESSAGE", f"sip:2222@{DOMAIN}", caller, number))
        callee.send(answer_to(callee.receive()))
        finals = [m["CSeq"] for m in (caller.receive(), caller.receive()) if m.status == 200]
        assert sorted(finals) == [f"{number} MESSAGE", f"{number} OPTIONS"]
    assert "SystemError" not in server.log
    assert "Traceback" not in server.log


def request(method: str, uri: str, link: RawSocket, number: int) -> bytes:
    """A request of a stranger."""
    host, port = link.local
    fields = [
        ("Via", f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{method}{number}"),
        ("From", f"<sip:stranger@elsewhere.example>;tag={number}"),
        *(("To", f"<{uri}>"), ("Call-ID", f"{method}{number}"), ("CSeq", f"{number} {method}")),
        ("Max-Forwards", "70"),
    ]
    return bytes(Message(f"{method} {uri} SIP/2.0", fields))


def answer_to(message: Message) -> bytes:
    """A 200 without a tag."""
    kept = [(n, v) for n, v in message.fields if n in ("Via", "From", "To", "Call-ID", "CSeq")]
    return bytes(Message("SIP/2.0 200 OK", kept))
