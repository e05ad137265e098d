"""The test network and the phones do what the live tests rely on."""

from __future__ import annotations

import pytest

from .capture import Capture
from .link import RawSocket
from .media import RtpStream, media_address, sdp
from .message import Message, wire
from .network import NAMESPACES, SERVER, SERVER6, Namespace, Nat, Network
from .phone import Phone
from .process import Process
from .requirement import require
from .rtpengine import RtpEngine

PRIVATE = ("192.168.0.103", 5060)


def seen_from(phone: RawSocket, server: RawSocket) -> tuple[str, int]:
    """The address that the server sees when the phone sends."""
    phone.send(b"knock")
    return server.receive_bytes()[1]


def phone_behind(network: Network, nat: Nat) -> RawSocket:
    return RawSocket(network.host_behind(nat, PRIVATE[0]), PRIVATE)


@pytest.fixture
def server_socket(network: Network) -> RawSocket:
    return RawSocket(network.server_host(), (SERVER, 5060))


def test_phones_behind_two_nats_share_a_private_address_and_have_two_public_ones(
    network: Network, server_socket: RawSocket
) -> None:
    routers = [network.nat("home"), network.nat("office")]
    phones = [phone_behind(network, nat) for nat in routers]
    sources = [seen_from(phone, server_socket) for phone in phones]
    assert phones[0].local == phones[1].local == PRIVATE
    assert [address for address, _ in sources] == [nat.public for nat in routers]
    assert 5060 not in [port for _, port in sources]
    assert sources == [seen_from(phone, server_socket) for phone in phones], "mappings must last"


def test_the_server_reaches_a_phone_through_the_hole_that_the_phone_made(
    network: Network, server_socket: RawSocket
) -> None:
    phone = phone_behind(network, network.nat("home"))
    server_socket.send(b"hello", seen_from(phone, server_socket))
    assert phone.receive_bytes() == (b"hello", (SERVER, 5060))


def test_a_rebind_changes_the_public_port_and_closes_the_old_one(
    network: Network, server_socket: RawSocket
) -> None:
    nat = network.nat("home")
    phone = phone_behind(network, nat)
    ports = [seen_from(phone, server_socket)]
    for _ in range(2):
        nat.rebind()
        ports.append(seen_from(phone, server_socket))
    assert len(set(ports)) == 3
    for port in ports:
        server_socket.send(b"to %d" % port[1], port)
    assert phone.receive_bytes()[0] == b"to %d" % ports[-1][1], "only the last hole is open"


def test_phones_behind_two_nats_cannot_reach_each_other(
    network: Network, server_socket: RawSocket
) -> None:
    victim, stranger = (phone_behind(network, network.nat(name)) for name in ("home", "office"))
    hole = seen_from(victim, server_socket)
    stranger.send(b"from a stranger", hole)
    seen_from(stranger, server_socket)
    server_socket.send(b"from the server", hole)
    assert victim.receive_bytes()[0] == b"from the server"
    with pytest.raises(TimeoutError):
        victim.receive_bytes(timeout=0.1)


def test_a_udp_hole_closes_after_the_time_that_the_test_sets(
    network: Network, server_socket: RawSocket
) -> None:
    nat = network.nat("home")
    nat.set_udp_timeout(1)
    phone = phone_behind(network, nat)
    hole = seen_from(phone, server_socket)
    with pytest.raises(TimeoutError):
        phone.receive_bytes(timeout=1.5)
    server_socket.send(b"too late", hole)
    assert seen_from(phone, server_socket) != hole
    with pytest.raises(TimeoutError):
        phone.receive_bytes(timeout=0.1)


def test_a_server_behind_nat_is_reached_and_seen_at_its_public_address(network: Network) -> None:
    server = RawSocket(network.server_behind_nat(), ("10.0.0.10", 5060))
    phone = phone_behind(network, network.nat("home"))
    hole = seen_from(phone, server)
    server.send(b"hello", hole)
    assert phone.receive_bytes() == (b"hello", (SERVER, 5060))


def test_a_server_with_two_interfaces_is_the_only_way_into_the_private_network(
    network: Network,
) -> None:
    server = network.server_with_two_interfaces()
    inner = RawSocket(server, ("10.10.0.10", 5060))
    phone = RawSocket(network.private_host("10.10.0.20"), ("10.10.0.20", 5060), inner.local)
    assert seen_from(phone, inner) == phone.local
    with pytest.raises(OSError, match="unreachable"):
        phone.send(b"out", ("203.0.113.50", 5060))


def test_public_hosts_talk_ipv6_at_once(network: Network) -> None:
    server = RawSocket(network.server_host(), (SERVER6, 5060))
    host = network.public_host("203.0.113.50", "2001:db8:113::50")
    phone = RawSocket(host, ("2001:db8:113::50", 5060), (SERVER6, 5060))
    assert seen_from(phone, server) == phone.local


def test_nothing_is_left_when_a_test_fails() -> None:
    network, processes = Network(), list[Process]()
    with pytest.raises(ZeroDivisionError), network:
        _fail_with_a_process(network, processes)
    assert not processes[0].running
    assert not list(NAMESPACES.glob(f"{network.prefix}-*"))


def _fail_with_a_process(network: Network, processes: list[Process]) -> None:
    host = network.public_host("203.0.113.50")
    processes.append(Process(host, "sh", "-c", "echo ready; exec tail -f /dev/null"))
    processes[0].wait_for("ready")
    raise ZeroDivisionError


def test_a_program_that_dies_shows_its_output_in_the_failure(loopback: Namespace) -> None:
    process = Process(loopback, "sh", "-c", "echo the reason; exit 3")
    with pytest.raises(AssertionError, match=r"(?s)sh ended with 3.*the reason"):
        process.wait_for("ready")


def test_two_phones_call_each_other_without_a_server(network: Network) -> None:
    one, two = (network.public_host(f"203.0.113.{n}") for n in (50, 51))
    bob = Phone(two, "bob", "203.0.113.51", None)
    alice = Phone(one, "alice", "203.0.113.50", None, server=bob.local)
    call = alice.invite("sip:bob@203.0.113.51", sdp(("203.0.113.50", 4000)))
    incoming = bob.expect_request("INVITE")
    incoming.reply(180)
    call.wait_for(180)
    incoming.reply(200, sdp=sdp(("203.0.113.51", 4002)))
    assert media_address(call.wait_for(200).body) == ("203.0.113.51", 4002)
    call.ack()
    bob.expect_request("ACK")
    again = incoming.call.reinvite(sdp(("203.0.113.51", 4004)))
    alice.expect_request("INVITE").reply(200, sdp=sdp(("203.0.113.50", 4000)))
    again.wait_for(200)
    incoming.call.ack()
    alice.expect_request("ACK")
    bye = call.bye()
    bob.expect_request("BYE").reply(200)
    assert bye.wait_for(200)["CSeq"] == "2 BYE"


def test_a_wait_ends_at_once_when_another_final_response_comes(network: Network) -> None:
    one, two = (network.public_host(f"203.0.113.{n}") for n in (50, 51))
    bob = Phone(two, "bob", "203.0.113.51", None)
    alice = Phone(one, "alice", "203.0.113.50", None, server=bob.local)
    call = alice.invite("sip:bob@203.0.113.51")
    bob.expect_request("INVITE").reply(486)
    with pytest.raises(AssertionError, match=r"expected 200 to INVITE, got:\s+SIP/2.0 486"):
        call.wait_for(200)
    assert bob.expect_request("ACK").message.branch == call.invite.request.branch


def test_a_phone_answers_pings_and_retransmissions_by_itself(network: Network) -> None:
    phone = Phone(network.public_host("203.0.113.50"), "bob", "example.test", None)
    server = RawSocket(network.server_host(), (SERVER, 5060), server=phone.local)
    server.send(request("OPTIONS"))
    assert server.receive().status == 200
    assert phone.wait_for_pings(1)[0].uri == "sip:bob@203.0.113.50"
    server.send(request("MESSAGE"))
    phone.expect_request("MESSAGE").reply(202)
    server.send(request("MESSAGE"))
    assert [server.receive().status, server.receive().status] == [202, 202]
    assert not phone.has_request("MESSAGE")


def request(method: str) -> bytes:
    return wire(f"""
        {method} sip:bob@203.0.113.50 SIP/2.0
        v: SIP/2.0/UDP {SERVER}:5060;branch=z9hG4bK{method}
        f: <sip:pinger@{SERVER}>;tag=1
        t: <sip:bob@203.0.113.50>
        i: 1@{SERVER}
        CSeq: 1 {method}
        l: 0
        """)


def test_rtp_is_counted_in_both_directions(network: Network) -> None:
    one, two = (RtpStream(network.public_host(f"203.0.113.{n}")) for n in (50, 51))
    one.remote, two.remote = media_address(two.sdp()), media_address(one.sdp())
    got = RtpStream.exchange(one, two, packets=20)
    assert min(got) >= 20


def test_message_headers_split_at_the_commas_between_values() -> None:
    message = Message.parse(
        wire("""
            SIP/2.0 200 OK
            m: "Doe, J" <sip:a@b;x=1,2>;expires=5, <sip:c@d>
            """)
    )
    assert message.all("Contact") == ['"Doe, J" <sip:a@b;x=1,2>;expires=5', "<sip:c@d>"]
    assert message.contact_uri == "sip:a@b;x=1,2"


@pytest.mark.needs("tshark")
def test_a_capture_shows_what_is_on_the_wire(network: Network) -> None:
    host = network.server_host()
    server = RawSocket(host, (SERVER, 5060))
    capture = Capture(host, "udp port 5060")
    phone = RawSocket(network.public_host("203.0.113.50"), ("203.0.113.50", 5060))
    phone.send(request("OPTIONS"))
    server.receive()
    capture.wait_for(r"203.0.113.50 5060 203.0.113.10 5060 SIP .*OPTIONS sip:bob@203.0.113.50")


@pytest.mark.needs("rtpengine")
def test_rtpengine_answers_on_the_servers_host(network: Network) -> None:
    relay = RtpEngine(network.server_host())
    assert relay.process.running
    relay.stop()
    assert not relay.process.running


def test_a_missing_program_skips_the_test_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEMI_REQUIRE_LIVE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no telephone-exchange"):
        require("ip", "telephone-exchange")


def test_a_missing_program_is_a_failure_where_live_tests_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEMI_REQUIRE_LIVE", "1")
    with pytest.raises(pytest.fail.Exception, match="no telephone-exchange"):
        require("ip", "telephone-exchange")
