"""Module rtpengine: sets of relays, and what they know of a call."""

from __future__ import annotations

import KSR
import pytest
from ksr_stub import message
from ksr_stub.builders import SDP, invite
from ksr_stub.harness import Ksr
from ksr_stub.message import Address

SOCKETS = ("udp:192.0.2.1:2223", "2 == udp:192.0.2.2:2223")


@pytest.fixture
def call(ksr: Ksr) -> Ksr:
    """An INVITE with SDP, two sets of relays."""
    ksr.world.params["rtpengine", "rtpengine_sock"] = SOCKETS
    data = invite(sdp=SDP.format(host="192.168.0.5"))
    ksr.world.message = message.parse(data, Address("203.0.113.7", 40123), ksr.world.sockets[0])
    return ksr


def test_a_set_is_chosen_for_the_message(call: Ksr) -> None:
    """The default one, the chosen one, or both; one that is not configured is refused."""
    KSR.rtpengine.rtpengine_offer0()
    assert KSR.rtpengine.set_rtpengine_set(2) == 1
    KSR.rtpengine.rtpengine_offer0()
    assert KSR.rtpengine.set_rtpengine_set2(0, 2) == 1
    KSR.rtpengine.rtpengine_delete0()
    assert KSR.rtpengine.set_rtpengine_set(3) == -1
    asked = [(one.name, one.relay_set) for one in call.rtpengine.commands]
    assert asked == [("offer", 0), ("offer", 2), ("delete", 0), ("delete", 2)]


def test_a_set_without_answer_fails(call: Ksr) -> None:
    """The others go on."""
    call.rtpengine.down.add(2)
    KSR.rtpengine.set_rtpengine_set(2)
    assert KSR.rtpengine.rtpengine_offer0() == -1
    KSR.rtpengine.set_rtpengine_set(0)
    assert KSR.rtpengine.rtpengine_offer0() == 1


def test_a_variable_chooses_the_set(call: Ksr) -> None:
    """setid_avp comes before what set_rtpengine_set chose."""
    call.param("rtpengine", "setid_avp", "$avp(set)")
    KSR.pv.seti("$avp(set)", 2)
    KSR.rtpengine.rtpengine_offer0()
    KSR.pv.seti("$avp(set)", 9)
    assert KSR.rtpengine.rtpengine_offer0() == -1
    assert [one.relay_set for one in call.rtpengine.commands] == [2]


def test_what_the_relay_knows_is_shown(call: Ksr) -> None:
    """`$rtpstat` has the totals, rtpengine_query_v all of it as JSON."""
    call.rtpengine.answers["totals"]["RTP"] = {"packets": 7, "bytes": 70, "errors": 1}
    assert KSR.pv.get("$rtpstat") == (
        "RTP: 70 bytes, 7 packets, 1 errors; RTCP: 0 bytes, 0 packets, 0 errors"
    )
    call.rtpengine.answers.clear()
    call.rtpengine.answers.update(result="ok", tags={"a": [1, "x"]})
    assert KSR.rtpengine.rtpengine_query_v("j", "$var(x)") == 1
    assert KSR.pv.get("$var(x)") == '{"result":"ok","tags":{"a":[1,"x"]}}'
    assert KSR.rtpengine.rtpengine_query_v("jp", "$var(x)") == 1
    assert KSR.pv.get("$var(x)") == (
        '{\n\t"result":\t"ok",\n\t"tags":\t{\n\t\t"a":\t[1, "x"]\n\t}\n}'
    )
    assert KSR.rtpengine.rtpengine_query_v("x", "$var(x)") == -1
    assert KSR.rtpengine.rtpengine_query_v("j", "$ci") == -1


def test_without_a_relay_there_is_nothing_to_know(call: Ksr) -> None:
    """-1, and the variable is null."""
    call.rtpengine.alive = False
    assert KSR.rtpengine.rtpengine_query0() == -1
    assert KSR.pv.get("$rtpestat") is None
