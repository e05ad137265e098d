"""Digest authentication with SHA-256 (RFC 8760), for all phones: DIGEST_ALGORITHM."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .challenges import answer, challenge_of, is_stale, register
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .postgres import PostgresServer
from .server import DOMAIN, LAUNCHER, Server

ANY_PORT = ("127.0.0.1", 0)
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(
    request: pytest.FixtureRequest, host: Namespace, postgres: PostgresServer
) -> Iterator[Server]:
    """A server that asks for SHA-256; its command writes such hashes."""
    settings = {"DIGEST_ALGORITHM": "SHA-256"}
    if request.param == "postgres":
        settings["DBURL"] = postgres.new_database()
    server = Server(host, settings=settings)
    yield server
    server.close()


@pytest.fixture
def phone(server: Server) -> Iterator[Phone]:
    """A phone whose challenges the test answers; its password is `SECRET`."""
    if f"1111@{DOMAIN}" not in server.passwords:
        server.add_subscriber(f"1111@{DOMAIN}", SECRET)
    phone = Phone(server.host, "1111", DOMAIN, None, server.address(), local=ANY_PORT)
    yield phone
    phone.close()


SECRET = "one that nobody guesses"


def test_a_phone_registers_and_calls_with_sha_256(server: Server) -> None:
    """The second time from shared memory, and in a call as in a registration."""
    caller, callee = (server.phone(server.host, user, local=ANY_PORT) for user in ("2222", "3333"))
    assert [phone.register().status for phone in (caller, caller, callee)] == [200] * 3
    message = caller.request("MESSAGE", callee.aor, "hello", TEXT)
    callee.expect_request("MESSAGE").reply(200)
    message.wait_for(200)
    for phone in (caller, callee):
        phone.unregister()
        phone.close()


@pytest.mark.parametrize("user", ["1111", f"1111@{DOMAIN}"])
def test_a_phone_may_give_its_whole_address_as_user(phone: Phone, user: str) -> None:
    challenge = register(phone)
    assert challenge_of(challenge).endswith("algorithm=SHA-256")
    answers = [register(phone, answer(challenge, user, SECRET, nc=nc)) for nc in (1, 2)]
    assert [response.status for response in answers] == [200, 200]


def test_the_wrong_password_is_challenged_again(phone: Phone) -> None:
    response = register(phone, answer(register(phone), "1111", "guess"))
    assert response.status == 401
    assert not is_stale(response)


def test_credentials_count_once(phone: Phone) -> None:
    given = answer(register(phone), "1111", SECRET)
    assert register(phone, given).status == 200
    assert is_stale(register(phone, given))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("algorithm=SHA-256", "algorithm=MD5"),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        ("algorithm=SHA-256", "algorithm=SHA-512-256"),
        (", algorithm=SHA-256", ""),
        (r'response="(.{32}).*"', r'response="\1"'),
    ],
)
def test_what_says_something_else_is_refused(
    server: Server, phone: Phone, written: str, read: str
) -> None:
    """RFC 7616 3.4: credentials without an algorithm mean MD5, which was not offered."""
    before = server.bindings("1111")
    given = re.sub(written, read, answer(register(phone), "1111", SECRET))
    assert register(phone, given).status == 400
    assert server.bindings("1111") == before


def test_the_hash_of_another_algorithm_lets_nobody_in(server: Server, phone: Phone) -> None:
    """Of a subscriber from before the change, until his password is set anew."""
    command = (LAUNCHER, "subscriber")
    environ = {**server.settings, "DIGEST_ALGORITHM": "MD5"}
    aor = f"4444@{DOMAIN}"
    server.host.run(*command, "add", aor, "--password-stdin", stdin=SECRET, env=environ)
    server.passwords[aor] = SECRET
    former = server.phone(server.host, "4444", local=ANY_PORT)
    assert former.register().status == 401
    server.host.run(*command, "passwd", aor, "--password-stdin", stdin=SECRET, env=server.settings)
    eventually(lambda: former.register().status == 200, "registration")
    former.close()


def test_a_new_password_counts_at_once(server: Server) -> None:
    phone = server.phone(server.host, "5555", local=ANY_PORT)
    assert phone.register().status == 200
    command = (LAUNCHER, "subscriber", "passwd", f"5555@{DOMAIN}", "--password-stdin")
    server.host.run(*command, stdin="another\n", env=server.settings)
    phone.password = "another"
    assert phone.register().status == 200
    phone.close()
