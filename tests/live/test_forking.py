"""A user with two phones: both ring, one has the call (RFC 3261 16.6 and 16.7)."""

from __future__ import annotations

import pytest

from .call import Call, IncomingRequest
from .conversation import (
    PATIENCE,
    answer,
    hang_up,
    stop_ringing,
    wait_for_responses,
)
from .homes import alias, public_address
from .message import parameter
from .phone import Phone


@pytest.mark.parametrize("quicker", ["office", "hotel"])
def test_all_phones_of_a_user_ring_and_the_first_to_answer_has_the_call(
    alice: Phone, bob: Phone, mobile: Phone, quicker: str
) -> None:
    quick, slow = (bob, mobile) if quicker == "office" else (mobile, bob)
    call, (ringing, answering) = ring_both(alice, slow, quick)
    ends = answer(call, answering)
    stop_ringing(ringing)
    slow.expect_request("ACK", PATIENCE)
    assert alias(call.wait_for(200)) == public_address(quick)
    hang_up(*ends)
    assert not slow.has_request("BYE")


def test_a_second_answer_is_passed_on_for_the_caller_to_end(
    alice: Phone, bob: Phone, mobile: Phone
) -> None:
    """RFC 3261 16.7: every 2xx to an INVITE is forwarded, or that phone would wait for its ACK."""
    call, (first, second) = ring_both(alice, bob, mobile)
    answer(call, first)
    second.reply(200)
    wait_for_responses(alice, 200, 2)
    tags = {parameter(response["To"], "tag") for response in call.invite.responses[-2:]}
    assert len(tags) == 2


@pytest.mark.parametrize("busy_phone", ["office", "hotel"])
def test_a_call_goes_on_at_one_phone_while_the_other_is_busy(
    alice: Phone, bob: Phone, mobile: Phone, busy_phone: str
) -> None:
    busy, free = (bob, mobile) if busy_phone == "office" else (mobile, bob)
    call, (refusing, answering) = ring_both(alice, busy, free)
    refusing.reply(486)
    busy.expect_request("ACK", PATIENCE)
    hang_up(*answer(call, answering))


@pytest.mark.parametrize(
    ("answers", "told"), [((486, 486), 486), ((500, 486), 486), ((486, 500), 486)]
)
def test_the_caller_hears_one_reason_when_all_phones_refuse(
    alice: Phone, bob: Phone, mobile: Phone, answers: tuple[int, int], told: int
) -> None:
    call, incoming = ring_both(alice, bob, mobile)
    for request, status in zip(incoming, answers, strict=True):
        request.reply(status)
        request.phone.expect_request("ACK", PATIENCE)
    call.wait_for(told, PATIENCE)


def test_a_user_who_declines_on_one_phone_stops_the_others(
    alice: Phone, bob: Phone, mobile: Phone
) -> None:
    """RFC 3261 16.7, step 5: a 6xx is the user's answer, not the phone's."""
    call, (declining, ringing) = ring_both(alice, bob, mobile)
    declining.reply(603)
    stop_ringing(ringing)
    call.wait_for(603, PATIENCE)


def test_a_cancel_stops_all_phones_that_ring(alice: Phone, bob: Phone, mobile: Phone) -> None:
    call, ringing = ring_both(alice, bob, mobile)
    call.cancel().wait_for(200, PATIENCE)
    for request in ringing:
        stop_ringing(request)
    call.wait_for(487, PATIENCE)


def ring_both(
    caller: Phone, first: Phone, second: Phone
) -> tuple[Call, tuple[IncomingRequest, IncomingRequest]]:
    """A call that has come to both phones of a user, who let it ring."""
    call = caller.invite(first.aor)
    incoming = tuple(phone.expect_request("INVITE", PATIENCE) for phone in (first, second))
    for request in incoming:
        request.reply(180)
    wait_for_responses(caller, 180, 2)
    return call, (incoming[0], incoming[1])
