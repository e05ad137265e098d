"""Our own routes on the stub: digest authentication with SHA-256 (RFC 8760)."""

from __future__ import annotations

import hashlib

import pytest
from ksr_stub import digest
from ksr_stub.builders import register
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone

from .own_routes import DOMAIN, alice, start

URI = f"sip:{DOMAIN}"
SECRET = "first secret"


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    """Its subscribers' hashes are of SHA-256, but for 3333, who is from before the change."""
    start(ksr, DIGEST_ALGORITHM="SHA-256")
    ksr.subscribers.rows.clear()
    ksr.subscribers.add(f"1111@{DOMAIN}", SECRET, algorithm="SHA-256")
    ksr.subscribers.add(f"3333@{DOMAIN}", SECRET)
    return ksr


@pytest.fixture
def phone(server: Ksr) -> Phone:
    return alice(server)


def challenge(server: Ksr, user: str = "1111") -> str:
    """What a REGISTER without credentials is answered."""
    return server.receive(register(user, call_id="one")).reply["WWW-Authenticate"]


def send(server: Ksr, given: str, user: str = "1111") -> int:
    """The status for a REGISTER with these credentials."""
    data = register(user, call_id="one", headers={"Authorization": given})
    return server.receive(data).reply.status


def test_a_phone_registers_with_sha_256(server: Ksr, phone: Phone) -> None:
    """Also from shared memory, and not with another password."""
    assert [phone.register().status for _ in range(2)] == [200, 200]
    assert challenge(server).endswith("algorithm=SHA-256")
    assert alice(server, "guess").register().status == 401


@pytest.mark.parametrize("written", ["algorithm=MD5", "algorithm=SHA-256-sess", "opaque=x"])
def test_what_says_something_else_is_refused(server: Ksr, written: str) -> None:
    """RFC 7616 3.4: credentials without an algorithm mean MD5, which was not offered."""
    given = digest.credentials(challenge(server), "REGISTER", URI, "1111", SECRET)
    assert send(server, given.replace("algorithm=SHA-256", written)) == 400
    assert send(server, given) == 200


def test_the_hash_of_another_algorithm_lets_nobody_in(server: Ksr) -> None:
    former = server.phone("3333", SECRET, source=("203.0.113.5", 40123))
    assert former.register().status == 401


def test_who_knows_that_hash_does_not_get_in_with_it(server: Ksr) -> None:
    """auth_db takes any text for a hash."""
    ha1 = md5(f"3333:{DOMAIN}:{SECRET}")
    assert server.subscribers.rows[1]["ha1"] == ha1
    nonce = digest.fields(challenge(server, "3333"))["nonce"]
    response = sha256(f"{ha1}:{nonce}:{sha256(f'REGISTER:{URI}')}")
    given = f'Digest username="3333", realm="{DOMAIN}", nonce="{nonce}", uri="{URI}"'
    given += f', algorithm=SHA-256, response="{response}"'
    assert send(server, given, "3333") == 401


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
