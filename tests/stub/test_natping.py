"""nathelper's pings, path, and the event of an expired binding, as Kamailio 5.6.3 does them."""

from __future__ import annotations

from types import SimpleNamespace

import KSR
import pytest
from ksr_stub import message, server
from ksr_stub.harness import Ksr
from ksr_stub.message import Address, SipMessage
from ksr_stub.world import Sent

PING_FROM = "sip:keepalive@kamailio.invalid"


def register(ksr: Ksr, headers: str = "") -> SipMessage:
    """A REGISTER of a phone behind NAT that is being routed."""
    data = (
        "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.0.103;branch=z9hG4bK1\r\n"
        "From: <sip:1111@example.test>;tag=1\r\nTo: <sip:1111@example.test>\r\nCall-ID: 1\r\n"
        f"CSeq: 1 REGISTER\r\nContact: <sip:a@192.168.0.103>\r\n{headers}Content-Length: 0\r\n\r\n"
    )
    source = Address("198.51.100.7", 40123)
    ksr.world.message = message.parse(data.encode(), source, ksr.world.sockets[0])
    return ksr.world.message


@pytest.fixture
def pinged(ksr: Ksr) -> Ksr:
    """A server that pings a phone behind NAT every two seconds."""
    ksr.param("usrloc", "preload", "location")
    ksr.param("usrloc", "nat_bflag", 6)
    ksr.param("usrloc", "timer_interval", 1)
    ksr.param("nathelper", "natping_interval", 2)
    ksr.param("nathelper", "ping_nated_only", 1)
    ksr.param("nathelper", "sipping_bflag", 7)
    ksr.param("nathelper", "sipping_from", PING_FROM)
    ksr.param("nathelper", "keepalive_timeout", 5)
    for module in ("nathelper", "registrar"):
        ksr.param(module, "received_avp", "$avp(received)")
    register(ksr)
    KSR.nathelper.fix_nated_register()
    KSR.setbflag(6)
    KSR.setbflag(7)
    KSR.registrar.save("location", 2)
    return ksr


def pings(ksr: Ksr) -> list[Sent]:
    """The pings that were sent."""
    return [one for one in ksr.world.sent if one.data.startswith(b"OPTIONS ")]


def test_a_ping_goes_to_the_received_address_of_the_binding(pinged: Ksr) -> None:
    """Its From tag says which binding it is about."""
    pinged.world.clock.advance(2)
    (ping,) = pings(pinged)
    assert ping.to == Address("198.51.100.7", 40123)
    assert ping.data.startswith(b"OPTIONS sip:a@192.168.0.103 SIP/2.0\r\n")
    (binding,) = pinged.location.all()
    assert f"From: {PING_FROM};tag={binding.ruid}-".encode() in ping.data


def test_a_phone_that_does_not_answer_is_forgotten(pinged: Ksr) -> None:
    """After keepalive_timeout the pings stop, and the binding expires 10 seconds later."""
    pinged.world.clock.advance(15)
    assert len(pings(pinged)) == 2
    assert len(pinged.location.all()) == 1
    pinged.world.clock.advance(2)
    assert pinged.location.all() == []


def test_a_phone_that_answers_stays(pinged: Ksr) -> None:
    """Any reply to the ping counts."""
    for _ in range(20):
        pinged.world.clock.advance(1)
        for ping in pings(pinged):
            pinged.world.sent.remove(ping)
            answer = b"SIP/2.0 404 Not Found" + ping.data[ping.data.index(b"\r\n") :]
            server.receive(pinged.world, answer, ping.to)
    assert len(pinged.location.all()) == 1


def test_without_the_sip_flag_four_zeros_keep_the_hole_open(pinged: Ksr) -> None:
    """They ask for no answer."""
    (binding,) = pinged.location.all()
    binding.cflags = 1 << 6
    pinged.world.clock.advance(2)
    assert pinged.world.sent[-1].data == b"\0\0\0\0"


def test_the_event_of_an_expired_binding_calls_the_route(pinged: Ksr) -> None:
    """`$ulc(exp=>...)` is the binding; the message is a faked OPTIONS."""
    seen: list[tuple[object, ...]] = []

    def on_expired(_message: object, event: str) -> int:
        seen.append((event, KSR.pv.get("$ulc(exp=>aor)"), KSR.pv.get("$ulc(exp=>addr)")))
        return 1

    pinged.param("registrar", "event_callback", "on_expired")
    pinged.world.script = SimpleNamespace(on_expired=on_expired)
    pinged.world.clock.advance(18)
    assert seen == [("usrloc:contact-expired", "1111", "sip:a@192.168.0.103")]


@pytest.mark.parametrize("headers", ["", "Path: <sip:edge@192.0.2.9;lr>\r\n"])
def test_our_path_comes_before_the_others(ksr: Ksr, headers: str) -> None:
    """With the source address, if asked (RFC 3327)."""
    request = register(ksr, headers)
    assert KSR.path.add_path_received() == 1
    lines = [line for line in request.applied().split("\r\n") if line.startswith("Path:")]
    ours = f"Path: <sip:{ksr.world.sockets[0].host};lr;received=sip:198.51.100.7:40123>"
    assert lines == [ours, *headers.split("\r\n")[:-1]]
