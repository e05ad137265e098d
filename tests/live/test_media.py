"""Voice between two phones behind NAT: through rtpengine, and without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from .call import Call
from .conversation import PATIENCE, answer, hang_up, reinvite, ring
from .homes import PRIVATE, Homes, registered, two_homes
from .media import RtpStream, media_address
from .message import Message
from .network import SERVER, Namespace, Network
from .patience import eventually
from .phone import Phone
from .requirement import require
from .rtpengine import RtpEngine
from .server import Server
from .softphone import Softphone

BEHIND_NAT = "10.0.0.10"
INSIDE, INNER_PHONE = "10.10.0.10", "10.10.0.20"
RELAY = {"RTPENGINE": "udp:127.0.0.1:2223"}
# So that a test sees at once what rtpengine was told; by default it waits half a minute.
FORGET_AT_ONCE = ("--delete-delay=0",)
PACKETS = 50
ICE = (
    "ice-ufrag:abcd",
    "ice-pwd:abcdefghijklmnopqrstuvwx",
    f"candidate:1 1 UDP 2130706431 {PRIVATE} 4000 typ host",
)
Ends = tuple[Call, Call]
Voices = tuple[RtpStream, RtpStream]


@contextmanager
def homes_with_relay(
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[Homes, RtpEngine]]:
    """The server on its public address, with rtpengine beside it."""
    with Network() as network:
        host = network.server_host()
        relay = RtpEngine(host, options=FORGET_AT_ONCE)
        yield Homes(network, Server(host, settings={**RELAY, **(settings or {})})), relay


@pytest.fixture(scope="module")
def homes_and_relay() -> Iterator[tuple[Homes, RtpEngine]]:
    require("root", "ip", "nft", "kamailio", "rtpengine")
    with homes_with_relay() as both:
        yield both


@pytest.fixture
def homes(homes_and_relay: tuple[Homes, RtpEngine]) -> Homes:
    return homes_and_relay[0]


@pytest.fixture
def relay(homes_and_relay: tuple[Homes, RtpEngine]) -> RtpEngine:
    return homes_and_relay[1]


def talk(caller: Phone, callee: Phone) -> tuple[Ends, Voices]:
    """A call whose phones know from SDP where to send."""
    voices = RtpStream(caller.host), RtpStream(callee.host)
    call, incoming = ring(caller, callee, voices[0].sdp())
    ends = answer(call, incoming, voices[1].sdp())
    connect_voices(voices, incoming.message, call.wait_for(200))
    return ends, voices


def talk_late(caller: Phone, callee: Phone) -> tuple[Ends, Voices]:
    """A call whose offer comes with the 200, and its answer with the ACK."""
    voices = RtpStream(caller.host), RtpStream(callee.host)
    call, incoming = ring(caller, callee)
    incoming.reply(200, voices[1].sdp())
    offer = call.wait_for(200, PATIENCE)
    call.ack(voices[0].sdp())
    connect_voices(voices, callee.expect_request("ACK", PATIENCE).message, offer)
    return (call, incoming.call), voices


def connect_voices(voices: Voices, to_second: Message, to_first: Message) -> None:
    """Let each side send to where the SDP says that it got."""
    voices[0].remote, voices[1].remote = (media_address(m.body) for m in (to_first, to_second))


def assert_they_hear_each_other(one: RtpStream, other: RtpStream) -> None:
    """RTP flows in both directions from now on."""
    wanted = max(one.heard(other), other.heard(one)) + PACKETS
    assert min(RtpStream.exchange(one, other, wanted, PATIENCE)) >= wanted


# A call and its media


@pytest.mark.parametrize("direction", ["alice calls bob", "bob calls alice"])
def test_two_phones_behind_nat_hear_each_other_through_the_relay(
    alice: Phone, bob: Phone, direction: str
) -> None:
    caller, callee = (alice, bob) if direction == "alice calls bob" else (bob, alice)
    ends, voices = talk(caller, callee)
    assert_they_hear_each_other(*voices)
    assert {source for _, _, source in voices[0].packets} == {voices[0].remote}
    hang_up(*ends)


def test_no_private_address_is_left_in_the_sdp_that_passes_the_server(
    alice: Phone, bob: Phone
) -> None:
    call, incoming = ring(alice, bob, RtpStream(alice.host).sdp())
    answer(call, incoming, RtpStream(bob.host).sdp())
    for message in (incoming.message, call.wait_for(200)):
        assert media_address(message.body)[0] == SERVER
        assert PRIVATE not in message.body


def test_the_caller_hears_an_announcement_before_the_call_is_answered(
    alice: Phone, bob: Phone
) -> None:
    voices = RtpStream(alice.host), RtpStream(bob.host)
    call, incoming = ring(alice, bob, voices[0].sdp())
    incoming.reply(183, voices[1].sdp())
    voices[0].remote = media_address(call.invite.wait_for(183, PATIENCE).body)
    voices[1].remote = media_address(incoming.message.body)
    assert_they_hear_each_other(*voices)


def test_a_call_whose_offer_comes_with_the_200_has_media_both_ways(
    alice: Phone, bob: Phone
) -> None:
    """RFC 3261 13.2.1: an INVITE without SDP; the 200 has the offer, the ACK the answer."""
    ends, voices = talk_late(alice, bob)
    assert {voice.remote[0] for voice in voices if voice.remote} == {SERVER}
    assert_they_hear_each_other(*voices)
    hang_up(*ends)


# What becomes of the session


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
def test_the_end_of_a_call_ends_its_media_session(
    alice: Phone, bob: Phone, relay: RtpEngine, first_to_leave: str
) -> None:
    ends, _ = talk(alice, bob)
    assert relay.relays(ends[0].call_id)
    hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))
    assert_forgotten(relay, ends[0])


@pytest.mark.parametrize("why", ["cancelled", 486, 603])
def test_a_call_that_never_begins_leaves_no_media_session(
    alice: Phone, bob: Phone, relay: RtpEngine, why: str | int
) -> None:
    call, incoming = ring(alice, bob, RtpStream(alice.host).sdp())
    assert relay.relays(call.call_id)
    if isinstance(why, int):
        incoming.reply(why)
        call.wait_for(why, PATIENCE)
    else:
        call.cancel()
        bob.expect_request("CANCEL", PATIENCE).reply(200)
        incoming.reply(487)
        call.wait_for(487, PATIENCE)
    assert_forgotten(relay, call)


def test_a_call_that_cannot_be_sent_leaves_no_media_session(alice: Phone, relay: RtpEngine) -> None:
    call = alice.invite("sip:carol@nowhere.invalid", RtpStream(alice.host).sdp())
    call.wait_for(478, PATIENCE)
    assert_forgotten(relay, call)


@pytest.mark.parametrize("port", ["the same port", "another port"])
@pytest.mark.parametrize("asking", ["caller", "callee"])
def test_media_go_on_when_a_new_offer_is_refused(
    alice: Phone, bob: Phone, relay: RtpEngine, asking: str, port: str
) -> None:
    """A phone that would send a fax offers another port (T.38); refused, it goes on with voice."""
    ends, voices = talk(alice, bob)
    assert_they_hear_each_other(*voices)
    (asker, asked), voice = (ends, voices[0]) if asking == "caller" else (ends[::-1], voices[1])
    offer = voice.sdp() if port == "the same port" else RtpStream(asker.phone.host).sdp()
    again = asker.reinvite(offer)
    asked.phone.expect_request("INVITE", PATIENCE).reply(488)
    again.wait_for(488, PATIENCE)
    assert_they_hear_each_other(*voices)
    assert relay.relays(ends[0].call_id)
    hang_up(*ends)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("asking", ["caller", "callee"])
def test_media_follow_a_phone_that_moves_them_to_another_port(
    alice: Phone, bob: Phone, asking: str, method: str
) -> None:
    ends, voices = talk(alice, bob)
    (asker, asked), staying = (ends, voices[1]) if asking == "caller" else (ends[::-1], voices[0])
    moved = RtpStream(asker.phone.host)
    if method == "INVITE":
        again = asker.reinvite(moved.sdp())
    else:
        again = asker.request(method, moved.sdp())
    offer = asked.phone.expect_request(method, PATIENCE)
    offer.reply(200, staying.sdp())
    reply = again.wait_for(200, PATIENCE)
    if method == "INVITE":
        asker.wait_for(200)
        asker.ack()
    connect_voices((moved, staying), offer.message, reply)
    assert_they_hear_each_other(moved, staying)
    assert media_address(offer.message.body)[0] == SERVER
    assert PRIVATE not in offer.message.body + reply.body
    hang_up(*ends)


@pytest.mark.parametrize("busy_phone", ["office", "hotel"])
def test_one_busy_phone_does_not_end_the_media_of_the_other(
    alice: Phone, bob: Phone, mobile: Phone, relay: RtpEngine, busy_phone: str
) -> None:
    busy, free = (bob, mobile) if busy_phone == "office" else (mobile, bob)
    voices = RtpStream(alice.host), RtpStream(free.host)
    call = alice.invite(bob.aor, voices[0].sdp())
    refusing, incoming = (phone.expect_request("INVITE", PATIENCE) for phone in (busy, free))
    refusing.reply(486)
    busy.expect_request("ACK", PATIENCE)
    ends = answer(call, incoming, voices[1].sdp())
    connect_voices(voices, incoming.message, call.wait_for(200))
    assert_they_hear_each_other(*voices)
    hang_up(*ends)
    assert_forgotten(relay, call)


@pytest.mark.parametrize("quicker", ["office", "hotel"])
def test_media_belong_to_the_phone_that_answers_first(
    alice: Phone, bob: Phone, mobile: Phone, quicker: str
) -> None:
    """The other one has had its ring-back tone relayed, and is cancelled."""
    quick, slow = (bob, mobile) if quicker == "office" else (mobile, bob)
    voices = RtpStream(alice.host), RtpStream(quick.host)
    call = alice.invite(bob.aor, voices[0].sdp())
    ringing, answering = (phone.expect_request("INVITE", PATIENCE) for phone in (slow, quick))
    ringing.reply(183, RtpStream(slow.host).sdp())
    call.invite.wait_for(183, PATIENCE)
    ends = answer(call, answering, voices[1].sdp())
    slow.expect_request("CANCEL", PATIENCE).reply(200)
    ringing.reply(487)
    slow.expect_request("ACK", PATIENCE)
    connect_voices(voices, answering.message, call.wait_for(200))
    assert_they_hear_each_other(*voices)
    hang_up(*ends)


# ICE


@pytest.mark.parametrize(
    ("setting", "keeps_the_phones", "adds_its_own", "adds_where_none_is"),
    [
        ("keep", True, True, False),
        ("force", False, True, True),
        ("remove", False, False, False),
    ],
)
def test_ice_candidates_are_kept_forced_or_removed_as_the_setting_says(
    setting: str, keeps_the_phones: bool, adds_its_own: bool, adds_where_none_is: bool
) -> None:
    with (
        homes_with_relay({"MEDIA_ICE": setting}) as (homes, _),
        homes.phone("home", "1111") as alice,
        homes.phone("office", "2222") as bob,
    ):
        stream = RtpStream(alice.host)
        _, incoming = ring(alice, bob, stream.sdp(*ICE))
        candidates = candidate_hosts(incoming.message)
        assert (PRIVATE in candidates) == keeps_the_phones
        assert (SERVER in candidates) == adds_its_own
        assert ("a=ice-ufrag:" in incoming.message.body) == (setting != "remove")
        _, incoming = ring(alice, bob, stream.sdp())
        assert (SERVER in candidate_hosts(incoming.message)) == adds_where_none_is


# Other places, and no relay


def test_media_pass_a_server_that_is_behind_nat_itself() -> None:
    with Network() as network:
        host = network.server_behind_nat(BEHIND_NAT)
        RtpEngine(host, f"{BEHIND_NAT}!{SERVER}", FORGET_AT_ONCE)
        homes = Homes(network, Server(host, settings={**RELAY, "ADVERTISE": SERVER}))
        with homes.phone("home", "1111") as alice, homes.phone("office", "2222") as bob:
            ends, voices = talk(alice, bob)
            assert {voice.remote[0] for voice in voices if voice.remote} == {SERVER}
            assert_they_hear_each_other(*voices)
            for phone in (alice, bob):
                assert not [m for way, m in phone.log if way == "<" and BEHIND_NAT in m.body]
            hang_up(*ends)


@pytest.fixture(scope="module")
def two_networks() -> Iterator[Homes]:
    """A server with a public and a private interface, which has a relay in both networks."""
    require("root", "ip", "nft", "kamailio", "rtpengine")
    with Network() as network:
        host = network.server_with_two_interfaces(INSIDE)
        interfaces = f"public/{SERVER};private/{INSIDE}"
        RtpEngine(host, interfaces, FORGET_AT_ONCE)
        listen = f"udp:{SERVER}:5060 udp:{INSIDE}:5060"
        yield Homes(network, Server(host, listen, {**RELAY, "RTP_INTERFACE": interfaces}))


@pytest.fixture(scope="module")
def inner_host(two_networks: Homes) -> Namespace:
    """A host of the private network, with no way out of it."""
    return two_networks.network.private_host(INNER_PHONE)


@pytest.fixture
def inner(two_networks: Homes, inner_host: Namespace) -> Iterator[Phone]:
    """3333, in the private network."""
    phone = two_networks.server.phone(inner_host, "3333", server=(INSIDE, 5060))
    with registered(two_networks.server, phone):
        yield phone


@pytest.mark.parametrize("call", [talk, talk_late], ids=["offer-in-invite", "offer-in-200"])
@pytest.mark.parametrize("caller", ["public", "private"])
def test_phones_of_two_networks_hear_each_other(
    two_networks: Homes,
    inner: Phone,
    caller: str,
    call: Callable[[Phone, Phone], tuple[Ends, Voices]],
) -> None:
    """Each is told the relay's address in its own network, in a re-INVITE as well."""
    with two_networks.phone("home", "1111") as outer:
        told = {outer: SERVER, inner: INSIDE}
        first, second = (outer, inner) if caller == "public" else (inner, outer)
        ends, voices = call(first, second)
        assert [voice.remote[0] for voice in voices if voice.remote] == [told[first], told[second]]
        assert_they_hear_each_other(*voices)
        for sides, (offers, answers) in ((ends, voices), (ends[::-1], voices[::-1])):
            again = reinvite(*sides, offers.sdp(), answers.sdp())
            assert media_address(again.body)[0] == told[sides[1].phone]
        assert_they_hear_each_other(*voices)
        hang_up(*ends)


@pytest.mark.parametrize("relay_ends", ["before the start", "while it serves"])
def test_calls_go_on_without_the_relay_and_the_log_says_so(relay_ends: str) -> None:
    with (
        homes_with_relay() as (homes, relay),
        homes.phone("home", "1111") as alice,
        homes.phone("office", "2222") as bob,
    ):
        relay.stop()
        if relay_ends == "before the start":
            homes.server.restart()
        mark = homes.server.mark()
        offer, reply = RtpStream(alice.host).sdp(), RtpStream(bob.host).sdp()
        call, incoming = ring(alice, bob, offer)
        ends = answer(call, incoming, reply)
        assert (incoming.message.body, call.wait_for(200).body) == (offer, reply)
        homes.server.wait_for_log("WARNING: .*rtpengine did not answer", since=mark)
        hang_up(*ends)


def test_without_a_relay_the_sdp_is_the_phones_business() -> None:
    with (
        two_homes() as homes,
        homes.phone("home", "1111") as alice,
        homes.phone("office", "2222") as bob,
    ):
        offer, reply = RtpStream(alice.host).sdp(*ICE), RtpStream(bob.host).sdp(*ICE)
        call, incoming = ring(alice, bob, offer)
        answer(call, incoming, reply)
        assert (incoming.message.body, call.wait_for(200).body) == (offer, reply)


@pytest.mark.needs("baresip")
def test_two_baresips_behind_nat_hear_each_other(homes: Homes) -> None:
    alice, bob = (
        softphone(homes, home, user) for home, user in (("garden", "5555"), ("garage", "6666"))
    )
    alice.command("dial", f"sip:6666@{homes.server.domain}")
    bob.wait_for("CALL_INCOMING", PATIENCE)
    bob.command("accept")
    for phone in (alice, bob):
        phone.wait_for("CALL_ESTABLISHED", PATIENCE)
        eventually(phone.hears, f"sound at {phone.process.command}")
    bob.command("hangup")
    alice.wait_for("CALL_CLOSED", PATIENCE)


def softphone(homes: Homes, home: str, user: str) -> Softphone:
    """A registered baresip in a home."""
    password = "horse-staple"
    homes.server.add_subscriber(f"{user}@{homes.server.domain}", password)
    phone = Softphone(homes.host(home), user, homes.server.domain, password)
    phone.wait_for("REGISTER_OK", PATIENCE)
    return phone


def assert_forgotten(relay: RtpEngine, call: Call) -> None:
    """The media session of this call ends."""
    eventually(lambda: not relay.relays(call.call_id), "end of the media session")


def candidate_hosts(message: Message) -> list[str]:
    """The addresses of the ICE candidates in an SDP."""
    return re.findall(r"^a=candidate:\S+ \d+ \S+ \d+ (\S+)", message.body, re.MULTILINE)
