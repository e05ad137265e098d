"""Stateless replies and Max-Forwards, as Kamailio 5.6.3 has them."""

from __future__ import annotations

from typing import Any

import KSR
import pytest
from ksr_stub import message
from ksr_stub.errors import WrongArguments
from ksr_stub.harness import Ksr
from ksr_stub.message import Address

from tests.stub.replay import cases, replay


@pytest.mark.parametrize("case", cases("sl"))
def test_what_is_sent_is_what_kamailio_sent(case: dict[str, Any]) -> None:
    """The stub sends, step by step, what the real one sent."""
    replay(case)


_REPLY = (
    "SIP/2.0 404 Gone off\r\nVia: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bKa\r\n"
    "From: <sip:a@x.test>;tag=1\r\nTo: <sip:b@x.test>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n"
)


def _routed(ksr: Ksr) -> None:
    source = Address("203.0.113.7", 5060)
    ksr.world.message = message.parse(_REPLY.encode(), source, ksr.world.sockets[0])


def test_whoever_answers_a_reply_hears_of_it(ksr: Ksr) -> None:
    """In strict mode the fault says what the real one would send."""
    _routed(ksr)
    with pytest.raises(WrongArguments, match="'Gone off 500 Oops'"):
        KSR.sl.sl_send_reply(500, "Oops")
    ksr.world.faults.clear()


@pytest.mark.ksr(mode="faithful")
def test_a_reply_to_a_reply_begins_with_its_reason(ksr: Ksr) -> None:
    """5.6.3 takes the reason for the version, and writes a code with three digits."""
    _routed(ksr)
    assert KSR.sl.sl_send_reply(99, "x") == 1
    assert ksr.world.sent[-1].data.startswith(b"Gone off 099 x\r\n")
