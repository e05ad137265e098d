"""Phones behind NAT: who is seen as such, and what becomes of a binding when the NAT changes."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from .homes import PRIVATE
from .link import RawSocket
from .message import parameter
from .network import Network
from .phone import Phone
from .server import DOMAIN, Server
from .town import Town, contacts, open_town, rings, source_seen

SETTINGS = {"FR_TIMER": "1500"}


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with open_town(SETTINGS) as town:
        yield town


@pytest.fixture
def user(town: Town) -> str:
    return town.user()


def binding(phone: Phone, place: tuple[str, int]) -> str:
    """The Contact of a UDP phone behind NAT as it is stored, with the place it was seen at."""
    return f"sip:{phone.user}@{PRIVATE}:5060;alias={place[0]}~{place[1]}~1"


# Who is behind NAT


@pytest.mark.parametrize("mask", ["2", "32"])
def test_the_mask_of_the_nat_test_is_a_setting(network: Network, mask: str) -> None:
    """2: the Via is not the source; 32: the source is private. Here 2 is true at home only, 32
    never, and 1 (the Contact is private), which is true of both phones, is in neither mask."""
    settings = {"NAT_TEST": mask, "CONTACT_ELSEWHERE": "1"}
    server = Server(network.server_host(), settings=settings)
    nat = network.nat("home")
    at_home = server.phone(network.host_behind(nat, PRIVATE), "1111")
    place = source_seen(at_home.register())
    assert place[0] == nat.public
    alias = f";alias={place[0]}~{place[1]}~1" if mask == "2" else ""
    assert server.bindings("1111") == [f"sip:1111@{PRIVATE}:5060{alias}"]
    contact = f"<sip:2222@{PRIVATE}:5060>"
    in_public = server.phone(network.public_host("203.0.113.50"), "2222", contact=contact)
    in_public.register()
    assert server.bindings("2222") == [f"sip:2222@{PRIVATE}:5060"]


def test_a_public_phone_with_a_private_contact_is_behind_nat_by_default(
    town: Town, user: str
) -> None:
    phone = town.public_phone(user, contact=f"<sip:{user}@{PRIVATE}:5060>")
    phone.register()
    assert town.server.bindings(user) == [binding(phone, phone.local)]
    rings(town.caller(), [phone], user)


def test_a_public_phone_that_tells_its_own_address_is_left_alone(town: Town, user: str) -> None:
    phone = town.public_phone(user)
    phone.register()
    assert town.server.bindings(user) == [f"sip:{user}@{phone.local[0]}:5060"]
    rings(town.caller(), [phone], user)


# Two phones, one private address


@pytest.mark.parametrize("users", [1, 2], ids=["one-user", "two-users"])
def test_two_phones_with_one_private_contact_are_two_bindings_and_both_ring(
    town: Town, users: int
) -> None:
    first = town.phone_at_home()
    second = town.phone_at_home(first.user if users == 1 else town.user())
    places = [source_seen(phone.register()) for phone in (first, second)]
    expected = [binding(phone, at) for phone, at in zip((first, second), places, strict=True)]
    assert places[0][0] != places[1][0]
    if users == 1:
        assert sorted(town.server.bindings(first.user)) == sorted(expected)
        rings(town.caller(), [first, second], first.user)
    else:
        found = [town.server.bindings(phone.user) for phone in (first, second)]
        assert found == [[uri] for uri in expected]
        rings(town.caller(), [first], first.user)
        rings(first, [second], second.user)


# The NAT gives the phone another port


def test_a_phone_whose_nat_forgot_it_is_reached_again_after_its_next_registration(
    town: Town, user: str
) -> None:
    nat = town.nat()
    phone = town.phone_at_home(user, nat)
    before = source_seen(phone.register())
    nat.rebind()
    unreached = town.caller().invite(user)
    assert unreached.invite.final().status == 408
    done = phone.register()
    place = source_seen(done)
    assert place != before
    assert contacts(done) == town.server.bindings(user) == [binding(phone, place)]
    rings(town.caller(), [phone], user)


def test_a_call_no_longer_rings_whoever_holds_the_port_that_the_phone_had(
    town: Town, user: str
) -> None:
    phone = town.public_phone(user, contact=f"<sip:{user}@{PRIVATE}:5060>")
    phone.register()
    old_place, phone.local = phone.local, (phone.local[0], 5070)
    phone.reconnect()
    stranger = town.server.phone(phone.host, town.user(), local=old_place)
    phone.register()
    assert town.server.bindings(user) == [binding(phone, phone.local)]
    rings(town.caller(), [phone], user)
    assert not stranger.has_request("INVITE")


def test_a_phone_that_moves_to_another_network_leaves_nothing_behind(town: Town, user: str) -> None:
    home, mobile = town.phone_at_home(user), town.public_host()
    home.register()
    home.close()
    home.host, home.local = mobile, (mobile.address, 5060)
    home.contact = f"<sip:{user}@{mobile.address}:5060>"
    home.reconnect()
    done = home.register()
    assert contacts(done) == town.server.bindings(user) == [f"sip:{user}@{mobile.address}:5060"]
    rings(town.caller(), [home], user)


@pytest.mark.parametrize("outbound", ["", ";reg-id=1"], ids=["instance", "instance-and-reg-id"])
def test_a_restarted_phone_is_known_by_its_instance(town: Town, user: str, outbound: str) -> None:
    nat = town.nat()
    instance = f';+sip.instance="<urn:uuid:00000000-0000-4000-8000-00000000{user}>"{outbound}'
    contact = f"<sip:{user}@{PRIVATE}:5060>{instance}"
    phone = town.phone_at_home(user, nat, contact=contact)
    phone.register()
    nat.rebind()
    phone.close()
    again = town.server.phone(phone.host, user, contact=contact)
    done = again.register()
    place = source_seen(done)
    assert contacts(done) == town.server.bindings(user) == [binding(phone, place)]
    rings(town.caller(), [again], user)
    nat.rebind()
    assert contacts(again.unregister()) == town.server.bindings(user) == []


def test_two_phones_with_two_instances_are_two_bindings(town: Town, user: str) -> None:
    phones = [
        town.phone_at_home(
            user,
            contact=f"<sip:{user}@{PRIVATE}:5060>"
            f';+sip.instance="<urn:uuid:0000000{number}-0000-4000-8000-000000000000>";reg-id=1',
        )
        for number in (1, 2)
    ]
    for phone in phones:
        phone.register()
    assert len(town.server.bindings(user)) == 2
    rings(town.caller(), phones, user)


def test_a_phone_with_two_flows_keeps_both(town: Town, user: str) -> None:
    """RFC 5626: one instance and, by RFC 3261 10.2, one Call-ID; each reg-id is a binding."""
    phone = town.public_phone(user)
    ports = (5060, 5070)
    for flow, port in enumerate(ports, 1):
        phone.local = (phone.local[0], port)
        phone.reconnect()
        instance = f'+sip.instance="<urn:uuid:{user}>";reg-id={flow}'
        phone.register(contact=f"<sip:{user}@{PRIVATE}:5060>;{instance}")
    expected = [binding(phone, (phone.local[0], port)) for port in ports]
    assert sorted(town.server.bindings(user)) == sorted(expected)


def test_unregistering_after_a_rebind_leaves_no_binding(town: Town, user: str) -> None:
    nat = town.nat()
    phone = town.phone_at_home(user, nat)
    phone.register()
    nat.rebind()
    done = phone.unregister()
    assert (done.status, contacts(done)) == (200, [])
    assert town.server.bindings(user) == []


def test_a_rebind_takes_nothing_from_the_users_other_phone(town: Town, user: str) -> None:
    nat = town.nat()
    phone, other = town.phone_at_home(user, nat), town.phone_at_home(user)
    phone.register()
    kept = binding(other, source_seen(other.register()))
    nat.rebind()
    place = source_seen(phone.register())
    assert sorted(town.server.bindings(user)) == sorted([kept, binding(phone, place)])
    rings(town.caller(), [phone, other], user)


@pytest.mark.parametrize("headers", [1, 2], ids=["one-header", "two-headers"])
def test_a_phone_that_swaps_its_private_contact_for_its_public_one_has_one_binding(
    town: Town, user: str, headers: int
) -> None:
    """pjsip learns its public address from the Via of the 200 and says both in one REGISTER."""
    phone = town.phone_at_home(user)
    address, port = source_seen(phone.register())
    learnt, left = f"<sip:{user}@{address}:{port}>", f"{phone.contact};expires=0"
    if headers == 1:
        done = phone.register(contact=f"{learnt}, {left}")
    else:
        done = phone.register(contact=learnt, headers={"Contact": left})
    assert done.status == 200
    assert len(contacts(done)) == len(town.server.bindings(user)) == 1
    phone.contact = learnt
    assert len(contacts(phone.register())) == 1
    rings(town.caller(), [phone], user)


def test_a_rebind_moves_all_contacts_of_a_register_that_has_several(town: Town, user: str) -> None:
    nat = town.nat()
    phone = town.phone_at_home(user, nat)
    both = f"{phone.contact}, <sip:{user}@{PRIVATE}:5070>"
    assert len(contacts(phone.register(contact=both))) == 2
    nat.rebind()
    done = phone.register(contact=both)
    assert len(contacts(done)) == len(town.server.bindings(user)) == 2
    assert str(source_seen(done)[1]) in "".join(town.server.bindings(user))


def test_a_register_that_was_overtaken_by_a_later_one_does_not_bring_the_old_place_back(
    town: Town, user: str
) -> None:
    """RFC 3261 10.3: with the same Call-ID only a higher CSeq changes a binding."""
    nat = town.nat()
    phone = town.phone_at_home(user, nat)
    phone.register()
    first = [message for way, message in phone.log if way == ">"][-1]
    phone.register()
    kept = town.server.bindings(user)
    nat.rebind()
    overtaken = phone.make_request(
        "REGISTER",
        first.uri,
        fields=[("Contact", phone.contact)],
        call_id=first["Call-ID"],
        to=first["To"],
    )
    assert phone.start(overtaken).final().status == 400
    assert town.server.bindings(user) == kept


def test_compact_headers_tell_the_same(town: Town, user: str) -> None:
    nat = town.nat()
    phone = town.phone_at_home(user, nat)
    for _ in range(2):
        nat.rebind()
        done = phone.register(contact="", headers={"m": phone.contact})
    assert contacts(done) == town.server.bindings(user) == [binding(phone, source_seen(done))]


# A phone that does not ask for it


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "INVITE"])
def test_a_phone_is_answered_at_its_port_although_its_via_has_no_rport(
    town: Town, method: str
) -> None:
    """It can't know that there is a NAT, and the port in its Via leads nowhere."""
    nat = town.nat()
    phone = RawSocket(town.network.host_behind(nat, PRIVATE), (PRIVATE, 5060))
    lines = (
        f"{method} sip:{town.server.address()[0]} SIP/2.0",
        f"Via: SIP/2.0/UDP {PRIVATE}:5060;branch=z9hG4bK{method}",
        f"From: <sip:nobody@{DOMAIN}>;tag=x",
        f"To: <sip:nobody@{DOMAIN}>",
        f"Call-ID: {method}",
        f"CSeq: 1 {method}",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    phone.send("\r\n".join([*lines, "", ""]).encode())
    via = phone.receive()["Via"]
    assert parameter(via, "received") == nat.public
    assert 20000 <= int(parameter(via, "rport")) <= 39999, "a port of the NAT"


# STUN


def test_a_phone_learns_its_public_address_from_the_sip_port(town: Town) -> None:
    nat = town.nat()
    phone = RawSocket(town.network.host_behind(nat, PRIVATE), (PRIVATE, 5060))
    transaction = secrets.token_bytes(12)
    phone.send(struct.pack(">HHI", 0x0001, 0, 0x2112A442) + transaction)
    answer = phone.receive_bytes()[0]
    kind, size, cookie = struct.unpack_from(">HHI", answer)
    assert (kind, size + 20, cookie) == (0x0101, len(answer), 0x2112A442)
    assert answer[8:20] == transaction
    address, port = xor_mapped_address(answer)
    assert address == nat.public
    assert 20000 <= port <= 39999, "a port of the NAT"


def xor_mapped_address(answer: bytes) -> tuple[str, int]:
    """The XOR-MAPPED-ADDRESS of a STUN response over IPv4 (RFC 5389 15.2)."""
    position = 20
    while position < len(answer):
        kind, size = struct.unpack_from(">HH", answer, position)
        if kind == 0x0020:
            _, family, port, address = struct.unpack_from(">BBHI", answer, position + 4)
            assert family == 1
            return str(IPv4Address(address ^ 0x2112A442)), port ^ 0x2112
        position += 4 + (size + 3) // 4 * 4
    raise AssertionError(f"no XOR-MAPPED-ADDRESS in {answer.hex()}")
