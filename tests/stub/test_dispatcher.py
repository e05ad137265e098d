"""Module dispatcher, beyond what the random calls compare: weights, loads, events, reloading."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import KSR
import pytest
from ksr_stub import message
from ksr_stub.builders import invite, request
from ksr_stub.harness import Ksr
from ksr_stub.message import Address
from ksr_stub.models.dispatcher import Dispatcher


def routed(ksr: Ksr, data: bytes) -> message.SipMessage:
    """A request that is being routed."""
    ksr.world.message = message.parse(data, Address("203.0.113.7", 40123), ksr.world.sockets[0])
    return ksr.world.message


@pytest.fixture
def gateways(ksr: Ksr, tmp_path: Path) -> Ksr:
    listed = tmp_path / "dispatcher.list"
    listed.write_text(
        "# set address state priority\n"
        "1 sip:192.0.2.1:5060 0 10\n1 sip:192.0.2.2:5060 0 20\n1 sip:192.0.2.3:5060 0 5\n"
    )
    ksr.param("dispatcher", "list_file", str(listed))
    ksr.param("dispatcher", "flags", 2)
    routed(ksr, invite("sip:probe@example.test"))
    return ksr


def test_gateways_in_turn(gateways: Ksr) -> None:
    """Round robin goes by priority; ds_next_dst goes on in the circle and ends with -1."""
    routing = gateways.world.msg
    assert KSR.dispatcher.ds_select_dst(1, 4) == 1
    tried = [routing.dst_uri]
    while KSR.dispatcher.ds_next_dst() > 0:
        tried.append(routing.dst_uri)
    assert tried == ["sip:192.0.2.2:5060", "sip:192.0.2.1:5060", "sip:192.0.2.3:5060"]
    KSR.dispatcher.ds_select_dst(1, 4)
    assert routing.dst_uri == "sip:192.0.2.1:5060"
    assert KSR.dispatcher.ds_select_dst(9, 4) == -1


def test_the_latest_gateway_of_a_priority_comes_first(ksr: Ksr) -> None:
    """A set that is missing is passed over, and all of the next one are kept for failover."""
    for number in (5, 6, 7):
        ksr.world.part(Dispatcher).add(2, f"sip:192.0.2.{number}")
    ksr.param("dispatcher", "flags", 2)
    routed(ksr, invite("sip:probe@example.test"))
    assert KSR.dispatcher.ds_select_routes("9=8;2=8", "d") == 1
    found = [KSR.pv.get(f"$xavp(_dsdst_[{place}]=>uri)") for place in range(3)]
    assert found == ["sip:192.0.2.7", "sip:192.0.2.6", "sip:192.0.2.5"]
    assert KSR.pv.get("$du") == "sip:192.0.2.7"


def test_a_marked_gateway_is_left_out(gateways: Ksr) -> None:
    """What ds_mark_dst marks is not chosen again."""
    routing = gateways.world.msg
    KSR.dispatcher.ds_select_dst(1, 8)
    assert routing.dst_uri == "sip:192.0.2.2:5060"
    assert KSR.dispatcher.ds_mark_dst_state("zz") == -1
    assert KSR.dispatcher.ds_mark_dst() == 1
    KSR.dispatcher.ds_select_dst(1, 8)
    assert routing.dst_uri == "sip:192.0.2.1:5060"
    assert KSR.dispatcher.ds_is_active_uri(1, "sip:192.0.2.2:5060") == -1


def test_gateways_by_domain_and_source(gateways: Ksr) -> None:
    """ds_select_domain changes the R-URI; ds_is_from_list looks at the source."""
    KSR.dispatcher.ds_select_domain(1, 8)
    assert gateways.world.msg.uri == "sip:probe@192.0.2.2:5060"
    assert KSR.dispatcher.ds_is_from_list(1) == -1
    gateways.world.part(Dispatcher).add(2, "sip:203.0.113.7:40123")
    assert KSR.dispatcher.ds_is_from_list(2) == 1
    assert KSR.dispatcher.ds_is_from_lists() == 1


@pytest.mark.parametrize(("algorithm", "attribute"), [(9, "weight"), (11, "rweight")])
def test_a_hundred_calls_go_by_weight(ksr: Ksr, algorithm: int, attribute: str) -> None:
    """In each hundred selections a destination has its percentage, in no order to rely on."""
    sets = ksr.world.part(Dispatcher)
    for number, weight in enumerate((20, 30, 50)):
        sets.add(1, f"sip:192.0.2.{number}", 9 - number, attributes=f"{attribute}={weight}")
    routed(ksr, invite("sip:probe@example.test"))
    for _ in range(2):
        seen = Counter(_selected(algorithm) for _ in range(100))
        assert seen == {"sip:192.0.2.0": 20, "sip:192.0.2.1": 30, "sip:192.0.2.2": 50}


def test_relative_weights_are_shared_out_again_when_one_goes(ksr: Ksr) -> None:
    """The others take over what a destination that is marked had."""
    sets = ksr.world.part(Dispatcher)
    for number in range(3):
        sets.add(1, f"sip:192.0.2.{number}", 9 - number, attributes="rweight=50")
    ksr.param("dispatcher", "flags", 2)
    routed(ksr, invite("sip:probe@example.test"))
    KSR.dispatcher.ds_select_dst(1, 8)
    KSR.dispatcher.ds_mark_dst()
    seen = Counter(_selected(11) for _ in range(100))
    assert seen == {"sip:192.0.2.1": 50, "sip:192.0.2.2": 50}


def _selected(algorithm: int) -> object:
    assert KSR.dispatcher.ds_select_dst(1, algorithm) == 1
    return KSR.pv.get("$du")


@pytest.fixture
def loaded(ksr: Ksr) -> Ksr:
    """Two destinations, of one call each, and a table of the calls."""
    sets = ksr.world.part(Dispatcher)
    sets.add(1, "sip:192.0.2.1", 2, attributes="duid=a;maxload=1")
    sets.add(1, "sip:192.0.2.2", 1, attributes="duid=b;maxload=1")
    ksr.param("dispatcher", "flags", 2)
    ksr.param("dispatcher", "ds_hash_size", 4)
    ksr.param("dispatcher", "ds_hash_initexpire", 60)
    return ksr


def _call(ksr: Ksr, call_id: str, method: str = "INVITE") -> None:
    routed(ksr, request(method, "sip:probe@example.test", call_id=call_id))


def test_calls_go_where_there_are_fewest(loaded: Ksr) -> None:
    """A full destination gets no call until a BYE has ended one."""
    _call(loaded, "one")
    assert _selected(10) == "sip:192.0.2.1"
    _call(loaded, "two")
    assert _selected(10) == "sip:192.0.2.2"
    _call(loaded, "three")
    assert KSR.dispatcher.ds_select_dst(1, 10) == -1
    _call(loaded, "one", "BYE")
    assert KSR.dispatcher.ds_load_update() == 0
    _call(loaded, "three")
    assert _selected(10) == "sip:192.0.2.1"


def test_failover_takes_the_load_along(loaded: Ksr) -> None:
    """ds_next_dst counts the call at the next destination, and no more at the first."""
    _call(loaded, "one")
    _selected(10)
    assert KSR.dispatcher.ds_next_dst() == 1
    first, second = loaded.world.part(Dispatcher).members(1)
    assert (first.calls, second.calls) == (0, 1)
    assert KSR.dispatcher.ds_load_unset() == 0
    assert second.calls == 0


def test_a_call_that_nobody_answers_is_forgotten(loaded: Ksr) -> None:
    """After ds_hash_initexpire seconds a call without a 2xx counts no more."""
    _call(loaded, "one")
    _selected(10)
    loaded.clock.advance(61)
    _call(loaded, "two")
    assert _selected(10) == "sip:192.0.2.1"


def test_the_sets_are_read_again(gateways: Ksr) -> None:
    """ds_reload forgets marks; within reload_delta seconds it refuses."""
    KSR.dispatcher.ds_select_dst(1, 8)
    KSR.dispatcher.ds_mark_dst()
    assert KSR.dispatcher.ds_reload() == 1
    assert _selected(8) == "sip:192.0.2.2:5060"
    assert KSR.dispatcher.ds_reload() == -1
    gateways.clock.advance(6)
    assert KSR.dispatcher.ds_reload() == 1


def test_nothing_to_read_again_is_an_error(ksr: Ksr) -> None:
    """Without a list there are no sets: the log says so."""
    routed(ksr, invite("sip:probe@example.test"))
    assert KSR.dispatcher.ds_reload() == -1
    assert any("can't open list file" in line for line in ksr.log)


def test_the_script_hears_of_a_destination_that_goes(gateways: Ksr) -> None:
    """event_callback runs with the name of the event, and `$dsv` shows why."""
    heard: list[object] = []

    def event(_self: object, _message: object, name: str) -> int:
        heard.append((name, KSR.pv.get("$dsv(code)"), KSR.pv.get("$dsv(flags)")))
        return 1

    gateways.param("dispatcher", "event_callback", "ksr_dispatcher_event")
    gateways.world.script = type("Script", (), {"ksr_dispatcher_event": event})()
    KSR.dispatcher.ds_select_dst(1, 8)
    assert KSR.dispatcher.ds_mark_dst_state("ip") == 1
    assert KSR.dispatcher.ds_mark_dst_state("a") == 1
    assert heard == [("dispatcher:dst-down", 820, 0), ("dispatcher:dst-up", 820, 0)]
    assert KSR.pv.get("$dsv(code)") is None


def test_several_failures_bring_a_destination_down(gateways: Ksr) -> None:
    """With ds_probing_threshold 2 the first failure only makes it `trying`."""
    gateways.param("dispatcher", "ds_probing_threshold", 2)
    KSR.dispatcher.ds_select_dst(1, 8)
    first = gateways.world.part(Dispatcher).members(1)[0]
    KSR.dispatcher.ds_mark_dst_state("t")
    assert first.is_usable
    KSR.dispatcher.ds_mark_dst_state("t")
    assert not first.is_usable


def test_the_last_one_of_a_set_is_its_default(gateways: Ksr) -> None:
    """With use_default it is tried last, and alone where all others are down."""
    gateways.param("dispatcher", "use_default", 1)
    for destination in gateways.world.part(Dispatcher).members(1)[:2]:
        destination.state = 4
    assert _selected(4) == "sip:192.0.2.3:5060"


def test_a_destination_that_kamailio_would_skip_is_refused(ksr: Ksr) -> None:
    """The error says why."""
    with pytest.raises(ValueError, match="could not resolve"):
        ksr.world.part(Dispatcher).add(1, "sip:no.such.host")
