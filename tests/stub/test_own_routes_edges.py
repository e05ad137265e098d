"""Our own routes on the stub: what happens seldom, each way through each step at least once."""

from __future__ import annotations

import importlib
import sys

import pytest
from ksr_stub.builders import cancel, invite, message, request
from ksr_stub.harness import Ksr
from ksr_stub.sending import Hosts

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


def test_the_ack_of_a_dialog_that_another_module_watches_is_passed_on(server: Ksr) -> None:
    """t_check_trans knows an ACK without Route as one of a running call where acc or dialog do."""
    registered(server)
    server.answer("tm.t_check_trans", 1)
    data = request("ACK", "sip:2222@198.51.100.9:50999", to_tag="callee")
    assert server.receive(data).relayed.to.port == 50999


def test_a_request_that_another_worker_is_at_is_left_to_it(server: Ksr) -> None:
    """A retransmission that comes while the first copy is still being routed is not routed."""
    registered(server)
    server.answer("tmx.t_precheck_trans", 1)
    result = server.receive(invite("sip:2222@example.test", sender=STRANGER))
    assert "auth.authenticate" not in result.steps
    assert result.sent == []


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
