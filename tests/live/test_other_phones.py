"""Phones that are not ours register and call through the server: baresip and SIPp."""

from __future__ import annotations

import pytest

from .homes import PRIVATE
from .media import RtpStream, media_address
from .network import SERVER, Namespace, Network
from .rtpengine import RtpEngine
from .server import Server
from .sipp import Sipp
from .softphone import Softphone

PASSWORD = "horse-staple"


@pytest.fixture
def relay_server(network: Network) -> Server:
    """The server with rtpengine beside it."""
    host = network.server_host()
    RtpEngine(host)
    return Server(host, settings={"RTPENGINE": "udp:127.0.0.1:2223"})


def behind_nat(network: Network, name: str) -> Namespace:
    return network.host_behind(network.nat(name), PRIVATE)


def baresip(server: Server, host: Namespace, user: str, transport: str = "udp") -> Softphone:
    """A registered baresip."""
    server.add_subscriber(f"{user}@{server.domain}", PASSWORD)
    address = server.address(transport)
    phone = Softphone(host, user, server.domain, PASSWORD, address, transport)
    phone.wait_for("REGISTER_OK")
    return phone


@pytest.mark.needs("baresip", "rtpengine")
def test_baresip_behind_nat_answers_a_call_and_is_heard(
    network: Network, relay_server: Server
) -> None:
    bob = baresip(relay_server, behind_nat(network, "office"), "2222")
    assert relay_server.bindings("2222")[0].endswith("~1"), "its Contact must have the alias"
    alice = relay_server.phone(behind_nat(network, "home"), "1111")
    alice.register()
    stream = RtpStream(alice.host)
    call = alice.invite("2222", stream.sdp())
    bob.wait_for("CALL_INCOMING")
    bob.command("accept")
    stream.remote = media_address(call.wait_for(200).body)
    call.ack()
    bob.wait_for("CALL_ESTABLISHED")
    assert stream.remote[0] == SERVER
    assert stream.listen(packets=50) >= 50
    bob.command("hangup")
    alice.expect_request("BYE").reply(200)


@pytest.mark.needs("baresip")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_behind_nat_calls_a_phone_behind_another(
    network: Network, nat_server: Server, transport: str
) -> None:
    bob = nat_server.phone(behind_nat(network, "office"), "2222", transport)
    bob.register()
    alice = baresip(nat_server, behind_nat(network, "home"), "1111", transport)
    alice.command("dial", f"sip:2222@{nat_server.domain}")
    invite = bob.expect_request("INVITE")
    invite.reply(180)
    alice.wait_for("CALL_RINGING")
    invite.reply(200, sdp=RtpStream(bob.host).sdp())
    bob.expect_request("ACK")
    alice.wait_for("CALL_ESTABLISHED")
    invite.call.bye().wait_for(200)
    alice.wait_for("CALL_CLOSED")


@pytest.mark.needs("sipp")
def test_sipp_behind_two_nats_registers_and_calls(network: Network) -> None:
    """Without pings: SIPp takes one for a call, and answers one call less."""
    nat_server = Server(
        network.server_host(), settings={"PING_INTERVAL": "600", "PING_TIMEOUT": "0"}
    )
    home, office = behind_nat(network, "home"), behind_nat(network, "office")
    for user, host in (("1111", home), ("2222", office)):
        nat_server.add_subscriber(f"{user}@{nat_server.domain}", PASSWORD)
        Sipp(host, "register", user, PASSWORD).wait()
    called = Sipp(office, "uas", "2222", calls=5)
    Sipp(home, "uac", "1111", PASSWORD, target="2222", calls=5).wait()
    called.wait()


@pytest.mark.needs("sipp")
def test_a_failing_sipp_scenario_fails_the_test(network: Network, nat_server: Server) -> None:
    host = network.public_host("203.0.113.50")
    nat_server.add_subscriber(f"1111@{nat_server.domain}", PASSWORD)
    with pytest.raises(AssertionError, match=r"(?s)SIPp failed.*401"):
        Sipp(host, "register", "1111", "wrong").wait()
