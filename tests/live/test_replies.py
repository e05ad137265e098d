"""Replies that belong to nothing: whoever sends them must not reach anybody through us."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conversation import PATIENCE, connect, ring, stop_ringing, wait_for_responses
from .homes import Homes, two_homes
from .message import wire
from .network import SERVER
from .patience import eventually
from .phone import Phone

VICTIM = "203.0.113.70"
ATTACKER = "203.0.113.71"


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    """With one UDP worker, what was sent first is passed on first."""
    with two_homes({"CHILDREN": "1"}) as homes:
        yield homes


@pytest.mark.parametrize("header", ["Subject: hello", "Call-Info"])
def test_a_reply_to_nothing_that_we_sent_reaches_nobody(
    homes: Homes, alice: Phone, header: str
) -> None:
    """A header that can't be read is no way around it."""
    victim = Phone(homes.public_host(VICTIM), "victim", VICTIM, None)
    attacker = Phone(homes.public_host(ATTACKER), "attacker", ATTACKER, None)
    attacker.send_raw(
        wire(f"""
            SIP/2.0 200 OK
            Via: SIP/2.0/UDP {SERVER}:5060;branch=z9hG4bK1234.abcd.0
            Via: SIP/2.0/UDP {VICTIM}:5060;branch=z9hG4bK5678
            From: <sip:a@example.test>;tag=1
            To: <sip:b@example.test>;tag=2
            Call-ID: nothing-of-yours
            CSeq: 1 INVITE
            {header}
            Content-Length: 0

            """)
    )
    attacker.request("OPTIONS", f"sip:{alice.domain}").wait_for(200, PATIENCE)
    call, incoming = ring(alice, victim)
    assert [message.status for way, message in victim.log if way == "<"] == [0]
    call.cancel()
    stop_ringing(incoming)
    call.wait_for(487, PATIENCE)
    for phone in victim, attacker:
        phone.close()


def test_an_answer_that_is_repeated_when_its_transaction_has_gone_is_passed_on(
    homes: Homes, alice: Phone, bob: Phone
) -> None:
    """RFC 3261 16.7: else a lost ACK could not be sent again."""
    connect(alice, bob)
    eventually(lambda: "current: 0" in homes.server.kamcmd("tm.stats"), "end of transactions", 30)
    answer = next(
        m for way, m in bob.log if way == ">" and m.status == 200 and m.method == "INVITE"
    )
    bob.send_raw(bytes(answer))
    wait_for_responses(alice, 200, 2)
