"""Our own routes on the stub: credentials in shared memory, and who may use them when."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ksr_stub import digest
from ksr_stub.builders import register
from ksr_stub.credentials import hashed
from ksr_stub.harness import Ksr
from ksr_stub.models import auth_db, rtimer
from ksr_stub.tables import Tables

from kemi_routes.subscribers.revocation import BATCH
from kemi_routes.subscribers.schema import initialise

from .own_routes import DOMAIN, alice, bob, start

AOR = f"1111@{DOMAIN}"
SECRET, OTHER = "first secret", "second secret"
OUTAGE = 100
SUBSCRIBE = "INSERT INTO subscriber (username, domain, ha1) VALUES (:user, :domain, :ha1)"
BIND = (
    "INSERT INTO location (ruid, username, domain, contact)"
    " VALUES (:user, :user, :domain, 'sip:phone@192.168.0.103')"
)
UPDATE = "UPDATE subscriber_changes SET changes = changes + 1"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The SQLite file that the listener looks at; the subscribers themselves are the stub's."""
    path = tmp_path / "x.sqlite"
    initialise(f"sqlite://{path}")
    return path


@pytest.fixture
def server(ksr: Ksr, database: Path) -> Ksr:
    """Our routes, and a listener that has just looked."""
    return start_on(ksr, database, CREDENTIALS_OUTAGE=str(OUTAGE))


def start_on(ksr: Ksr, database: Path, **settings: str) -> Ksr:
    """Our routes, and a listener that has looked once."""
    server = start(ksr, DBURL=f"sqlite://{database}", **settings)
    listen(server)
    return server


def listen(server: Ksr) -> None:
    """Let half a second pass, as it seems to the listener."""
    server.run_timer("listener")


def queries(server: Ksr) -> int:
    """How often auth_db asked the database so far."""
    asked = ("auth_check", "is_subscriber")
    return sum(call.name.rpartition(".")[2] in asked for call in server.world.calls)


def kept(server: Ksr, table: str = "ha1") -> list[str]:
    """Whose credentials are in shared memory."""
    found = server.world.part(Tables).get(table)
    assert found is not None
    return sorted(found.cells)


def set_password(server: Ksr, password: str) -> None:
    """Change it in the stub's table alone: nobody is told."""
    server.subscribers.remove(AOR)
    server.subscribers.add(AOR, password)


def write(database: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(statement, values)


def announce(database: Path) -> None:
    """What a trigger does when a subscriber is changed."""
    write(database, UPDATE)


def log_of(server: Ksr, text: str) -> int:
    """How many lines of the log have this text."""
    return sum(text in line for line in server.log)


# Who is known


def test_only_the_first_registration_asks_the_database(server: Ksr) -> None:
    """auth_check's own query brings what is kept."""
    phone = alice(server)
    assert phone.register().status == 200
    assert (queries(server), kept(server)) == (1, [AOR])
    assert phone.register().status == 200
    assert queries(server) == 1


def test_credentials_of_another_user_are_looked_at_by_the_database(server: Ksr) -> None:
    """What is known of the user in From is of no use to who is not: 403 as ever."""
    assert alice(server).register().status == 200
    mallory = server.phone("2222", "second secret", source=("203.0.113.6", 40124))
    mallory.aor = f"sip:{AOR}"
    victim = {"From": f"<sip:{AOR}>;tag=x", "To": f"<sip:{AOR}>"}
    assert mallory.register(headers=victim).status == 403
    assert queries(server) == 2


def test_another_to_is_refused_although_the_password_is_known(server: Ksr) -> None:
    """From and To of a REGISTER are one user (RFC 3261 10.2: no third-party registration)."""
    phone = alice(server)
    assert phone.register().status == 200
    assert phone.register(headers={"To": f"<sip:2222@{DOMAIN}>"}).status == 403


@pytest.mark.parametrize("cached", ["0", "1"])
@pytest.mark.parametrize(("column", "username"), [("ha1", "1111"), ("ha1b", AOR)])
def test_a_column_without_a_hash_lets_nobody_in(
    ksr: Ksr, database: Path, column: str, username: str, cached: str
) -> None:
    """auth_db takes any text for a hash, and who knows it can answer a challenge with it."""
    server = start_on(ksr, database, CREDENTIALS_CACHE=cached)
    for text in ("", "this subscriber has been blocked"):
        server.subscribers.rows[0][column] = text
        challenge = server.receive(register("1111", call_id="one")).reply["WWW-Authenticate"]
        value = answer(challenge, username, text)
        assert (
            server.receive(
                register("1111", call_id="one", headers={"Authorization": value})
            ).reply.status
            == 401
        )
    assert kept(server, column) == []


def answer(challenge: str, username: str, ha1: str) -> str:
    """Credentials of somebody who knows an HA1."""
    nonce = digest.fields(challenge)["nonce"]
    a2 = hashed(f"REGISTER:sip:{DOMAIN}", "MD5")
    response = hashed(f"{ha1}:{nonce}:00000001:c:auth:{a2}", "MD5")
    return (
        f'Digest username="{username}", realm="{DOMAIN}", nonce="{nonce}", uri="sip:{DOMAIN}", '
        f'response="{response}", qop=auth, nc=00000001, cnonce="c"'
    )


@pytest.mark.parametrize(("username", "column"), [("1111", "ha1"), (AOR, "ha1b")])
def test_that_answer_lets_in_who_knows_the_hash(server: Ksr, username: str, column: str) -> None:
    """So it is not for another reason that it is refused above."""
    challenge = server.receive(register("1111", call_id="one")).reply["WWW-Authenticate"]
    value = answer(challenge, username, server.subscribers.rows[0][column])
    data = register("1111", call_id="one", headers={"Authorization": value})
    assert server.receive(data).reply.status == 200
    assert kept(server, column) == [AOR]


def test_nothing_is_kept_when_it_is_switched_off(ksr: Ksr, database: Path) -> None:
    """CREDENTIALS_CACHE 0: each registration is a query, and the listener opens nothing."""
    server = start_on(ksr, database, CREDENTIALS_CACHE="0")
    phone = alice(server)
    assert [phone.register().status, phone.register().status] == [200, 200]
    assert queries(server) == 2
    assert kept(server) == kept(server, "revocation") == []


# Who is known ahead


def have_been_here(database: Path, *subscribers: tuple[str, str]) -> None:
    """Subscribers, by user and HA1, and bindings of theirs that an earlier Kamailio has written."""
    with closing(sqlite3.connect(database)) as connection:
        for user, ha1 in subscribers:
            row = {"user": user, "domain": DOMAIN, "ha1": ha1}
            connection.execute(SUBSCRIBE, row)
            connection.execute(BIND, row)
        connection.commit()


def test_who_has_a_binding_is_known_from_the_start(ksr: Ksr, database: Path) -> None:
    have_been_here(database, ("1111", hashed(f"1111:{DOMAIN}:first secret", "MD5")))
    write(database, "INSERT INTO subscriber (username, domain) VALUES ('2222', ?)", DOMAIN)
    server = start_on(ksr, database)
    assert kept(server) == [AOR]
    assert (alice(server).register().status, queries(server)) == (200, 0)


def test_what_is_no_hash_is_not_brought(ksr: Ksr, database: Path) -> None:
    have_been_here(database, ("1111", "this subscriber has been blocked"))
    assert kept(start_on(ksr, database)) == []


def test_everybody_is_brought_however_many_there_are(ksr: Ksr, database: Path) -> None:
    users = [str(i) for i in range(2 * BATCH + 1)]
    have_been_here(database, *((user, hashed(user, "MD5")) for user in users))
    server = start_on(ksr, database)
    for _ in range(100):
        listen(server)
    assert kept(server) == sorted(f"{user}@{DOMAIN}" for user in users)


def test_who_changes_while_credentials_are_brought_is_not_kept_as_he_was(
    ksr: Ksr, database: Path
) -> None:
    """The next look brings him as he is now."""
    before, now = hashed("before", "MD5"), hashed("now", "MD5")
    have_been_here(database, ("1111", before))
    server = start_on(ksr, database)
    write(database, "UPDATE subscriber SET ha1 = ?", now)
    listen(server)
    found = server.world.part(Tables).get("ha1")
    assert found is not None
    assert found.cells[AOR].value == now


def test_nobody_is_brought_where_changes_are_not_announced(ksr: Ksr, database: Path) -> None:
    have_been_here(database, ("1111", hashed("x", "MD5")))
    write(database, "DROP TRIGGER kemi_routes_updated")
    assert kept(start_on(ksr, database)) == []


def test_without_a_table_of_bindings_nobody_is_brought(ksr: Ksr, database: Path) -> None:
    """The listener hears of changes as ever, and says so once."""
    write(database, "DROP TABLE location")
    server = start_on(ksr, database)
    listen(server)
    assert log_of(server, "read when they are needed") == 1
    assert kept(server, "revocation") == ["trust"]


def test_a_full_memory_ends_the_bringing(ksr: Ksr, database: Path) -> None:
    have_been_here(database, *((user, hashed(user, "MD5")) for user in ("1111", "2222")))
    tried: list[str] = []

    def no_room(table: str, key: str, _value: str, _lasts: int) -> int:
        tried.extend([key] * (table == "ha1"))
        return -1

    server = start(ksr, DBURL=f"sqlite://{database}")
    server.answer("htable.sht_setxs", no_room)
    listen(server)
    listen(server)
    assert (tried, log_of(server, "SHM_MEMORY is too small")) == ([AOR], 1)


# Who is no longer


def test_a_change_empties_what_is_kept(server: Ksr, database: Path) -> None:
    """SQLite only counts its changes, so everybody is asked for again."""
    phone = alice(server)
    assert phone.register().status == 200
    set_password(server, OTHER)
    announce(database)
    listen(server)
    assert kept(server) == []
    assert phone.register().status == 401


def test_another_write_to_the_database_empties_nothing(server: Ksr, database: Path) -> None:
    """usrloc writes its bindings to the same file every few seconds."""
    assert alice(server).register().status == 200
    write(database, "INSERT INTO version (table_name, table_version) VALUES ('another', 1)")
    listen(server)
    assert kept(server) == [AOR]


def test_a_password_that_changes_while_it_is_read_is_not_kept(server: Ksr, database: Path) -> None:
    """The worker has read the old one; before it writes it down, the listener hears of the new."""

    def slow_check(realm: str, table: str, flags: int) -> int:
        code = auth_db.auth_check(server.world, realm, table, flags)
        announce(database)
        rtimer.run(server.world, "listener")
        return code

    server.answer("auth_db.auth_check", slow_check)
    assert alice(server).register().status == 200
    assert kept(server) == []


def test_a_wrong_password_is_one_query(server: Ksr) -> None:
    """It may be a new one. Then it is refused, not with `stale`, and the right one stays."""
    assert alice(server).register().status == 200
    reply = alice(server, "wrong").register()
    assert reply.status == 401
    assert "stale" not in reply["WWW-Authenticate"]
    assert queries(server) == 2
    assert alice(server).register().status == 200
    assert queries(server) == 2


def test_a_new_password_that_nobody_has_announced_is_right(server: Ksr) -> None:
    """The check of the old one has used the nonce: `stale` lets the phone go on by itself."""
    assert alice(server).register().status == 200
    set_password(server, OTHER)
    phone = alice(server, OTHER)
    assert "stale=true" in phone.register()["WWW-Authenticate"]
    assert phone.register().status == 200
    assert alice(server, SECRET).register().status == 401


def test_a_wrong_password_while_the_database_is_away(server: Ksr) -> None:
    """503: it may be a new one."""
    assert alice(server).register().status == 200
    server.lose_database()
    assert alice(server, "wrong").register().status == 503


def test_a_domain_in_capitals_is_the_same_subscriber(server: Ksr) -> None:
    """Whom shared memory knows as well."""
    phone = alice(server)
    assert phone.register().status == 200
    shouted = f"<sip:1111@{DOMAIN.upper()}>"
    assert phone.register(headers={"From": f"{shouted};tag=x", "To": shouted}).status == 200
    assert queries(server) == 1


def test_who_was_removed_is_refused(server: Ksr) -> None:
    """Even before it is announced, as soon as a wrong password is checked."""
    assert alice(server).register().status == 200
    server.subscribers.remove(AOR)
    assert alice(server, "wrong").register().status == 401
    assert kept(server) == []
    assert alice(server).register().status == 401


# Who is unknown


def test_an_unknown_user_is_one_query_in_a_moment(server: Ksr) -> None:
    """And soon another, for who may have been added."""
    phone = server.phone("9999", "x", source=("203.0.113.8", 40125))
    assert [phone.register().status for _ in range(3)] == [401, 401, 401]
    assert queries(server) == 1
    server.subscribers.add(f"9999@{DOMAIN}", "x")
    server.clock.advance(2)
    assert phone.register().status == 200


def test_nobody_gets_in_with_the_hash_of_unknown_users(
    server: Ksr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever learned it could answer any challenge with it."""
    phone = server.phone("9999", "x", source=("203.0.113.8", 40125))
    assert phone.register().status == 401
    known_to_all = hashed(f"9999:{DOMAIN}:x", "MD5")
    monkeypatch.setattr(sys.modules["kemi_routes.ha1"], "NOBODYS", known_to_all)
    assert phone.register().status == 401


def test_memory_for_unknown_users_is_bounded(server: Ksr) -> None:
    """A new one takes the place of another."""
    slots = sys.modules["kemi_routes.ha1"].SLOTS
    names = {sys.modules["kemi_routes.ha1"]._slot(f"{n}@{DOMAIN}") for n in range(20000)}
    assert len(names) <= slots


# The listener


def test_nothing_is_trusted_before_the_listener_has_looked(ksr: Ksr, database: Path) -> None:
    """Nor kept."""
    server = start(ksr, DBURL=f"sqlite://{database}")
    phone = alice(server)
    assert [phone.register().status, phone.register().status] == [200, 200]
    assert (queries(server), kept(server)) == (2, [])


def test_a_listener_that_hangs_is_trusted_for_two_seconds_at_most(server: Ksr) -> None:
    """htable counts whole seconds: from one to two."""
    phone = alice(server)
    assert phone.register().status == 200
    server.clock.advance(2)
    assert phone.register().status == 200
    assert queries(server) == 2


def fail(*_arguments: object) -> None:
    """As code does that has a fault."""
    raise RuntimeError("boom")


def test_a_listener_that_fails_is_not_trusted(server: Ksr, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: it is logged, and it starts again."""
    listener = sys.modules["kemi_routes.listener"]
    monkeypatch.setattr(listener.Listener, "tick", fail)
    listen(server)
    assert kept(server, "revocation") == []
    assert log_of(server, "listener.tick failed") == 1
    monkeypatch.undo()
    listen(server)
    assert kept(server, "revocation") == ["trust"]


def test_a_database_without_triggers_is_asked_again_every_two_seconds(
    ksr: Ksr, database: Path
) -> None:
    """And the log says so once."""
    write(database, "DROP TRIGGER kemi_routes_updated")
    server = start(ksr, DBURL=f"sqlite://{database}")
    phone = alice(server)
    for passed, asked in ((0, 1), (1, 1), (2, 2)):
        server.clock.advance(passed)
        listen(server)
        assert phone.register().status == 200
        assert queries(server) == asked
    assert log_of(server, "does not announce changes") == 1


@pytest.mark.parametrize("name", ["x.sqlite", "nowhere/x.sqlite"])
def test_a_database_that_can_not_be_read_is_asked_by_everybody(
    ksr: Ksr, database: Path, name: str
) -> None:
    """The listener says why, once; subscribers are served as long as auth_db is."""
    database.write_bytes(b"this is no database" * 100)
    server = start(ksr, DBURL=f"sqlite://{database.parent}/{name}")
    phone = alice(server)
    for asked in (1, 2):
        listen(server)
        assert phone.register().status == 200
        assert queries(server) == asked
    assert log_of(server, "every request asks the database for now") == 1


# The database is away


@contextmanager
def locked(server: Ksr, database: Path) -> Iterator[None]:
    """Another program locks the file, which has no WAL, and everybody out."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        server.lose_database()
        yield
        connection.execute("ROLLBACK")
        server.lose_database(lost=False)


def test_an_outage_is_survived_by_who_is_known_for_a_bounded_time(ksr: Ksr, database: Path) -> None:
    """Then 503 for them too; and nothing is added meanwhile."""
    write(database, "PRAGMA journal_mode=DELETE")
    server = start_on(ksr, database, CREDENTIALS_OUTAGE=str(OUTAGE))
    known, other = alice(server), bob(server)
    assert known.register().status == 200
    with locked(server, database):
        listen(server)
        server.clock.advance(5)
        assert [known.register().status, other.register().status] == [200, 503]
        server.lose_database(lost=False)
        assert other.register().status == 200
        assert kept(server) == [AOR], "what is read now may be revoked unheard"
        server.lose_database()
        server.clock.advance(OUTAGE - 10)
        listen(server)
        assert known.register().status == 200
        server.clock.advance(6)
        listen(server)
        reply = known.register()
        assert (reply.status, reply["Retry-After"]) == (503, "10")
        assert log_of(server, "served for 100 s") == 2
    listen(server)
    assert kept(server) == []
    assert [known.register().status, other.register().status] == [200, 200]
    server.clock.advance(OUTAGE)
    listen(server)
    with locked(server, database):
        listen(server)
        assert known.register().status == 200, "it is another outage"
