"""auth and auth_db: challenges and return codes, as Kamailio 5.6.3 gave them."""

from __future__ import annotations

import re

import KSR
import pytest
from ksr_stub import digest, message
from ksr_stub.harness import Ksr
from ksr_stub.message import Address, SipMessage

REALM = "example.test"
TABLE = "subscriber"


@pytest.fixture(autouse=True)
def subscribers(ksr: Ksr) -> None:
    """The parameters of kamailio.cfg, and one subscriber."""
    ksr.param("auth_db", "use_domain", 1)
    ksr.subscribers.add("1111@example.test", "secret")


def coming(
    ksr: Ksr, method: str = "REGISTER", credentials: str = "", *, sender: str = "1111"
) -> SipMessage:
    """A request that is being routed."""
    name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
    header = f"{name}: {credentials}\r\n" if credentials else ""
    data = (
        f"{method} sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\n"
        f"From: <sip:{sender}@example.test>;tag=1\r\nTo: <sip:1111@example.test>\r\nCall-ID: 1\r\n"
        f"CSeq: 1 {method}\r\n{header}Content-Length: 0\r\n\r\n"
    )
    parsed = message.parse(data.encode(), Address("198.51.100.7", 5060), ksr.world.sockets[0])
    ksr.world.message = parsed
    return parsed


def challenge(ksr: Ksr, method: str = "REGISTER", flags: int = 1) -> str:
    """The challenge that auth_challenge sends."""
    coming(ksr, method)
    assert KSR.auth.auth_challenge(REALM, flags) == 1
    reply = ksr.world.sent[-1].data.decode()
    found = re.search(r"^(?:WWW|Proxy)-Authenticate: (.*)\r$", reply, re.MULTILINE)
    assert found
    return found[1]


def answered(
    ksr: Ksr,
    method: str = "REGISTER",
    user: str = "1111",
    password: str = "secret",  # noqa: S107
    nc: int = 1,
) -> str:
    """Credentials that answer a new challenge."""
    return digest.credentials(
        challenge(ksr, method), method, "sip:example.test", user, password, nc=nc
    )


def test_a_register_is_challenged_with_401_and_anything_else_with_407(ksr: Ksr) -> None:
    """The header's format is Kamailio's, and 5.6 names no algorithm."""
    text = challenge(ksr)
    assert re.fullmatch(r'Digest realm="example.test", nonce="[A-Za-z0-9+/]{32}", qop="auth"', text)
    assert ksr.world.sent[-1].data.startswith(b"SIP/2.0 401 Unauthorized\r\n")
    challenge(ksr, "INVITE")
    assert ksr.world.sent[-1].data.startswith(b"SIP/2.0 407 Proxy Authentication Required\r\n")


@pytest.mark.parametrize(
    ("flags", "end"),
    [(0, ""), (1, ', qop="auth"'), (3, ', qop="auth-int"'), (17, ', qop="auth", stale=true')],
)
def test_the_flags_of_auth_challenge_say_what_stands_behind_the_nonce(
    ksr: Ksr, flags: int, end: str
) -> None:
    """qop, then stale, then the algorithm."""
    assert re.fullmatch(rf'Digest realm="[^"]*", nonce="[^"]*"{end}', challenge(ksr, flags=flags))
    ksr.world.version = "6.0"
    assert challenge(ksr, flags=flags).endswith(f"{end}, algorithm=MD5")


def test_an_ack_can_not_be_challenged(ksr: Ksr) -> None:
    """auth_challenge says -3, auth_check lets it pass."""
    coming(ksr, "ACK")
    assert KSR.auth.auth_challenge(REALM, 1) == -3
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == 1


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_the_right_password_is_1(ksr: Ksr, method: str) -> None:
    """The realm is compared without case in the header."""
    coming(ksr, method, answered(ksr, method))
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == 1
    assert KSR.auth.pv_auth_check(REALM, "secret", 0, 1) == 1


def test_each_reason_to_refuse_has_its_code(ksr: Ksr) -> None:
    """-2 password, -3 unknown user, -5 no credentials, -8 somebody else's."""
    coming(ksr, credentials=answered(ksr, password="wrong"))
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -2
    coming(ksr, credentials=answered(ksr, user="9999"))
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -3
    coming(ksr)
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -5
    coming(ksr, credentials=answered(ksr))
    assert KSR.auth_db.auth_check("other.test", TABLE, 1) == -5
    coming(ksr, credentials=answered(ksr), sender="2222")
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -8
    assert KSR.auth_db.auth_check(REALM, TABLE, 0) == 1


def test_a_nonce_that_somebody_made_up_is_refused_whatever_the_password(ksr: Ksr) -> None:
    """-4 where its time is wrong, -1 where only its hash is."""
    value = answered(ksr)
    nonce = digest.fields(value)["nonce"]
    changed = nonce[:-1] + ("A" if nonce[-1] != "A" else "B")
    coming(ksr, credentials=value.replace(nonce, changed))
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -1
    coming(ksr, credentials=value.replace(nonce, "A" * 32))
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -4


def test_a_nonce_is_stale_after_nonce_expire_seconds(ksr: Ksr) -> None:
    """With a wrong password too: it is not looked at."""
    ksr.param("auth", "nonce_expire", 60)
    value = answered(ksr, password="wrong")
    ksr.clock.advance(60)
    coming(ksr, credentials=value)
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -2
    ksr.clock.advance(1)
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -4


def test_a_one_time_nonce_is_used_once(ksr: Ksr) -> None:
    """-6 the second time."""
    ksr.param("auth", "one_time_nonce", 1)
    coming(ksr, credentials=answered(ksr))
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == 1
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -6


def test_a_nonce_count_must_grow(ksr: Ksr) -> None:
    """A repeated one is stale, so that the phone tries again with a new nonce."""
    ksr.param("auth", "nonce_count", 1)
    asked = challenge(ksr)
    codes = []
    for nc in (1, 1, 2, 5, 3):
        value = digest.credentials(asked, "REGISTER", "sip:example.test", "1111", "secret", nc=nc)
        coming(ksr, credentials=value)
        codes.append(int(KSR.auth_db.auth_check(REALM, TABLE, 1)))
    assert codes == [1, -4, 1, 1, -4]


def test_a_database_that_is_away_looks_like_an_error_of_the_request(ksr: Ksr) -> None:
    """-1; only pv_auth_check with the same header tells that the nonce was good."""
    coming(ksr, credentials=answered(ksr))
    ksr.subscribers.unavailable = True
    assert KSR.auth_db.auth_check(REALM, TABLE, 1) == -1
    assert KSR.auth.pv_auth_check(REALM, "0" * 32, 1, 0) == -2
    assert KSR.auth_db.is_subscriber("sip:1111@example.test", TABLE, 3) == -1


def test_is_subscriber_knows_users_by_domain(ksr: Ksr) -> None:
    """-2 for an unknown one; without flag 1 the domain is not looked at."""
    coming(ksr)
    assert KSR.auth_db.is_subscriber("sip:1111@example.test", TABLE, 3) == 1
    assert KSR.auth_db.is_subscriber("sip:1111@other.test", TABLE, 3) == -2
    assert KSR.auth_db.is_subscriber("sip:1111@other.test", TABLE, 2) == 1
    assert KSR.auth_db.is_subscriber("garbage", TABLE, 3) == -1


def test_consume_credentials_takes_away_what_was_checked(ksr: Ksr) -> None:
    """-1 before a check."""
    request = coming(ksr, "INVITE", answered(ksr, "INVITE"))
    assert KSR.auth.consume_credentials() == -1
    KSR.auth_db.auth_check(REALM, TABLE, 1)
    assert KSR.auth.has_credentials(REALM) == 1
    assert KSR.auth.consume_credentials() == 1
    assert "Proxy-Authorization" not in request.applied()


def test_sha_256_is_a_parameter(ksr: Ksr) -> None:
    """The challenge names it, and HA1 must be made with it."""
    ksr.param("auth", "algorithm", "SHA-256")
    ksr.subscribers.add("3333@example.test", "secret", algorithm="SHA-256")
    assert challenge(ksr).endswith(', qop="auth", algorithm=SHA-256')
    coming(ksr, credentials=answered(ksr, user="3333"))
    assert KSR.auth_db.auth_check(REALM, TABLE, 0) == 1
