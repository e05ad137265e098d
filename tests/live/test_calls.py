"""Two phones behind two NATs call each other through a public server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .call import Call
from .conversation import (
    PATIENCE,
    answer,
    connect,
    exchange,
    hang_up,
    reinvite,
    ring,
    stop_ringing,
    wait_for_responses,
)
from .homes import Homes, alias, public_address, registered, two_homes
from .message import Message
from .network import SERVER
from .phone import Phone


@pytest.fixture(params=["alice calls bob", "bob calls alice"])
def caller_and_callee(
    request: pytest.FixtureRequest, alice: Phone, bob: Phone
) -> tuple[Phone, Phone]:
    return (alice, bob) if request.param == "alice calls bob" else (bob, alice)


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
def test_a_call_between_two_nats_is_renegotiated_and_ended_from_either_end(
    caller_and_callee: tuple[Phone, Phone], first_to_leave: str
) -> None:
    caller, callee = caller_and_callee
    ends = connect(caller, callee)
    for asking, asked in (ends, ends[::-1], ends):
        got = reinvite(asking, asked)
        assert alias(got) == public_address(asking.phone)
        assert got.uri == asked.phone.contact[1:-1], "the alias is the server's business"
    leaving, staying = ends if first_to_leave == "caller" else ends[::-1]
    assert hang_up(leaving, staying).uri == staying.phone.contact[1:-1]


def test_each_phone_learns_the_public_address_of_the_other(
    caller_and_callee: tuple[Phone, Phone],
) -> None:
    caller, callee = caller_and_callee
    call, incoming = ring(caller, callee)
    answer(call, incoming)
    assert alias(incoming.message) == public_address(caller)
    for status in (180, 200):
        assert alias(call.wait_for(status)) == public_address(callee)


@pytest.mark.parametrize(
    ("caller_at", "callee_at", "marked"),
    [
        ("home", "office", True),
        ("home", "203.0.113.51", True),
        ("203.0.113.50", "office", True),
        ("203.0.113.50", "203.0.113.51", False),
    ],
)
def test_the_recorded_route_is_marked_and_contacts_have_an_alias_where_a_nat_is(
    homes: Homes, caller_at: str, callee_at: str, marked: bool
) -> None:
    with phone_at(homes, caller_at, "1111") as caller, phone_at(homes, callee_at, "2222") as callee:
        call, incoming = ring(caller, callee)
        ends = answer(call, incoming)
        ok = call.wait_for(200)
        recorded = [m.all("Record-Route") for m in (incoming.message, ok)]
        routes = [[re.sub("seal=[^>;]+", "seal", route) for route in one] for one in recorded]
        assert routes[0] == routes[1]
        assert recorded[0] != recorded[1], "each side has a seal of its own"
        parameters = {
            re.sub("=[0-9a-f]{18}$", "", item) for item in recorded[0][0][1:-1].split(";")
        }
        assert parameters == {f"sip:{SERVER}", "lr", "seal"} | ({"nat=yes"} if marked else set())
        assert (incoming.message["Contact"] == caller.contact) == (caller_at != "home")
        assert (ok["Contact"] == callee.contact) == (callee_at != "office")
        reinvite(*ends[::-1])
        hang_up(*ends)


def test_two_phones_behind_one_nat_call_each_other(homes: Homes, alice: Phone) -> None:
    with homes.phone("home", "2222", address="192.168.0.104") as neighbour:
        ends = connect(alice, neighbour)
        for asking, asked in (ends, ends[::-1]):
            reinvite(asking, asked)
        hang_up(*ends[::-1])


def test_the_callee_does_not_see_the_credentials_of_the_caller(alice: Phone, bob: Phone) -> None:
    call, incoming = ring(alice, bob)
    assert call.invite.challenges[0].status == 407
    assert "Proxy-Authorization" in call.invite.request
    assert "Proxy-Authorization" not in incoming.message


@pytest.mark.parametrize("method", ["ACK", "INVITE", "BYE"])
def test_credentials_that_a_phone_repeats_inside_the_call_are_not_passed_on(
    alice: Phone, bob: Phone, method: str
) -> None:
    """RFC 3261 22.1 has a phone repeat them in the ACK; many do so in every request."""
    call, incoming = ring(alice, bob)
    answer(call, incoming)
    repeated = call.invite.request["Proxy-Authorization"]
    if method == "ACK":
        alice.transmit(ack_again(call, ("Proxy-Authorization", repeated)))
    else:
        call.request(method, headers={"Proxy-Authorization": repeated})
    assert "Proxy-Authorization" not in bob.expect_request(method, PATIENCE).message


def test_a_cancelled_call_stops_ringing(alice: Phone, bob: Phone) -> None:
    call, incoming = ring(alice, bob)
    cancel = call.cancel()
    stopped = stop_ringing(incoming)
    assert stopped.branch == incoming.message.branch
    cancel.wait_for(200, PATIENCE)
    call.wait_for(487, PATIENCE)
    assert bob.expect_request("ACK", PATIENCE).message.branch == incoming.message.branch


def test_a_call_cancelled_before_its_phone_rings_is_stopped_when_it_does(
    alice: Phone, bob: Phone
) -> None:
    """RFC 3261 9.1: a CANCEL must wait for a provisional response."""
    call = alice.invite(bob.aor)
    incoming = bob.expect_request("INVITE", PATIENCE)
    call.cancel().wait_for(200, PATIENCE)
    assert not bob.has_request("CANCEL")
    incoming.reply(180)
    stop_ringing(incoming)
    call.wait_for(487, PATIENCE)


def test_a_call_answered_in_the_moment_it_is_cancelled_is_there_to_be_ended(
    alice: Phone, bob: Phone
) -> None:
    call, incoming = ring(alice, bob)
    call.cancel().wait_for(200, PATIENCE)
    bob.expect_request("CANCEL", PATIENCE).reply(200)
    hang_up(*answer(call, incoming))


@pytest.mark.parametrize("status", [486, 488, 603])
def test_the_caller_hears_why_the_call_is_refused(alice: Phone, bob: Phone, status: int) -> None:
    call, incoming = ring(alice, bob)
    incoming.reply(status)
    call.wait_for(status, PATIENCE)
    assert bob.expect_request("ACK", PATIENCE).message.branch == incoming.message.branch


def test_a_redirection_is_passed_on_as_it_is(alice: Phone, bob: Phone) -> None:
    call, incoming = ring(alice, bob)
    elsewhere = "<sip:2222@192.168.0.77:5070>"
    incoming.reply(302, headers={"Contact": elsewhere})
    assert call.wait_for(302, PATIENCE)["Contact"] == elsewhere


def test_a_call_that_nobody_answers_ends_with_408_and_stops_ringing() -> None:
    with (
        two_homes({"FR_INV_TIMER": "2000"}) as homes,
        homes.phone("home", "1111") as alice,
        homes.phone("office", "2222") as bob,
    ):
        call, incoming = ring(alice, bob)
        stop_ringing(incoming)
        call.wait_for(408, PATIENCE)


def test_a_call_to_a_phone_that_cannot_be_reached_ends_with_408() -> None:
    with (
        two_homes({"FR_TIMER": "1000"}) as homes,
        homes.phone("home", "1111") as alice,
        homes.phone("office", "2222") as bob,
    ):
        homes.nat("office").rebind()
        alice.invite(bob.aor).wait_for(408, PATIENCE)
        assert not bob.has_request("INVITE")


def test_a_repeated_invite_rings_once_and_is_answered_as_before(alice: Phone, bob: Phone) -> None:
    call, incoming = ring(alice, bob)
    for repeats in (1, 2):
        alice.send_raw(bytes(call.invite.request))
        wait_for_responses(alice, 180, 1 + repeats)
    answer(call, incoming)
    assert not bob.has_request("INVITE")
    received = [m for way, m in bob.log if way == "<" and m.method == "INVITE"]
    assert len(received) == 1, "the server repeats nothing that has been answered"


def test_a_repeated_invite_is_not_routed_anew(alice: Phone, bob: Phone) -> None:
    call, incoming = ring(alice, bob)
    bob.unregister()
    alice.send_raw(bytes(call.invite.request))
    wait_for_responses(alice, 180, 2)
    answer(call, incoming)


def test_a_200_is_passed_on_until_its_ack_comes(alice: Phone, bob: Phone) -> None:
    call, incoming = ring(alice, bob)
    ok = incoming.reply(200)
    for repeats in (1, 2):
        bob.transmit_response(ok, incoming.message)
        wait_for_responses(alice, 200, 1 + repeats)
    call.wait_for(200)
    call.ack()
    bob.expect_request("ACK", PATIENCE)


def test_a_repeated_bye_is_answered_and_not_repeated_to_the_phone(alice: Phone, bob: Phone) -> None:
    call, _ = connect(alice, bob)
    bye = call.bye()
    bob.expect_request("BYE", PATIENCE).reply(200)
    bye.wait_for(200, PATIENCE)
    alice.send_raw(bytes(bye.request))
    wait_for_responses(alice, 200, 2, method="BYE")
    received = [m for way, m in bob.log if way == "<" and m.method == "BYE"]
    assert len(received) == 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_whose_nat_forgot_it_during_a_call_is_reached_again_after_its_reinvite(
    homes: Homes, alice: Phone, transport: str
) -> None:
    with homes.phone("office", "2222", transport) as bob:
        ends = connect(alice, bob)
        old = public_address(bob)
        homes.nat("office").rebind()
        if transport == "tcp":
            bob.reconnect()
        got = reinvite(*ends[::-1])
        assert alias(got) == public_address(bob) != old
        hang_up(*ends)


@pytest.mark.parametrize("guess", ["the public address", "phone.invalid"])
@pytest.mark.parametrize("direction", ["to the phone", "from the phone"])
def test_a_phone_that_gives_a_wrong_public_address_is_reached_all_through_a_call(
    homes: Homes, alice: Phone, direction: str, guess: str
) -> None:
    """Its NAT has given it another port than it believes, so that only the alias leads there."""
    host = homes.nat("office").public if guess == "the public address" else guess
    contact = f"<sip:2222@{host}:5060>"
    made = homes.server.phone(homes.host("office"), "2222", contact=contact)
    with registered(homes.server, made) as phone:
        ends = connect(*((alice, phone) if direction == "to the phone" else (phone, alice)))
        for _ in range(2):
            for asking, asked in (ends, ends[::-1]):
                reinvite(asking, asked)
        hang_up(*(ends if direction == "to the phone" else ends[::-1]))


@pytest.mark.parametrize("method", ["INFO", "REFER", "NOTIFY", "MESSAGE", "UPDATE", "OPTIONS"])
def test_requests_inside_a_call_go_to_the_other_end(alice: Phone, bob: Phone, method: str) -> None:
    ends = connect(alice, bob)
    for asking, asked in (ends, ends[::-1]):
        if method == "OPTIONS":
            asking.request(method).wait_for(200, PATIENCE)
            assert asked.phone.pings[-1]["Call-ID"] == asking.call_id
            continue
        headers = {"Content-Type": "text/plain", "Contact": asking.phone.contact}
        got = exchange(asking, asked, method, "something to say", headers)
        assert got.body == "something to say"
        assert got.uri == asked.phone.contact[1:-1]


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_requests_of_a_call_that_still_rings_reach_the_callee(
    alice: Phone, bob: Phone, method: str
) -> None:
    call, incoming = ring(alice, bob)
    got = exchange(call, incoming.call, method, headers={"RAck": "1 2 INVITE"})
    assert got.uri == bob.contact[1:-1]
    answer(call, incoming)


@contextmanager
def phone_at(homes: Homes, place: str, user: str) -> Iterator[Phone]:
    """A registered phone in a home, or at a public address."""
    if not place[0].isdigit():
        with homes.phone(place, user) as phone:
            yield phone
        return
    made = homes.server.phone(homes.public_host(place), user)
    with registered(homes.server, made) as phone:
        yield phone


def ack_again(call: Call, field: tuple[str, str]) -> Message:
    """The ACK of a call with one more field and another branch."""
    ack = call.invite.ack
    assert ack is not None
    fields = [(name, f"{value}again" if name == "Via" else value) for name, value in ack.fields]
    return Message(ack.start_line, [*fields, field])
