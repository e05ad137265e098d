"""Our own routes on the stub: nobody else asks for our passwords, or sees what phones answer."""

from __future__ import annotations

import pytest
from ksr_stub.harness import Ksr
from ksr_stub.traffic import Message

from kemi_routes.our_realm import CHALLENGES, CREDENTIALS

from .own_routes import DOMAIN, registered, ring, start

FOREIGN = 'Digest realm="other.test", nonce="4711"'
OURS = [
    f'Digest realm="{DOMAIN}", nonce="4711", qop="auth"',
    f'DIGEST nonce=4711,Realm = "{DOMAIN.upper()}"',
    f"Digest realm={DOMAIN}, nonce=4711",
    'Digest realm="example\\.test", nonce="4711"',
    f'Digest nonce="4711",\r\n realm="{DOMAIN}"',
    f'{FOREIGN}, Digest realm="{DOMAIN}", nonce="4711"',
]
NAMES = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr)


def values(message: Message, names: tuple[str, ...]) -> list[str]:
    return [value for name in names for value in message.all(name)]


def refused(server: Ksr, status: int, headers: list[tuple[str, str]]) -> Message:
    """What the caller gets when who is called answers this."""
    call, incoming = ring(server)
    incoming.refuse(status, headers=headers)
    assert call.final.status == status
    return call.final


@pytest.mark.parametrize("status", NAMES)
@pytest.mark.parametrize("challenge", OURS)
def test_who_is_called_asks_nobody_for_a_password_of_ours(
    server: Ksr, challenge: str, status: int
) -> None:
    """Whatever a phone might take for our realm; the status stays."""
    reply = refused(server, status, [(NAMES[status], challenge)])
    assert values(reply, CHALLENGES) == []


@pytest.mark.parametrize("status", NAMES)
def test_who_is_called_may_ask_for_a_password_of_his_own(server: Ksr, status: int) -> None:
    """His challenge goes on, and only ours is taken out."""
    name = NAMES[status]
    reply = refused(server, status, [(name, OURS[0]), (name, FOREIGN), (name, OURS[1])])
    assert values(reply, CHALLENGES) == [FOREIGN]


def test_a_challenge_that_is_no_text_is_taken_out_as_well(server: Ksr) -> None:
    """Python can't read it, but the phone of the caller might."""
    call, incoming = ring(server)
    invite = incoming.invite
    kept = [f"Via: {via}" for via in invite.all("Via")]
    kept += [f"{name}: {invite[name]}" for name in ("From", "To", "Call-ID", "CSeq")]
    lines = ["SIP/2.0 401 Unauthorized", *kept, f'WWW-Authenticate: {OURS[0]}, opaque="X"']
    data = "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()
    incoming.phone.send(data.replace(b"X", b"\xff"))
    assert call.final.status == 401
    assert values(call.final, CHALLENGES) == []


def test_challenges_of_two_phones_have_none_of_ours(server: Ksr) -> None:
    """tm would put those of all branches together as they came (aggregate_challenges)."""
    caller, first = registered(server)
    second = server.phone("2222", "second secret", source=("198.51.100.10", 51000))
    assert second.register().status == 200
    call = caller.call("2222")
    for phone in (first, second):
        phone.incoming().refuse(407, headers=[(NAMES[407], OURS[0])])
    assert call.final.status == 407
    assert values(call.final, CHALLENGES) == []


@pytest.mark.parametrize("name", CREDENTIALS)
def test_what_a_phone_answers_us_is_seen_by_nobody_else(server: Ksr, name: str) -> None:
    """In a new call and inside one; what is for others goes on."""
    caller, callee = registered(server)
    for given, kept in ((OURS[0], []), (FOREIGN, [FOREIGN])):
        caller.request("MESSAGE", "2222", headers={name: given})
        assert values(callee.inbox[-1], CREDENTIALS) == kept
    call, incoming = caller.call("2222"), callee.incoming()
    incoming.answer()
    for given, kept in ((OURS[0], []), (FOREIGN, [FOREIGN])):
        call.request("INFO", headers={name: given})
        assert values(callee.requests("INFO")[-1], CREDENTIALS) == kept
