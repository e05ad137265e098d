"""Variables about lists, statistics and replies to come: `$cnt`, `$hfl`, `$stat`, `$ds`, ..."""

from __future__ import annotations

import KSR
import pytest
from ksr_stub import message
from ksr_stub.builders import invite
from ksr_stub.errors import NotModelled
from ksr_stub.harness import Ksr
from ksr_stub.message import Address, Socket
from ksr_stub.models.counting import Counts


@pytest.fixture
def routing(ksr: Ksr) -> Ksr:
    """An INVITE with two Record-Routes in one header field and two Contacts."""
    headers = {
        "Record-Route": "<sip:10.0.0.1;r2=on;lr>, <sip:10.0.0.2;lr>",
        "Contact": "<sip:a@10.0.0.3>;q=1, <sip:b@10.0.0.4>",
    }
    data = invite("sip:bob@example.test", headers=headers)
    ksr.world.message = message.parse(data, Address("203.0.113.7", 40123), ksr.world.sockets[0])
    return ksr


def test_values_are_counted(routing: Ksr) -> None:
    """`$cnt` counts an avp and a list in lists; without an index it counts all."""
    for number in range(3):
        KSR.pv.seti("$avp(x)", number)
        KSR.pv.seti("$xavp(a=>b)", number)
    KSR.pv.seti("$xavp(a[0]=>b)", 9)
    names = ("$avp(x)", "$avp(y)", "$xavp(a)", "$xavp(a[1])", "$xavp(a=>b)", "$xavp(a[0]=>b)")
    assert [KSR.pv.get(f"$cnt({name})") for name in names] == [3, 0, 3, 1, 4, 2]


def test_header_values_come_one_by_one(routing: Ksr) -> None:
    """`$hfl` takes lists apart, the last Contact of a field first; -1 is behind the last one."""
    assert KSR.pv.get("$hflc(Record-Route)") == 2
    assert KSR.pv.get("$(hfl(Record-Route)[1])") == "<sip:10.0.0.2;lr>"
    assert KSR.pv.get("$(hfl(Contact)[0])") == "<sip:b@10.0.0.4>"
    assert KSR.pv.get("$(hfl(Contact)[-1])") is None
    assert (KSR.pv.get("$rr_count"), KSR.pv.get("$rr_top_count")) == (2, 2)


def test_statistics_of_the_script_are_shown(routing: Ksr) -> None:
    """A declared one is 0 at first; Kamailio's own ones the test has to set."""
    routing.param("statistics", "variable", "calls")
    assert KSR.pv.get("$stat(calls)") == 0
    KSR.statistics.update_stat("calls", 2)
    assert KSR.pv.get("$stat(calls)") == 2
    assert KSR.pv.get("$stat(nobody)") is None
    with pytest.raises(NotModelled, match="set ksr"):
        KSR.pv.get("$stat(rcv_requests)")
    routing.world.faults.clear()
    routing.world.part(Counts).values["rcv_requests"] = 7
    assert KSR.pv.get("$stat(rcv_requests)") == 7


def test_the_redirection_that_would_be_sent(routing: Ksr) -> None:
    """`$ds` is null until the R-URI is changed or a branch is there."""
    assert KSR.pv.get("$ds") is None
    KSR.seturi("sip:c@10.0.0.5")
    KSR.pv.sets("$br", "sip:d@10.0.0.6")
    assert KSR.pv.get("$ds") == "Contact: <sip:c@10.0.0.5>, <sip:d@10.0.0.6>"


def test_sockets_have_names(routing: Ksr) -> None:
    """`$fsn` forces one by its name, `$lsock` finds one."""
    routing.world.sockets.append(Socket("udp", "203.0.113.11", 5060, "198.51.100.1", 5070, "lan"))
    KSR.pv.sets("$fsn", "lan")
    assert (KSR.pv.get("$fsn"), KSR.pv.get("$fs")) == ("lan", "udp:203.0.113.11:5060")
    KSR.pv.sets("$fsn", "wan")
    assert KSR.pv.get("$fsn") == "lan"
    assert KSR.pv.get("$lsock(n/lan/adv)") == "udp:198.51.100.1:5070"
    assert KSR.pv.get("$lsock(a/udp:198.51.100.1:5070/idx)") == 1
    KSR.pv.unset("$fsn")
    assert KSR.pv.get("$fsn") is None


def test_colours_are_for_terminals(routing: Ksr) -> None:
    """The escape sequence is there where the log is shown on one."""
    assert KSR.pv.get("$C(Rx)") == ""
    routing.param("xlog", "force_color", 1)
    assert KSR.pv.get("$C(Rx)") == "\x1b[1;31;49m"


def test_ids_are_never_the_same(routing: Ksr) -> None:
    """`$sruid` and `$uuid(...)` are another one each time."""
    seen = [KSR.pv.get(name) for name in ("$sruid", "$uuid(g)", "$uuid(t)") for _ in range(2)]
    assert len({*seen, KSR.uuid.tget()}) == 7


def test_the_charging_vector_is_taken_apart(ksr: Ksr) -> None:
    """`$pcv` shows the header field and its parts, null for what is not there."""
    headers = {"P-Charging-Vector": "icid-value=1ab;icid-generated-at=10.0.0.1;orig-ioi=home"}
    data = invite("sip:bob@example.test", headers=headers)
    ksr.world.message = message.parse(data, Address("203.0.113.7", 40123), ksr.world.sockets[0])
    found = [KSR.pv.get(f"$pcv({part})") for part in ("all", "value", "genaddr", "orig", "term")]
    assert found == [headers["P-Charging-Vector"], "1ab", "10.0.0.1", "home", None]


def test_the_tag_of_the_reply_to_come(routing: Ksr) -> None:
    """`$ltt` is the tag that the reply then has."""
    tag = KSR.pv.get("$ltt(x)")
    assert KSR.pv.get("$ltt(t)") is None
    KSR.sl.sl_send_reply(404, "Not Found")
    assert f";tag={tag}".encode() in routing.world.sent[-1].data
    KSR.tm.t_newtran()
    assert KSR.pv.get("$ltt(x)") == KSR.pv.get("$ltt(t)") != tag


def test_the_message_with_its_edits(routing: Ksr) -> None:
    """`$mbu` is what would be sent, and `$mb` what came."""
    KSR.hdr.append("X-New: 1\r\n")
    assert "X-New: 1\r\n" in KSR.pv.get("$mbu")
    assert "X-New" not in KSR.pv.get("$mb")
    assert KSR.pv.get("$_s($rm of $fU)") == "INVITE of alice"


@pytest.mark.ksr(version="6.0")
def test_from_the_end_kamailio_6_counts_right(routing: Ksr) -> None:
    """`[-1]` is the last value there."""
    assert KSR.pv.get("$(hfl(Contact)[-1])") == "<sip:a@10.0.0.3>;q=1"
