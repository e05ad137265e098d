"""Nobody asks our phones for their passwords in our name, or sees what they answer us."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conversation import PATIENCE, connect, hang_up
from .homes import Homes
from .message import Message
from .network import SERVER
from .phone import Phone
from .server import DOMAIN
from .test_forking import ring_both

PEER = "203.0.113.60"
THEIRS = f'Digest realm="{PEER}", nonce="4711", qop="auth"'
OURS = {
    "as we write it": f'Digest realm="{DOMAIN}", nonce="4711", qop="auth"',
    "in other letters": f'DIGEST nonce="4711",Realm = "{DOMAIN.upper()}"',
    "without quotes": f"Digest nonce=4711, realm={DOMAIN}",
    "escaped": f'Digest realm="{DOMAIN.replace(".", chr(92) + ".")}", nonce="4711"',
    "folded": f'Digest nonce="4711",\r\n realm=\r\n "{DOMAIN}"',
    "our address": f'Digest realm="{SERVER}", nonce="4711"',
    "the second one": f'{THEIRS}, Digest realm="{DOMAIN}", nonce="4711"',
    "no UTF-8": f'Digest realm="{DOMAIN}", nonce="\udcff"',
    "very long": f'Digest realm="{DOMAIN}", nonce="{"4711" * 2000}"',
}
ASKS = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
ANSWERS = ("Authorization", "Proxy-Authorization")


def values(message: Message, *names: str) -> list[str]:
    """Whole headers: a challenge has commas."""
    return [value for name, value in message.fields if name in names]


@pytest.fixture
def carol(homes: Homes) -> Iterator[Phone]:
    """A phone of another provider, whom our users call."""
    phone = Phone(homes.public_host(PEER), "carol", PEER, None)
    yield phone
    phone.close()


@pytest.mark.parametrize("status", ASKS)
@pytest.mark.parametrize("challenge", OURS.values(), ids=OURS)
def test_who_is_called_asks_nobody_for_a_password_of_ours(
    alice: Phone, carol: Phone, challenge: str, status: int
) -> None:
    call = alice.invite(carol.aor)
    carol.expect_request("INVITE", PATIENCE).reply(status, headers={ASKS[status]: challenge})
    refused = call.wait_for(status, PATIENCE)
    assert values(refused, *ASKS.values()) == []


@pytest.mark.parametrize("status", ASKS)
def test_who_is_called_may_ask_for_a_password_of_his_own(
    alice: Phone, carol: Phone, status: int
) -> None:
    """And the answer is for him."""
    other = "Proxy-Authenticate" if status == 401 else "WWW-Authenticate"
    call = alice.invite(carol.aor)
    asked = {ASKS[status]: THEIRS, other: OURS["as we write it"]}
    carol.expect_request("INVITE", PATIENCE).reply(status, headers=asked)
    refused = call.wait_for(status, PATIENCE)
    assert values(refused, *ASKS.values()) == [THEIRS]


@pytest.mark.parametrize("status", ASKS)
def test_within_a_call_nobody_asks_for_a_password_of_ours(
    alice: Phone, carol: Phone, status: int
) -> None:
    ends = connect(alice, carol)
    alice.password = None
    info = ends[0].request("INFO")
    asked = {ASKS[status]: OURS["as we write it"]}
    carol.expect_request("INFO", PATIENCE).reply(status, headers=asked)
    refused = info.wait_for(status, PATIENCE)
    assert values(refused, *ASKS.values()) == []
    hang_up(*ends)


def test_challenges_of_two_phones_of_one_user_have_none_of_ours(
    alice: Phone, bob: Phone, mobile: Phone
) -> None:
    """Kamailio would put those of all branches together, as they came."""
    call, incoming = ring_both(alice, bob, mobile)
    for request in incoming:
        request.reply(407, headers={ASKS[407]: OURS["as we write it"]})
        request.phone.expect_request("ACK", PATIENCE)
    refused = call.wait_for(407, PATIENCE)
    assert values(refused, *ASKS.values()) == []


def test_what_a_phone_answers_us_is_seen_by_nobody_else(alice: Phone, carol: Phone) -> None:
    """In either header, the first time and within the call; what is for others goes on."""
    ours = f'Digest username="1111", realm="{DOMAIN}", nonce="4711", uri="sip:x", response="x"'
    theirs = ours.replace(DOMAIN, PEER)
    alice.invite(carol.aor, headers={"Authorization": ours})
    invite = carol.expect_request("INVITE", PATIENCE)
    assert values(invite.message, *ANSWERS) == []
    invite.reply(486)
    ends = connect(alice, carol)
    for name, value, kept in (
        ("Authorization", ours, []),
        ("Proxy-Authorization", ours, []),
        ("Authorization", theirs, [theirs]),
        ("Proxy-Authorization", theirs, [theirs]),
    ):
        info = ends[0].request("INFO", headers={name: value})
        incoming = carol.expect_request("INFO", PATIENCE)
        assert values(incoming.message, *ANSWERS) == kept
        incoming.reply(200)
        info.wait_for(200, PATIENCE)
    hang_up(*ends)
