"""Our own routes on the stub: what happens seldom, each way through each step at least once."""

from __future__ import annotations

import importlib
import sys

import pytest
from ksr_stub.builders import cancel, invite, message, request
from ksr_stub.harness import Ksr
from ksr_stub.sending import Hosts
from ksr_stub.traffic import Message

from kemi_routes import auth, digest

from .own_routes import STRANGER, alice, bob, registered, ring, start


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr)


def test_the_ack_to_our_own_refusal_goes_no_further(server: Ksr) -> None:
    """It ends the transaction of the refused INVITE, and nobody is sent anything."""
    call, ringing = ring(server)
    ringing.refuse(486)
    assert call.status == 486
    acked = next(one for one in reversed(server.results) if one.data.startswith(b"ACK "))
    assert [one.result for one in acked.called("tm.t_check_trans")] == [0]
    assert acked.sent == []


def test_an_ack_that_another_module_knows_leads_nowhere_without_our_seal(server: Ksr) -> None:
    """t_check_trans knows an ACK without Route as one of a running call where acc or dialog do; its
    R-URI may be anybody's."""
    registered(server)
    server.answer("tm.t_check_trans", 1)
    data = request("ACK", "sip:2222@198.51.100.9:50999", to_tag="callee")
    assert server.receive(data).sent == []


def test_a_request_that_another_worker_is_at_is_left_to_it(server: Ksr) -> None:
    """A retransmission that comes while the first copy is still being routed is not routed."""
    registered(server)
    server.answer("tmx.t_precheck_trans", 1)
    result = server.receive(invite("sip:2222@example.test", sender=STRANGER))
    assert "auth.caller" not in result.steps
    assert result.sent == []


def test_a_contact_with_headers_gets_no_alias(server: Ksr) -> None:
    """Behind them it would be no parameter; the phone is reached where it was received from."""
    phone = bob(server)
    uri = "sip:2222@192.168.0.103:5060?Subject=x"
    assert phone.register(headers={"Contact": f"<{uri}>"}).status == 200
    assert [one.uri for one in server.location.bindings("2222@example.test")] == [uri]
    server.receive(message("sip:2222@example.test", sender=STRANGER))
    assert phone.requests("MESSAGE")


def test_a_phone_without_nat_that_moves_leaves_no_binding_behind(server: Ksr) -> None:
    """Its Call-ID says that it is the same phone."""
    for port in (50999, 51234):
        place = ("198.51.100.9", port)
        phone = server.phone("2222", "second secret", source=place, private=place)
        contact = {"Call-ID": "of one phone", "Contact": f"<sip:2222@198.51.100.9:{port}>"}
        assert phone.register(headers=contact).status == 200
    assert [one.uri for one in server.location.bindings("2222@example.test")] == [
        contact["Contact"][1:-1]
    ]


def test_a_cancel_is_passed_on_without_routes_for_its_replies(server: Ksr) -> None:
    """The branches of the INVITE know what to do with them."""
    bob(server).register()
    data = invite("sip:2222@example.test", sender=STRANGER)
    server.receive(data)
    result = server.receive(cancel(data))
    assert result.called("tm.t_relay") != []
    assert result.called("tm.t_on_reply") == []


def test_a_message_that_can_not_be_sent_has_no_media_to_end(ksr: Ksr) -> None:
    """480 as for an INVITE, but the relay is asked nothing."""
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223")
    caller, _ = registered(server)
    server.world.part(Hosts).unreachable.add("198.51.100.9")
    assert caller.message("2222", "hello").status in (480, 477)
    assert server.rtpengine.commands == []


def test_sdp_of_other_methods_is_no_offer(ksr: Ksr) -> None:
    """SDP in a MESSAGE goes through as it is."""
    server = start(ksr, RTPENGINE="udp:127.0.0.1:2223")
    bob(server).register()
    text = "v=0\r\nc=IN IP4 192.168.0.103\r\n"
    data = message("sip:2222@example.test", text, sender=STRANGER, content_type="application/sdp")
    assert server.receive(data).relayed.body == text
    assert server.rtpengine.commands == []


def test_a_request_with_a_route_beyond_us_follows_it(server: Ksr) -> None:
    """Inside a dialog the next Route decides, not the alias in the R-URI."""
    call, ringing = ring(server)
    ringing.answer()
    further = "<sip:192.0.2.44;lr>"
    info = request(
        "INFO", call.target, call_id=call.call_id, from_tag=call.local_tag, to_tag=call.remote_tag,
        cseq=9, route=[*call.routes, further],
    )  # fmt: skip
    result = call.phone.send(info)
    assert result.relayed.to.host == "192.0.2.44"
    assert result.called("nathelper.handle_ruri_alias") == []


def test_a_loop_of_an_ack_ends_without_an_answer(server: Ksr) -> None:
    """ACK is never answered (RFC 3261 17)."""
    ours = "SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK07ae.60cefd202cef0c9118690cb5daf8d808.0"
    data = request("ACK", "sip:2222@example.test", headers={"Max-Forwards": "9"})
    data = data.replace(b"Max-Forwards", f"Via: {ours}\r\nMax-Forwards".encode(), 1)
    assert server.receive(data).sent == []


def test_a_handshake_without_a_key_is_refused_and_logged(ksr: Ksr) -> None:
    """400 from the WebSocket module (RFC 6455 4.2.2)."""
    ksr.listen("tcp:203.0.113.10:5060", "udp:203.0.113.10:5060")
    server = start(ksr)
    data = b"GET /ws HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\n\r\n"
    result = server.receive(data, proto="tcp", connection=1)
    assert result.reply.status == 400
    assert any("WebSocket handshake of 203.0.113.7 refused" in line for line in server.log)


def test_new_routes_that_do_not_load_leave_the_old_ones(server: Ksr) -> None:
    """A reload with a wrong setting changes nothing, and the log says why."""
    routes = sys.modules["kemi"]
    running, engine = routes.ksr_request_route, sys.modules["kemi_routes.engine"]
    server.define(MAX_CONTACTS="many")
    importlib.reload(routes)
    assert routes.ksr_request_route is running
    assert sys.modules["kemi_routes.engine"] is engine
    assert any("the new routes don't load, the old ones stay" in line for line in server.log)
    assert alice(server).register().status == 200


def test_an_ambiguous_ack_of_a_dialog_is_dropped(server: Ksr) -> None:
    """It is not passed on, and an ACK has no answer."""
    call, ringing = ring(server)
    ringing.answer()
    data = request(
        "ACK", call.target, call_id=call.call_id, from_tag=call.local_tag, to_tag=call.remote_tag,
        route=call.routes, headers={"X-Fold": "one\rtwo"},
    )  # fmt: skip
    assert call.phone.send(data).sent == []


def test_a_phone_without_nat_hangs_up_without_an_alias(server: Ksr) -> None:
    """Nothing in the dialog says that a phone is behind NAT: no Contact is changed."""
    caller = server.phone("1111", "first secret", source=("203.0.113.5", 5060))
    callee = server.phone("2222", "second secret", source=("198.51.100.9", 5060))
    caller.register()
    callee.register()
    call = caller.call("2222")
    ringing = callee.incoming()
    ringing.answer()
    assert "alias" not in call.final["Contact"]
    assert call.hang_up().status == 200
    assert server.results[-1].called("nathelper.set_contact_alias_trim") == []
    assert not any(one.called("setbflag") for one in server.results)


def test_the_contact_in_a_reply_from_behind_another_proxy_stays(server: Ksr) -> None:
    """Its Record-Route says that we are not the first hop: we don't know where the phone is."""
    caller = alice(server)
    caller.register()
    proxy = server.phone("9", source=("192.0.2.77", 5060), domain="elsewhere.test")
    call = caller.call("sip:9@192.0.2.77:5060")
    invited = proxy.incoming().invite
    contact = "<sip:9@192.168.0.7>"
    routes = ["<sip:192.0.2.77;lr>", *invited.all("Record-Route")]
    headers = [("Contact", contact), *(("Record-Route", one) for one in routes)]
    result = proxy.reply(without(invited, "Record-Route"), 200, headers=headers)
    assert result.called("nathelper.set_contact_alias_trim") == []
    assert call.final["Contact"] == contact


def without(request: Message, name: str) -> Message:
    """The same request without a header."""
    lines = [line for line in request.data.split(b"\r\n") if not line.startswith(name.encode())]
    return Message(b"\r\n".join(lines), request.to)


@pytest.mark.parametrize(
    ("code", "nonce_is_good", "answer"),
    [
        (1, False, auth.Verdict.ACCEPT),
        (-1, True, auth.Verdict.UNAVAILABLE),
        (-1, False, auth.Verdict.CHALLENGE),
        (-100, False, auth.Verdict.UNAVAILABLE),
        (-2, False, auth.Verdict.CHALLENGE),
        (-3, False, auth.Verdict.CHALLENGE),
        (-4, False, auth.Verdict.CHALLENGE_STALE),
        (-5, False, auth.Verdict.CHALLENGE),
        (-6, False, auth.Verdict.CHALLENGE_STALE),
        (-8, False, auth.Verdict.FORBIDDEN),
    ],
)
def test_each_code_of_a_check_has_its_answer(
    code: int, nonce_is_good: bool, answer: auth.Verdict
) -> None:
    assert auth.verdict(code, nonce_is_good) is answer


@pytest.mark.parametrize("nonce", ["", "too short", "ä" * 60, "!" * 60, "A" * 60])
def test_what_is_no_nonce_of_ours_is_bound_to_nothing(nonce: str) -> None:
    assert not digest.is_bound(nonce, "call", "192.0.2.1", "secret")


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("SIP:Example.Test", True),
        ("sip:example.test:5060", True),
        ("sip:example.test:5061", False),
        ("sip:other.test", False),
        ("nonsense", False),
    ],
)
def test_the_digest_uri_is_the_request_uri(given: str, same: bool) -> None:
    assert digest.is_same_uri(given, "sip:example.test:5060") is same


def test_a_request_that_not_even_a_transaction_is_made_for_is_answered(server: Ksr) -> None:
    """The reply says what went wrong, though tm is not there to send it."""
    bob(server).register()
    server.answer("tm.t_relay", -1)
    result = server.receive(message("sip:2222@example.test", sender=STRANGER))
    assert result.reply.status == 500


def test_what_can_not_be_sent_inside_a_dialog_has_the_answer_of_tm(server: Ksr) -> None:
    """It is no call to one of our users: 480 would be wrong."""
    call, ringing = ring(server)
    ringing.answer()
    server.world.part(Hosts).unreachable.add("198.51.100.9")
    assert call.request("INFO").status == 477


@pytest.mark.parametrize(
    ("contacts", "kept"),
    [
        (["<sip:one@192.0.2.1>", "<sip:two@192.0.2.2>"], ["one", "two"]),
        (["<sip:one@192.0.2.1>;expires=0", "<sip:two@192.0.2.2>"], ["two"]),
    ],
)
def test_a_register_with_several_contacts_says_itself_which_stay(
    server: Ksr, contacts: list[str], kept: list[str]
) -> None:
    phone = bob(server)
    assert phone.register(contact="<sip:one@192.0.2.1>, <sip:two@192.0.2.2>").status == 200
    assert phone.register(contact=", ".join(contacts)).status == 200
    users = [one.uri.split("@")[0] for one in server.location.bindings("2222@example.test")]
    assert sorted(users) == [f"sip:{user}" for user in kept]


def test_used_credentials_of_a_call_are_stale(server: Ksr) -> None:
    """Only a REGISTER is answered again: tm absorbs the retransmissions of everything else."""
    call, _ = ring(server)
    assert call.transaction is not None
    proof = call.transaction.request["Proxy-Authorization"]
    again = invite(
        "sip:2222@example.test", sender="sip:1111@example.test", call_id=call.call_id,
        headers={"Proxy-Authorization": proof},
    )  # fmt: skip
    reply = call.phone.send(again).reply
    assert reply.status == 407
    assert "stale=true" in reply["Proxy-Authenticate"]


@pytest.mark.parametrize("text", ["a\x1fb", "a" * 9000])
def test_values_that_can_not_be_read_together_are_read_one_by_one(server: Ksr, text: str) -> None:
    """With what stands between them in one of them, and longer than Kamailio's buffer."""
    phone = alice(server)
    assert phone.register(contact=f'<{phone.contact}>;x="{text}"').status == 200
