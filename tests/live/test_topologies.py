"""Calls over every transport and address family, and with the server behind NAT or between nets."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .conversation import PATIENCE, answer, connect, exchange, hang_up, reinvite, ring
from .homes import PRIVATE, Homes, alias, public_address, registered, two_homes
from .message import Message, host_port, uri_address
from .network import SERVER, SERVER6, Namespace, Network
from .patience import eventually
from .phone import Phone
from .server import Server

TRANSPORTS = ("udp", "tcp", "tls")
BEHIND_NAT = "10.0.0.10"
INSIDE = "10.10.0.10"
PEER = "203.0.113.60"
INNER_PHONE = "10.10.0.20"
ALICE6, BOB6 = "2001:db8:113::50", "2001:db8:113::51"


# Transports


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
@pytest.mark.parametrize("callee_transport", TRANSPORTS)
@pytest.mark.parametrize("caller_transport", TRANSPORTS)
def test_a_call_goes_from_any_transport_to_any_other(
    homes: Homes, caller_transport: str, callee_transport: str, first_to_leave: str
) -> None:
    """A phone behind NAT can be reached over the connection that it opened and no other way."""
    with (
        homes.phone("home", "1111", caller_transport) as alice,
        homes.phone("office", "2222", callee_transport) as bob,
    ):
        call, incoming = ring(alice, bob)
        assert alias(incoming.message) == public_address(alice)
        ends = answer(call, incoming)
        for asking, asked in (ends, ends[::-1]):
            reinvite(asking, asked)
        hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))


def test_both_sides_of_the_server_are_recorded_when_the_transport_changes(homes: Homes) -> None:
    with homes.phone("home", "1111", "tls") as alice, homes.phone("office", "2222") as bob:
        _, incoming = ring(alice, bob)
        towards_bob, towards_alice = incoming.message.all("Record-Route")
        assert uri_address(towards_bob.strip("<>")) == (SERVER, 5060)
        assert "transport=" not in towards_bob
        assert uri_address(towards_alice.strip("<>")) == (SERVER, 5061)
        assert "transport=tls" in towards_alice


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_phone_whose_connection_is_gone_is_offline(homes: Homes, transport: str) -> None:
    with homes.phone("home", "1111") as alice, homes.phone("office", "2222", transport) as bob:
        bob.close()
        eventually(lambda: alice.invite(bob.aor).invite.final(PATIENCE).status == 480, "answer 480")


def test_after_a_restart_a_phone_whose_connection_ended_with_it_is_offline() -> None:
    """Its binding is kept, and nothing but its own connection leads to it."""
    with (
        two_homes() as homes,
        homes.phone("home", "1111") as alice,
        homes.phone("office", "2222", "tcp") as bob,
    ):
        homes.server.restart()
        assert homes.server.bindings(bob.user)
        call = alice.invite(bob.aor)
        call.wait_for(480, PATIENCE)
        alice.request("OPTIONS", f"sip:{SERVER}").wait_for(200, PATIENCE)
        answers = [message for message in received(alice) if message["Call-ID"] == call.call_id]
        assert [message.status for message in answers] == [407, 100, 480]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_bye_to_a_phone_whose_connection_is_gone_is_answered_at_once(
    homes: Homes, transport: str
) -> None:
    """A new connection to it would not pass its NAT: waiting for one holds up the other phone."""
    with homes.phone("home", "1111") as alice, homes.phone("office", "2222", transport) as bob:
        call, _ = connect(alice, bob)
        bob.close()
        eventually(lambda: not homes.server.bindings("2222"), "end of the binding")
        call.bye().wait_for(477, 5)


# Address families


@pytest.fixture(scope="module")
def dual_server() -> Iterator[Homes]:
    """The server with IPv4 and IPv6."""
    with Network() as network:
        sockets = [(kind, host) for kind in ("udp", "tcp") for host in (SERVER, SERVER6)]
        listen = " ".join(f"{kind}:{host_port((host, 5060))}" for kind, host in sockets)
        yield Homes(network, Server(network.server_host(), listen))


@pytest.fixture
def alice6(dual_server: Homes) -> Iterator[Phone]:
    host = dual_server.public_host("203.0.113.50", ALICE6)
    phone = dual_server.server.phone(host, "1111", local=(ALICE6, 5060))
    with registered(dual_server.server, phone):
        yield phone


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_phones_call_each_other_over_ipv6(
    dual_server: Homes, alice6: Phone, transport: str, first_to_leave: str
) -> None:
    host = dual_server.public_host("203.0.113.51", BOB6)
    bob = dual_server.server.phone(host, "2222", transport, local=(BOB6, 5060))
    with registered(dual_server.server, bob):
        ends = connect(alice6, bob)
        for asking, asked in (ends, ends[::-1]):
            reinvite(asking, asked)
        hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
@pytest.mark.parametrize("caller", ["IPv6", "IPv4"])
def test_a_phone_with_ipv6_and_one_behind_an_ipv4_nat_call_each_other(
    dual_server: Homes, alice6: Phone, caller: str, first_to_leave: str
) -> None:
    with dual_server.phone("office", "2222") as bob:
        first, second = (alice6, bob) if caller == "IPv6" else (bob, alice6)
        call, incoming = ring(first, second)
        sides = [uri_address(r.strip("<>"))[0] for r in incoming.message.all("Record-Route")]
        assert sides == [second.server[0], first.server[0]]
        ends = answer(call, incoming)
        for asking, asked in (ends, ends[::-1]):
            reinvite(asking, asked)
        hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))


# The server behind its own NAT


@pytest.fixture(scope="module")
def hidden_server() -> Iterator[Homes]:
    """The server on 10.0.0.10, with forwarded ports of 203.0.113.10."""
    with Network() as network:
        settings = {"ADVERTISE": SERVER, "PING_INTERVAL": "1"}
        yield Homes(network, Server(network.server_behind_nat(BEHIND_NAT), settings=settings))


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
@pytest.mark.parametrize("callee_transport", TRANSPORTS)
def test_phones_call_each_other_through_a_server_that_is_behind_nat(
    hidden_server: Homes, callee_transport: str, first_to_leave: str
) -> None:
    with (
        hidden_server.phone("home", "1111") as alice,
        hidden_server.phone("office", "2222", callee_transport) as bob,
    ):
        ends = connect(alice, bob)
        for asking, asked in (ends, ends[::-1]):
            reinvite(asking, asked)
        hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))
        for phone in (alice, bob):
            assert [
                routing(message) for message in received(phone) if BEHIND_NAT in routing(message)
            ] == []


def test_a_server_behind_nat_names_its_public_address_in_via_and_record_route(
    hidden_server: Homes,
) -> None:
    with hidden_server.phone("home", "1111") as alice, hidden_server.phone("office", "2222") as bob:
        _, incoming = ring(alice, bob)
        assert sent_by(incoming.message) == SERVER
        (recorded,) = incoming.message.all("Record-Route")
        assert uri_address(recorded.strip("<>"))[0] == SERVER
        ping = bob.wait_for_pings(1)[0]
        assert sent_by(ping) == SERVER


def test_a_server_behind_nat_may_be_known_by_a_name() -> None:
    """ "localhost" is the one name that a host of the test network can look up."""
    with Network() as network:
        host = network.server_behind_nat(BEHIND_NAT)
        server = Server(host, settings={"ADVERTISE": "localhost"})
        homes = Homes(network, server)
        alice, bob = (
            server.phone(homes.host(home), user, server=(SERVER, 5060))
            for home, user in (("home", "1111"), ("office", "2222"))
        )
        with registered(server, alice), registered(server, bob):
            call, incoming = ring(alice, bob)
            assert sent_by(incoming.message) == "localhost"
            ends = answer(call, incoming)
            for asking, asked in (ends, ends[::-1]):
                reinvite(asking, asked)
            hang_up(*ends)


def test_a_phone_elsewhere_may_have_the_private_address_of_the_server() -> None:
    with Network() as network:
        server = Server(network.server_behind_nat(PRIVATE), settings={"ADVERTISE": SERVER})
        homes = Homes(network, server)
        with homes.phone("home", "1111") as alice, homes.phone("office", "2222") as bob:
            ends = connect(alice, bob)
            for asking, asked in (ends, ends[::-1]):
                reinvite(asking, asked)
            hang_up(*ends)


# The server between a private network and the internet


@pytest.fixture(scope="module")
def border() -> Iterator[Homes]:
    """The server with a public and a private interface."""
    with Network() as network:
        host = network.server_with_two_interfaces(INSIDE)
        yield Homes(network, Server(host, f"udp:{SERVER}:5060 udp:{INSIDE}:5060"))


@pytest.fixture(scope="module")
def inner_host(border: Homes) -> Namespace:
    return border.network.private_host(INNER_PHONE)


@pytest.fixture
def insider(border: Homes, inner_host: Namespace) -> Iterator[Phone]:
    """A phone in the private network, which knows the server by its private address."""
    phone = border.server.phone(inner_host, "1111", server=(INSIDE, 5060))
    with registered(border.server, phone):
        yield phone


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
@pytest.mark.parametrize("direction", ["out", "in"])
def test_a_phone_in_the_private_network_and_one_on_the_internet_call_each_other(
    border: Homes, insider: Phone, direction: str, first_to_leave: str
) -> None:
    with border.phone("home", "2222") as outsider:
        caller, callee = (insider, outsider) if direction == "out" else (outsider, insider)
        ends = connect(caller, callee)
        for asking, asked in (ends, ends[::-1]):
            reinvite(asking, asked)
            exchange(asking, asked, "INFO")
        hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))
        for phone in (insider, outsider):
            requests = [message for message in received(phone) if message.is_request]
            assert {sent_by(request) for request in requests} == {phone.server[0]}
            assert {request.source for request in requests} == {phone.server}


@pytest.mark.parametrize("direction", ["out", "in"])
def test_each_side_of_the_server_is_recorded_for_the_phone_that_can_reach_it(
    border: Homes, insider: Phone, direction: str
) -> None:
    with border.phone("home", "2222") as outsider:
        caller, callee = (insider, outsider) if direction == "out" else (outsider, insider)
        _, incoming = ring(caller, callee)
        sides = [uri_address(r.strip("<>"))[0] for r in incoming.message.all("Record-Route")]
        assert sides == [callee.server[0], caller.server[0]]


@pytest.mark.parametrize("first_to_leave", ["caller", "callee"])
def test_a_phone_in_the_private_network_calls_somebody_who_is_not_registered_here(
    border: Homes, insider: Phone, first_to_leave: str
) -> None:
    """No binding says which of our sockets leads there: the kernel's routes do."""
    carol = Phone(border.public_host(PEER), "carol", PEER, None)
    call, incoming = ring(insider, carol)
    assert (incoming.message.source, sent_by(incoming.message)) == ((SERVER, 5060), SERVER)
    ends = answer(call, incoming)
    hang_up(*(ends if first_to_leave == "caller" else ends[::-1]))
    carol.close()


def received(phone: Phone) -> list[Message]:
    """All that came to a phone."""
    return [message for direction, message in phone.log if direction == "<"]


def routing(message: Message) -> str:
    """What a message says of addresses. Its Call-ID is only a name: nathelper puts the address of
    the server's own socket into that of a ping."""
    return "\n".join(value for name, value in message.fields if name != "Call-ID")


def sent_by(request: Message) -> str:
    """The host in the topmost Via."""
    found = re.match(r"SIP/2.0/\w+ (\[[^]]+\]|[^:;]+)", request["Via"])
    assert found, request["Via"]
    return found[1]
