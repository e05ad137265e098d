"""Phones inside the World, on a small proxy that keeps its locations in a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone

PROXY = """
import sys
import KSR

def mod_init():
    return sys.modules[__name__]

def child_init(rank):
    return 0

def ksr_request_route(msg):
    KSR.force_rport()
    if KSR.is_CANCEL():
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
    elif KSR.siputils.has_totag() > 0:
        if KSR.rr.loose_route() > 0:
            KSR.tm.t_relay()
    elif KSR.is_REGISTER():
        register()
    else:
        call()
    return 1

def register():
    if KSR.auth_db.auth_check("example.test", "subscriber", 1) < 0:
        KSR.auth.auth_challenge("example.test", 1)
        return
    where = f"sip:{KSR.pv.get('$si')}:{KSR.pv.get('$sp')};transport={KSR.pv.get('$proto')}"
    KSR.htable.sht_sets("where", KSR.pv.get("$fU"), where)
    KSR.sl.sl_send_reply(200, "OK")

def call():
    where = KSR.htable.sht_get("where", KSR.pv.get("$rU"))
    if where is None:
        KSR.sl.sl_send_reply(404, "Not Found")
        return
    KSR.rr.record_route()
    KSR.setdsturi(where)
    KSR.tm.t_relay()

def ksr_reply_route(msg):
    return 1

def ksr_onsend_route(msg):
    return 1
"""


@pytest.fixture
def proxy(ksr: Ksr, tmp_path: Path) -> Ksr:
    script = tmp_path / "table_proxy.py"
    script.write_text(PROXY)
    ksr.listen("udp:203.0.113.10:5060", "tcp:203.0.113.10:5060")
    ksr.serve("example.test")
    ksr.param("htable", "htable", "where=>size=4")
    ksr.load(script)
    for user in ("1111", "2222"):
        ksr.subscribers.add(f"{user}@example.test", f"secret {user}")
    return ksr


@pytest.fixture
def pair(proxy: Ksr) -> tuple[Phone, Phone]:
    alice = proxy.phone("1111", "secret 1111", source=("203.0.113.5", 5060))
    bob = proxy.phone("2222", "secret 2222", source=("198.51.100.9", 5060))
    for phone in (alice, bob):
        assert phone.register().status == 200
    return alice, bob


def test_a_phone_answers_a_challenge_once(proxy: Ksr) -> None:
    """The right password is accepted; a wrong one gets a second 401, which is final."""
    right = proxy.phone("1111", "secret 1111", source=("203.0.113.5", 5060))
    wrong = proxy.phone("1111", "wrong", source=("203.0.113.6", 5060))
    silent = proxy.phone("1111", source=("203.0.113.7", 5060))
    assert [reply.status for reply in right.inbox] == []
    assert right.register().status == 200
    assert [reply.status for reply in right.inbox] == [401, 200]
    assert wrong.register().status == 401
    assert len(wrong.inbox) == 2
    assert silent.register().status == 401
    assert len(silent.inbox) == 1


def test_a_phone_registers_again_with_a_higher_cseq(pair: tuple[Phone, Phone]) -> None:
    """Call-ID stays and CSeq rises (RFC 3261 10.2)."""
    alice, _ = pair
    before = alice.inbox[-1]
    again = alice.register()
    assert again["Call-ID"] == before["Call-ID"]
    assert int(again["CSeq"].split()[0]) > int(before["CSeq"].split()[0])


def test_a_call_from_ringing_to_its_end(pair: tuple[Phone, Phone]) -> None:
    """180, 200, ACK, a re-INVITE, BYE: each reaches the other phone once."""
    alice, bob = pair
    call = alice.call("2222")
    ringing = bob.incoming()
    ringing.ring()
    ringing.answer()
    assert [reply.status for reply in call.replies if reply.status > 100] == [180, 200]
    assert ringing.acknowledged
    assert call.request("INVITE", body="v=0\r\n").status == 200
    assert [one.method for one in ringing.requests] == ["ACK", "INVITE", "ACK"]
    assert ringing.hang_up().status == 200
    assert call.ended


def test_a_refused_call_is_over(pair: tuple[Phone, Phone]) -> None:
    """486 ends the call on both sides; the callee gets an ACK for it."""
    alice, bob = pair
    call = alice.call("2222")
    bob.incoming().refuse(486)
    assert (call.status, call.ended) == (486, True)
    assert [one.method for one in bob.requests("ACK")] == ["ACK"]


def test_a_cancelled_call(pair: tuple[Phone, Phone]) -> None:
    """CANCEL reaches the phone that rings, which says 487 by itself."""
    alice, bob = pair
    call = alice.call("2222")
    ringing = bob.incoming()
    ringing.ring()
    call.cancel()
    assert ringing.cancelled
    assert call.final.status == 487


def test_two_calls_at_once(proxy: Ksr, pair: tuple[Phone, Phone]) -> None:
    """Requests find the call that they belong to."""
    alice, bob = pair
    first, second = alice.call("2222"), alice.call("2222")
    one, other = bob.incoming(), bob.incoming()
    one.answer()
    other.answer()
    second.hang_up()
    assert (one.ended, other.ended) == (False, True)
    first.hang_up()
    assert one.ended


def test_a_message_is_delivered(pair: tuple[Phone, Phone]) -> None:
    """A MESSAGE arrives with its text and is answered with 200."""
    alice, bob = pair
    assert alice.message("2222", "grüße").status == 200
    assert bob.requests("MESSAGE")[0].body == "grüße"


def test_a_phone_on_tcp_is_found_by_its_connection(proxy: Ksr, pair: tuple[Phone, Phone]) -> None:
    """What is sent over its connection reaches a TCP phone."""
    alice, _ = pair
    carol = proxy.phone("2222", "secret 2222", source=("198.51.100.77", 40999), proto="tcp")
    assert carol.register().status == 200
    assert carol.inbox[-1].proto == "tcp"
    alice.call("2222")
    assert carol.incoming().invite.proto == "tcp"


def test_nobody_calls_says_what_came_instead(pair: tuple[Phone, Phone]) -> None:
    """`incoming` without a call names what the phone got."""
    _, bob = pair
    with pytest.raises(AssertionError, match=r"nobody calls Phone\(2222 .*it got\n.*401"):
        bob.incoming()


def test_a_lost_place_in_the_dialog_is_named(proxy: Ksr, tmp_path: Path) -> None:
    """Without record_route the phones would speak past Kamailio: that is said."""
    script = tmp_path / "table_proxy.py"
    script.write_text(PROXY.replace("    KSR.rr.record_route()\n", ""))
    proxy.load(script)
    alice = proxy.phone("1111", "secret 1111", source=("203.0.113.5", 5060))
    bob = proxy.phone("2222", "secret 2222", source=("198.51.100.9", 5060))
    alice.register()
    bob.register()
    alice.call("2222")
    with pytest.raises(AssertionError, match="was there no record_route"):
        bob.incoming().answer()
