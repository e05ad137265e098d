"""Our own routes on the stub: two phones behind two NATs, and what goes wrong around them."""

from __future__ import annotations

import pytest
from ksr_stub.builders import invite, options, register
from ksr_stub.harness import Ksr

from kemi_routes import media

from .own_routes import alice, bob, registered, ring, start


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr)


def test_a_call_between_two_nats(server: Ksr) -> None:
    """Both phones have the same private Contact; each gets only what is for it."""
    caller, callee = alice(server), bob(server)
    assert caller.register().status == 200
    assert callee.register().status == 200

    call = caller.call("2222")
    assert call.status in (0, 100)
    ringing = callee.incoming()
    assert ";alias=203.0.113.5~40123~1" in ringing.invite["Contact"]
    ringing.ring()
    assert call.status == 180
    ringing.answer()
    assert call.status == 200
    assert ";alias=198.51.100.9~50999~1" in call.final["Contact"]
    assert ringing.acknowledged

    assert call.hang_up().status == 200
    assert ringing.ended
    assert {one.method for one in caller.inbox if one.is_request} == set()


def test_the_callee_can_hang_up(server: Ksr) -> None:
    """A BYE from the callee reaches the caller behind its NAT."""
    call, ringing = ring(server)
    ringing.answer()
    assert ringing.hang_up().status == 200
    assert call.ended


def test_a_registration_is_stored_with_its_alias(server: Ksr) -> None:
    """The 200 names the binding with the address that the NAT gave the phone."""
    reply = alice(server).register()
    assert ";alias=203.0.113.5~40123~1" in reply["Contact"]
    assert "expires=3600" in reply["Contact"]


def test_the_steps_of_a_request(server: Ksr) -> None:
    """The steps of engine.py run in their order until one is done."""
    result = server.receive(register("1111"))
    modules = ("engine", "bans", "guard", "nat", "dialog", "auth", "registrar")
    ran = [step for step in result.steps if step.partition(".")[0] in modules and "._" not in step]
    assert ran == [
        "engine.ksr_request_route", "bans.limit_rate",
        "guard.screen_register", "auth.challenge_newcomer", "guard.is_scanner",
    ]  # fmt: skip
    assert result.reply.status == 401


def test_a_wrong_password(server: Ksr) -> None:
    """A wrong password is challenged again, and nothing is stored."""
    reply = alice(server, "wrong").register()
    assert reply.status == 401
    bob(server).register()
    assert ksr_answers(server, "sip:1111@example.test") == 480


def test_somebody_elses_name(server: Ksr) -> None:
    """Credentials of one user in a REGISTER of another are refused with 403."""
    phone = alice(server)
    phone.user = "2222"
    phone.password = "second secret"
    phone.aor = "sip:1111@example.test"
    data_user = phone.register(headers={"From": "<sip:1111@example.test>;tag=x"})
    assert data_user.status == 403


def test_the_database_is_down(server: Ksr) -> None:
    """503 with Retry-After while the database does not answer; afterwards all is as before."""
    phone = alice(server)
    server.lose_database()
    reply = phone.register()
    assert reply.status == 503
    assert reply["Retry-After"] == "10"
    server.lose_database(lost=False)
    assert phone.register().status == 200


def ksr_answers(server: Ksr, uri: str) -> int:
    """The status that a stranger's INVITE gets."""
    return server.receive(invite(uri, sender="sip:stranger@other.test")).reply.status


def test_nobody_is_called(server: Ksr) -> None:
    """480 for a subscriber who is away, 404 for nobody, 484 without a user, 403 elsewhere."""
    assert ksr_answers(server, "sip:2222@example.test") == 480
    assert ksr_answers(server, "sip:9999@example.test") == 404
    assert ksr_answers(server, "sip:example.test") == 484
    assert ksr_answers(server, "sip:2222@elsewhere.test") == 403


def test_a_caller_gives_up(server: Ksr) -> None:
    """CANCEL ends the ringing: 200 to it, 487 to the INVITE."""
    call, ringing = ring(server)
    ringing.ring()
    call.cancel()
    assert ringing.cancelled
    assert call.status == 487


def test_a_busy_phone(server: Ksr) -> None:
    """486 goes back to the caller, whose ACK goes no further than us."""
    caller, callee = registered(server)
    call = caller.call("2222")
    callee.incoming().refuse(486)
    assert call.status == 486


def test_a_phone_that_does_not_answer(server: Ksr) -> None:
    """After FR_INV_TIMER the caller gets 408, and the callee a CANCEL."""
    call, ringing = ring(server)
    ringing.ring()
    server.clock.advance(121)
    assert call.status == 408
    assert ringing.cancelled


def test_a_binding_expires(server: Ksr) -> None:
    """An expired binding is not called."""
    caller, callee = alice(server), bob(server)
    caller.register()
    callee.register(expires=60)
    server.clock.advance(200)
    assert caller.call("2222").status == 480


def test_pings_and_scanners(server: Ksr) -> None:
    """An OPTIONS to us is answered with 200; a scanner gets nothing."""
    assert server.receive(options("sip:example.test")).reply.status == 200
    scan = options("sip:example.test", headers={"User-Agent": "friendly-scanner"})
    assert server.receive(scan).sent == []


def test_media_are_relayed(ksr: Ksr) -> None:
    """With RTPENGINE both phones get the relay's address, and BYE ends its session."""
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223")
    call, ringing = ring(server)
    assert "c=IN IP4 198.51.100.200" in ringing.invite.body
    ringing.answer()
    assert "c=IN IP4 198.51.100.200" in call.final.body
    assert len(server.rtpengine.sessions) == 1
    call.hang_up()
    assert server.rtpengine.sessions == set()


def test_the_relay_is_told_both_networks_of_a_call(ksr: Ksr) -> None:
    """With RTP_INTERFACE, in the offer that begins it; one that is unknown names none."""
    ksr.listen("udp:203.0.113.10:5060", "udp:10.10.0.10:5060")
    networks = "public/203.0.113.10;private/10.10.0.10"
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223", RTP_INTERFACE=networks)
    ring(server)[1].answer()
    offer, answer = server.rtpengine.commands
    assert offer.flag_list[-2:] == ["direction=public", "direction=public"]
    assert "direction=" not in answer.flags
    names = {"203.0.113.10": "public", "2001:db8::1": "private"}
    assert media.direction(names, "203.0.113.10", "[2001:db8::1]") == (
        " direction=public direction=private"
    )
    assert media.direction(names, "203.0.113.10", "") == ""


def test_the_relay_is_told_both_networks_where_the_callee_makes_the_offer(ksr: Ksr) -> None:
    """The INVITE has no SDP: what answers it does (RFC 3261 13.2.1)."""
    ksr.listen("udp:203.0.113.10:5060", "udp:10.10.0.10:5060")
    networks = "public/203.0.113.10;private/10.10.0.10"
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223", RTP_INTERFACE=networks)
    ring(server, sdp="")[1].answer()
    offer = server.rtpengine.commands[0]
    assert offer.flag_list[-2:] == ["direction=public", "direction=public"]


def test_a_dead_relay_does_not_stop_a_call(ksr: Ksr) -> None:
    """Without an answer of rtpengine the SDP goes on as it is, and it is logged."""
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223")
    server.rtpengine.alive = False
    caller, callee = registered(server)
    caller.call("2222")
    assert "c=IN IP4 192.168.0.103" in callee.incoming().invite.body
    assert any("rtpengine did not answer" in line for line in server.log)


def test_a_websocket_is_accepted(ksr: Ksr) -> None:
    """The handshake of a SIP WebSocket gets 101, any other HTTP request 404."""
    ksr.listen("tcp:203.0.113.10:5060", "udp:203.0.113.10:5060")
    server = start(ksr)
    lines = [
        "GET /ws HTTP/1.1", "Host: example.test", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: sip",
        "Sec-WebSocket-Version: 13", "", "",
    ]  # fmt: skip
    handshake = "\r\n".join(lines).encode()
    assert server.receive(handshake, proto="tcp", connection=1).reply.status == 101
    other = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
    result = server.receive(other, proto="tcp", connection=2)
    assert (result.reply.status, result.reply.body) == (404, "Not Found\n")
    assert result.steps[0] == "engine.ksr_xhttp_event"
