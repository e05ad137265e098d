"""Our own routes on the stub: what is refused, repaired or survived."""

from __future__ import annotations

import pytest
from ksr_stub.builders import (
    ack,
    bye,
    cancel,
    invite,
    message,
    options,
    register,
    request,
)  # fmt: skip
from ksr_stub.harness import Ksr
from ksr_stub.sending import Hosts

from .own_routes import STRANGER, alice, bob, registered, ring, start


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr)


def test_a_loop_and_a_malformed_request(server: Ksr) -> None:
    """483 where Max-Forwards is used up, 400 from the sanity check."""
    assert server.receive(options(headers={"Max-Forwards": "0"})).reply.status == 483
    odd = options(headers={"CSeq": "1 INVITE"})
    assert server.receive(odd).reply.status == 400


def test_requests_of_no_dialog(server: Ksr) -> None:
    """481 to a BYE without a dialog, nothing to an ACK, 481 to a CANCEL of nothing."""
    assert server.receive(bye()).reply.status == 481
    assert server.receive(request("BYE", "sip:2222@example.test")).reply.status == 481
    assert server.receive(request("ACK", "sip:2222@example.test")).sent == []
    assert server.receive(ack(invite(), to="<sip:2222@example.test>;tag=x")).sent == []
    assert server.receive(cancel(invite("sip:2222@example.test"))).reply.status == 481


def test_a_register_belongs_to_no_dialog(server: Ksr) -> None:
    """481 to a To tag, with credentials and without."""
    assert server.receive(register("1111", to_tag="x")).reply.status == 481


def test_a_dialog_without_our_seal(server: Ksr) -> None:
    """A Route with our address alone does not let a stranger through: 481."""
    forged = bye("sip:2222@198.51.100.9", route=["<sip:203.0.113.10;lr>"], sender=STRANGER)
    result = server.receive(forged)
    assert result.reply.status == 481
    assert result.requests == []


def test_a_request_that_is_no_utf_8(server: Ksr) -> None:
    """400 names the reason; a User-Agent that is no UTF-8 does no harm."""
    data = invite("sip:2222@example.test", sender=STRANGER)
    broken = data.replace(b"sip:2222@", b"sip:22\xe422@")
    assert server.receive(broken).reply.reason == "Bad Request (not UTF-8)"
    agent = data.replace(b"Max-Forwards", b"User-Agent: \xff\r\nMax-Forwards")
    assert server.receive(agent).reply.status == 480


def test_a_call_id_that_is_no_utf_8_is_logged_in_hexadecimal(server: Ksr) -> None:
    """The log line names the Call-ID even then."""
    data = invite("sip:2222@example.test", sender=STRANGER, call_id="CALLID")
    server.receive(data.replace(b"CALLID", b"c\xff").replace(b"sip:2222@", b"sip:22\xe422@"))
    assert any("63ff" in line.lower() for line in server.log)


def test_an_unexpected_error_is_answered_with_500(server: Ksr) -> None:
    """A step that fails is named in the log, and the request gets its reply."""

    def fail(*_arguments: object) -> int:
        raise RuntimeError("boom")

    server.answer("sanity.sanity_check", fail)
    result = server.receive(options())
    assert result.reply.status == 500
    assert any("guard.screen failed: RuntimeError('boom')" in line for line in server.log)
    assert server.receive(request("ACK", "sip:2222@example.test")).sent == []


def test_a_stale_nonce(server: Ksr) -> None:
    """An old nonce is challenged with stale=true, and the phone gets in without its user."""
    caller = alice(server)
    caller.register()
    credentials = server.results[-1].data
    server.clock.advance(400)
    again = credentials.replace(b"REGISTER\r\nContact", b"REGISTER\r\nX: 1\r\nContact")
    reply = server.receive(again, source=caller.source).reply
    assert reply.status == 401
    assert "stale=true" in reply["WWW-Authenticate"]


def test_a_registration_elsewhere(server: Ksr) -> None:
    """REGISTER for a domain that is not ours: 403."""
    assert server.receive(register("1111", domain="elsewhere.test")).reply.status == 403


def test_a_phone_at_a_new_port_of_its_nat(server: Ksr) -> None:
    """The binding of the old port goes: calls ring the phone where it is now."""
    phone = bob(server)
    phone.register()
    phone.source = ("198.51.100.9", 51111)
    assert phone.register().status == 200
    addresses = [binding.uri for binding in server.location.bindings("2222@example.test")]
    assert addresses == ["sip:2222@192.168.0.103:5060;alias=198.51.100.9~51111~1"]
    assert any("is outdated" in line for line in server.log)


def test_a_register_that_was_overtaken(server: Ksr) -> None:
    """An older CSeq of the same Call-ID: 400 (RFC 3261 10.3)."""
    phone = bob(server)
    phone.register()
    phone.register()
    phone._cseq = 0
    assert phone.register().status == 400


def test_what_register_may_ask(server: Ksr) -> None:
    """A query, a removal of all, and a phone with an instance."""
    phone = bob(server)
    instance = f'<{phone.contact}>;+sip.instance="<urn:uuid:1>"'
    assert phone.register(contact=instance).status == 200
    assert "192.168.0.103" in phone.register(contact="", expires=None)["Contact"]
    assert phone.register(contact=phone.contact).status == 200
    assert phone.register(contact="*", expires=0).status == 200
    assert server.location.bindings("2222@example.test") == []


def test_an_unregistered_phone(server: Ksr) -> None:
    """expires=0 removes the binding, also as a parameter of the Contact."""
    phone = bob(server)
    phone.register()
    phone.unregister()
    assert server.location.all() == []
    phone.register()
    phone.register(contact=f"<{phone.contact}>;expires=0", expires=None)
    assert server.location.all() == []


def test_a_registration_through_an_edge_proxy(server: Ksr) -> None:
    """With a Path the Contact gets no alias: the edge proxy knows the phone (RFC 3327)."""
    path = {"Path": "<sip:198.51.100.9;lr>", "Supported": "path"}
    reply = bob(server).register(headers=path)
    assert reply.status == 200
    assert "alias" not in reply["Contact"]


def test_a_method_that_the_phone_does_not_take(server: Ksr) -> None:
    """405 with the methods that it takes."""
    bob(server).register(headers={"Allow": "INVITE, ACK, BYE, CANCEL"})
    reply = server.receive(message("sip:2222@example.test", sender=STRANGER)).reply
    assert reply.status == 405
    assert reply["Allow"] == "INVITE, CANCEL, ACK, BYE"


def test_a_failure_of_lookup(server: Ksr) -> None:
    """500 where usrloc has an error; 503 where the database can't tell who is a subscriber."""
    server.lose_database()
    unknown = server.receive(invite("sip:9999@example.test", sender=STRANGER)).reply
    assert unknown.status == 503
    server.answer("registrar.lookup", -3)
    assert server.receive(invite("sip:2222@example.test", sender=STRANGER)).reply.status == 500


def test_an_incoming_call_keeps_nobody_elses_credentials(server: Ksr) -> None:
    """What the caller proved us is not shown to the callee, not even inside the dialog."""
    call, ringing = ring(server)
    ringing.answer()
    assert "Proxy-Authorization" not in ringing.invite
    mine = {"Proxy-Authorization": 'Digest username="1111", realm="example.test", response="0"'}
    call.request("INFO", headers=mine)
    assert "Proxy-Authorization" not in ringing.requests[-1]


def test_a_phone_without_nat_calls_one_behind_nat(server: Ksr) -> None:
    """The Record-Route carries nat=yes for the callee, so that in-dialog requests find it."""
    caller = server.phone("1111", "first secret", source=("203.0.113.5", 5060))
    callee = bob(server)
    caller.register()
    callee.register()
    call = caller.call("2222")
    ringing = callee.incoming()
    assert "nat=yes" in ringing.invite["Record-Route"]
    ringing.answer()
    assert call.hang_up().status == 200


def test_two_phones_without_nat(server: Ksr) -> None:
    """No alias, no nat=yes."""
    caller = server.phone("1111", "first secret", source=("203.0.113.5", 5060))
    callee = server.phone("2222", "second secret", source=("198.51.100.9", 5060))
    caller.register()
    callee.register()
    caller.call("2222")
    invited = callee.incoming().invite
    assert "nat=yes" not in invited["Record-Route"]
    assert "alias" not in invited["Contact"]


def test_a_redirection_stays_as_it_is(server: Ksr) -> None:
    """The Contact in a 302 is somebody else's address: it gets no alias."""
    caller, callee = registered(server)
    call = caller.call("2222")
    callee.incoming().refuse(302, headers=[("Contact", "<sip:2222@192.168.0.7>")])
    assert call.final["Contact"] == "<sip:2222@192.168.0.7>"


def test_a_phone_on_tcp_behind_nat(ksr: Ksr) -> None:
    """It is reached by its own connection only."""
    ksr.listen("udp:203.0.113.10:5060", "tcp:203.0.113.10:5060")
    server = start(ksr)
    callee = server.phone(
        "2222", "second secret", source=("198.51.100.9", 50999),
        private=("192.168.0.103", 5060), proto="tcp",
    )  # fmt: skip
    caller = alice(server)
    caller.register()
    assert callee.register().status == 200
    result = caller.call("2222")
    assert result.status in (0, 100)
    assert callee.incoming().invite.proto == "tcp"
    assert any(one.called("set_forward_no_connect") for one in server.results)


def test_a_phone_that_can_not_be_reached(server: Ksr) -> None:
    """480 where the request can't even be sent to the phone."""
    caller, _ = registered(server)
    server.world.part(Hosts).unreachable.add("198.51.100.9")
    assert caller.call("2222").status in (480, 477)


def test_a_retransmitted_invite_is_absorbed(server: Ksr) -> None:
    """The second copy of an INVITE runs no authentication and leaves no second branch."""
    callee = bob(server)
    callee.register()
    data = invite("sip:2222@example.test", sender=STRANGER)
    server.receive(data)
    again = server.receive(data)
    assert again.requests == []
    assert "auth.caller" not in again.steps
    assert len(callee.requests("INVITE")) == 1


def test_a_late_offer_goes_through_the_relay(ksr: Ksr) -> None:
    """INVITE without SDP: the 200 is the offer, the ACK the answer."""
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223")
    caller, callee = registered(server)
    caller.call("2222", sdp="")
    ringing = callee.incoming()
    ringing.answer()
    assert "c=IN IP4 198.51.100.200" in ringing.requests[0].body
    assert [command.name for command in server.rtpengine.commands] == ["offer", "answer"]


def test_media_of_a_refused_call_end(ksr: Ksr) -> None:
    """A call that never began leaves no media session."""
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223")
    caller, callee = registered(server)
    caller.call("2222")
    callee.incoming().refuse(486)
    assert server.rtpengine.sessions == set()


def test_a_call_to_a_contact_elsewhere(server: Ksr) -> None:
    """One of our users may call a Contact that a transfer gave it, others may not."""
    caller = alice(server)
    caller.register()
    elsewhere = server.phone("9", source=("192.0.2.77", 5060), domain="elsewhere.test")
    caller.call("sip:9@192.0.2.77:5060")
    assert elsewhere.is_ringing
    assert server.receive(invite("sip:9@192.0.2.77", sender=STRANGER)).reply.status == 403


def test_a_notify_stays_on_our_path(server: Ksr) -> None:
    """NOTIFY in a dialog is record-routed: it may be what makes the dialog (RFC 6665)."""
    call, ringing = ring(server)
    ringing.answer()
    call.request("NOTIFY", headers={"Event": "presence", "Subscription-State": "active"})
    assert "Record-Route" in ringing.requests[-1]


def test_a_callback_that_fails_is_logged(server: Ksr) -> None:
    """An error in a branch route does not stop the call."""

    def fail(*_arguments: object) -> int:
        raise RuntimeError("boom")

    caller, _ = registered(server)
    server.answer("isbflagset", fail)
    caller.call("2222")
    assert any("relay.branch failed: RuntimeError('boom')" in line for line in server.log)


def test_wrong_settings_stop_the_start(ksr: Ksr) -> None:
    """All faults stand in one message, and the script does not load."""
    with pytest.raises(ValueError, match="MAX_CONTACTS") as caught:
        start(ksr, MAX_CONTACTS="many", NAT_TEST="9999")
    assert "NAT_TEST" in str(caught.value)


@pytest.mark.ksr(mode="faithful")
@pytest.mark.parametrize("broken", [b"Call-ID: a\0b", b"User-Agent: \xe4"])
@pytest.mark.parametrize("user", [b"22\xe422", b"22\x0022"])
def test_bytes_that_are_no_text_are_answered_with_400(
    server: Ksr, user: bytes, broken: bytes
) -> None:
    """Also where the log line about it has to name a Call-ID with a NUL."""
    data = invite("sip:2222@example.test", sender=STRANGER, headers={"Call-ID": "plain"})
    data = data.replace(b"sip:2222@", b"sip:" + user + b"@").replace(b"Call-ID: plain", broken)
    data = data if b"Call-ID" in broken else data.replace(b"\r\nCSeq", b"\r\nCall-ID: x\r\nCSeq")
    assert server.receive(data).reply.status == 400
