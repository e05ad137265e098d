"""What the server does with requests that are no plain call: errors, messages, subscriptions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .call import Call
from .conversation import PATIENCE, answer, connect, exchange, hang_up, ring
from .homes import Homes, alias, public_address
from .message import address_uri
from .network import SERVER
from .phone import Phone

TEXT = {"Content-Type": "text/plain"}
PEER = "203.0.113.60"
STRANGER = "203.0.113.61"


@pytest.fixture
def carol(homes: Homes) -> Iterator[Phone]:
    """A phone of another provider, with no account here."""
    phone = Phone(homes.public_host(PEER), "carol", PEER, None)
    yield phone
    phone.close()


# Errors


def test_a_call_to_an_unknown_user_is_answered_with_404(alice: Phone) -> None:
    alice.invite("9999").wait_for(404, PATIENCE)


def test_a_call_to_a_known_user_without_a_phone_is_answered_with_480(
    homes: Homes, alice: Phone
) -> None:
    homes.server.add_subscriber(f"3333@{alice.domain}", "unused password")
    alice.invite("3333").wait_for(480, PATIENCE)


def test_a_call_to_a_phone_that_unregistered_is_answered_with_480(alice: Phone, bob: Phone) -> None:
    bob.unregister()
    alice.invite(bob.aor).wait_for(480, PATIENCE)


def test_a_method_that_the_phone_does_not_take_is_answered_with_405_and_what_it_takes(
    alice: Phone, bob: Phone
) -> None:
    bob.register(headers={"Allow": "INVITE, ACK, CANCEL, BYE, INFO"})
    refusal = alice.request("MESSAGE", bob.aor, "hello", TEXT).wait_for(405, PATIENCE)
    assert set(refusal.all("Allow")) == {"INVITE", "ACK", "CANCEL", "BYE", "INFO"}
    assert not bob.has_request("MESSAGE")
    ring(alice, bob)


def test_a_request_that_has_come_too_far_is_answered_with_483(alice: Phone, bob: Phone) -> None:
    request = alice.make_request("INVITE", bob.aor)
    request.fields = [(n, "0" if n == "Max-Forwards" else v) for n, v in request.fields]
    alice.start(request).wait_for(483, PATIENCE)


def test_a_call_without_a_user_is_answered_with_484(alice: Phone) -> None:
    alice.invite(f"sip:{alice.domain}").wait_for(484, PATIENCE)


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "NOTIFY", "REFER"])
def test_a_request_inside_a_dialog_that_does_not_go_through_us_is_answered_with_481(
    alice: Phone, bob: Phone, method: str
) -> None:
    call, _ = connect(alice, bob)
    call.routes, call.target = [], bob.aor
    call.request(method).wait_for(481, PATIENCE)


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE"])
def test_a_request_that_needs_a_dialog_and_names_none_is_answered_with_481(
    alice: Phone, bob: Phone, method: str
) -> None:
    alice.request(method, bob.aor).wait_for(481, PATIENCE)


def test_a_cancel_of_nothing_is_answered_with_481(alice: Phone, bob: Phone) -> None:
    alice.request("CANCEL", bob.aor).wait_for(481, PATIENCE)


@pytest.mark.parametrize(
    ("place", "status"), [("nowhere.invalid", 478), ("198.51.100.7", 500), ("[2001:db8::7]", 500)]
)
def test_a_call_to_a_place_that_cannot_be_reached_has_one_answer_at_once(
    alice: Phone, place: str, status: int
) -> None:
    call = alice.invite(f"sip:carol@{place}")
    call.wait_for(status, PATIENCE)
    alice.request("OPTIONS", f"sip:{SERVER}").wait_for(200, PATIENCE)
    answers = [m.status for way, m in alice.log if way == "<" and m["Call-ID"] == call.call_id]
    assert answers == [407, 100, status]


# OPTIONS


@pytest.mark.parametrize("target", [f"sip:{SERVER}", "sip:example.test", f"sip:{SERVER}:5060"])
def test_a_keepalive_of_a_phone_is_answered_without_a_password(alice: Phone, target: str) -> None:
    keepalive = alice.request("OPTIONS", target)
    keepalive.wait_for(200, PATIENCE)
    assert keepalive.challenges == []


def test_options_to_a_user_are_answered_by_the_users_phone(alice: Phone, bob: Phone) -> None:
    asked = alice.request("OPTIONS", bob.aor)
    reply = asked.wait_for(200, PATIENCE)
    assert bob.pings[-1]["Call-ID"] == asked.request["Call-ID"]
    assert alias(reply) == public_address(bob)


# Messages and subscriptions


def test_a_message_reaches_the_phone_and_its_answer_comes_back(alice: Phone, bob: Phone) -> None:
    sent = alice.request("MESSAGE", bob.aor, "hello bob, ciào", TEXT)
    incoming = bob.expect_request("MESSAGE", PATIENCE)
    incoming.reply(202)
    sent.wait_for(202, PATIENCE)
    assert incoming.message.body == "hello bob, ciào"
    assert "Proxy-Authorization" not in incoming.message
    assert incoming.message.all("Record-Route") == [], "a MESSAGE opens no dialog (RFC 3428)"


def test_a_subscription_is_notified_and_renewed_and_ended(alice: Phone, bob: Phone) -> None:
    headers = {"Contact": alice.contact, "Event": "presence", "Expires": "600"}
    watching = Call(alice, alice.request("SUBSCRIBE", bob.aor, headers=headers))
    incoming = bob.expect_request("SUBSCRIBE", PATIENCE)
    incoming.reply(200)
    assert alias(watching.wait_for(200, PATIENCE)) == public_address(bob)
    notice = exchange(incoming.call, watching, "NOTIFY", "open", notify(bob, "active"))
    assert (notice.body, notice.uri) == ("open", alice.contact[1:-1])
    renewed = exchange(watching, incoming.call, "SUBSCRIBE", headers=headers | {"Expires": "0"})
    assert renewed.uri == bob.contact[1:-1]
    exchange(incoming.call, watching, "NOTIFY", headers=notify(bob, "terminated"))


@pytest.mark.parametrize("named", ["the user", "the phone"])
def test_a_transfer_ends_in_a_call_to_the_third_phone(
    homes: Homes, alice: Phone, bob: Phone, named: str
) -> None:
    """RFC 3515, 5589: who asks the third phone first transfers to its Contact, alias included."""
    with homes.phone("hotel", "3333") as dave:
        ends, asked = connect(alice, bob), connect(alice, dave)
        target = dave.aor if named == "the user" else asked[0].target
        refer = exchange(*ends, "REFER", headers={"Refer-To": f"<{target}>"})
        call = bob.invite(address_uri(refer["Refer-To"]))
        transferred = answer(call, dave.expect_request("INVITE", PATIENCE))
        exchange(*ends[::-1], "NOTIFY", "SIP/2.0 200 OK", notify(bob, "terminated"))
        for both in (ends, asked, transferred):
            hang_up(*both)


# Other providers


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
def test_our_user_calls_a_phone_elsewhere(alice: Phone, carol: Phone, first_to_leave: str) -> None:
    call, incoming = ring(alice, carol)
    assert "Proxy-Authorization" not in incoming.message
    assert incoming.message.uri == carol.aor
    ends = answer(call, incoming)
    hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
def test_a_phone_elsewhere_calls_our_user_without_a_password(
    carol: Phone, bob: Phone, first_to_leave: str
) -> None:
    ends = connect(carol, bob)
    hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE"])
def test_a_stranger_cannot_send_to_another_stranger_through_us(
    homes: Homes, carol: Phone, method: str
) -> None:
    target = f"sip:victim@{STRANGER}"
    victim = Phone(homes.public_host(STRANGER), "victim", STRANGER, None)
    refused = carol.request(method, target)
    refused.wait_for(403, PATIENCE)
    assert refused.challenges == []
    assert victim.log == []
    victim.close()


def notify(phone: Phone, state: str) -> dict[str, str]:
    """The headers of a NOTIFY."""
    return TEXT | {"Contact": phone.contact, "Event": "presence", "Subscription-State": state}
