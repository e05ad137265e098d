"""Our own routes on the stub: the torture messages have the answers that the RFCs want."""

from __future__ import annotations

import pytest
from ksr_stub.harness import Ksr

from ..torture import (
    ANSWERS,
    DOMAINS,
    DROPPED_BY_THE_CORE,
    IPV6_ANSWERS,
    REGISTRATIONS,
    RESPONSES,
    RFC4475,
    RFC5118,
    as_sent,
)
from .own_routes import start

SOURCE = ("203.0.113.5", 40123)


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr, SIP_DOMAIN=DOMAINS)


def answer(ksr: Ksr, data: bytes) -> int:
    """The status of the final reply that goes back to the sender, 0 without one."""
    replies = [
        sent
        for sent in ksr.receive(data, source=SOURCE).sent
        if (sent.to.host, sent.to.port) == SOURCE
    ]
    return next((reply.status for reply in reversed(replies) if reply.status >= 200), 0)


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - REGISTRATIONS))
def test_a_torture_message_has_the_answer_that_the_rfc_wants(server: Ksr, name: str) -> None:
    assert answer(server, (RFC4475 / f"{name}.dat").read_bytes()) in ANSWERS[name]


@pytest.mark.parametrize("name", sorted(RESPONSES | DROPPED_BY_THE_CORE))
def test_a_torture_message_that_is_dropped_is_not_answered(server: Ksr, name: str) -> None:
    assert answer(server, (RFC4475 / f"{name}.dat").read_bytes()) == 0


@pytest.mark.parametrize("name", sorted(REGISTRATIONS))
def test_a_torture_registration_is_taken_for_one(server: Ksr, name: str) -> None:
    assert answer(server, (RFC4475 / f"{name}.dat").read_bytes()) == 401


@pytest.mark.parametrize("name", sorted(IPV6_ANSWERS))
def test_an_ipv6_torture_message_has_the_answer_that_the_rfc_wants(server: Ksr, name: str) -> None:
    assert answer(server, as_sent(RFC5118 / f"{name}.dat")) in IPV6_ANSWERS[name]
