"""Our own routes on the stub: replies that belong to no transaction."""

from __future__ import annotations

import pytest
from ksr_stub.harness import Ksr

from .own_routes import registered, start

STRAY = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1.2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK5678\r\nFrom: <sip:a@example.test>;tag=1\r\n"
    b"To: <sip:b@example.test>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr)


@pytest.mark.parametrize("broken", [b"", b"Call-Info\r\n"])
def test_a_reply_to_nothing_that_we_sent_reaches_nobody(server: Ksr, broken: bytes) -> None:
    """A header that can't be read is no way around it."""
    assert server.receive(STRAY.replace(b"CSeq", broken + b"CSeq")).sent == []


def test_an_answer_that_is_repeated_when_its_transaction_has_gone_is_passed_on(server: Ksr) -> None:
    """RFC 3261 16.7: else a lost ACK could not be sent again."""
    caller, callee = registered(server)
    caller.call("2222")
    ringing = callee.incoming()
    ringing.answer()
    server.clock.advance(60)
    again = callee.reply(ringing.invite, 200, tag=ringing.local_tag)
    assert [call.result for call in again.called("tm.t_check_trans")] == [-1]
    assert [reply.status for reply in again.replies] == [200]
