"""Callbacks that are missing or return no int: what 5.6.3 does, and what strict mode says."""

from __future__ import annotations

from pathlib import Path

import pytest
from ksr_stub.builders import invite, options
from ksr_stub.dialog import IncomingCall
from ksr_stub.errors import HeldTransaction, MissingCallback, WrongReturn
from ksr_stub.harness import Ksr

CLASS = """
import KSR
class Routes:
    def child_init(self, rank): return 0
    def ksr_reply_route(self, msg): return 1
    def ksr_onsend_route(self, msg): return 1
    def ksr_request_route(self, msg):
        KSR.sl.sl_send_reply(200, "OK")
def mod_init(): return Routes()
"""
MODULE = """
import sys
import KSR
def mod_init(): return sys.modules[__name__]
def child_init(rank): return 0
def ksr_reply_route(msg): return 1
def ksr_onsend_route(msg): return 1
def ksr_request_route(msg):
    KSR.sl.sl_send_reply(200, "OK")
"""


def outcomes(ksr: Ksr, tmp_path: Path, script: str) -> list[tuple[int, bool]]:
    """For four requests: the status of the reply, and whether an exception was logged."""
    path = tmp_path / "poisoned.py"
    path.write_text(script)
    ksr.load(path)
    results = [ksr.receive(options()) for _ in range(4)]
    return [
        (result.reply.status, any("SystemError" in line.text for line in result.log))
        for result in results
    ]


@pytest.mark.ksr(mode="faithful")
def test_the_next_call_works_and_raises(ksr: Ksr, tmp_path: Path) -> None:
    """After a callback without a return value the next call does its work, then raises."""
    assert outcomes(ksr, tmp_path, CLASS) == [(200, False), (200, True), (200, False), (200, True)]


@pytest.mark.ksr(mode="faithful")
def test_callbacks_of_a_module_forget_the_exception(ksr: Ksr, tmp_path: Path) -> None:
    """Where mod_init returns the module, looking up the next callback clears the exception."""
    assert outcomes(ksr, tmp_path, MODULE) == [(200, False)] * 4


@pytest.mark.ksr(mode="faithful", version="6.0")
def test_newer_versions_are_not_poisoned(ksr: Ksr, tmp_path: Path) -> None:
    """From 5.8 on nothing is left pending."""
    assert outcomes(ksr, tmp_path, CLASS) == [(200, False)] * 4


def test_timers_of_rtimer_run_when_the_test_says_so(ksr: Ksr, tmp_path: Path) -> None:
    """On a faked OPTIONS; what `exec` was given last runs first."""
    path = tmp_path / "timer_routes.py"
    path.write_text(
        "import sys\nimport KSR\nRAN = []\n"
        "def mod_init(): return sys.modules[__name__]\n"
        "def child_init(rank): return 0\n"
        "def one(msg, event):\n    RAN.append(('one', event, KSR.pv.get('$rm')))\n    return 1\n"
        "def two(msg, event):\n    RAN.append('two')\n    return 1\n"
    )
    ksr.param("rtimer", "timer", "name=tick;interval=500000u;mode=1;")
    ksr.param("rtimer", "exec", "timer=tick;route=one")
    ksr.param("rtimer", "exec", "timer=tick;route=two")
    script = ksr.load(path)
    ksr.run_timer("tick")
    assert script.RAN == ["two", ("one", "rtimer", "OPTIONS")]
    with pytest.raises(ValueError, match="name=tock"):
        ksr.run_timer("tock")


@pytest.mark.parametrize("function", ["t_on_branch", "t_on_reply", "t_on_failure"])
def test_a_misspelt_callback_is_refused_where_it_is_named(
    ksr: Ksr, tmp_path: Path, function: str
) -> None:
    """A real Kamailio says nothing, and does not do what was to be done there."""
    path = tmp_path / "misspelt.py"
    named = MODULE.replace('sl.sl_send_reply(200, "OK")', f'tm.{function}("managed")')
    path.write_text(f"{named}\n    return 1\n")
    ksr.load(path)
    with pytest.raises(MissingCallback, match=f"KSR.tm.{function}.'managed'."):
        ksr.receive(options())


@pytest.mark.parametrize("mode", ["strict", "faithful"])
@pytest.mark.parametrize(
    ("child_init", "error"),
    [
        ("", MissingCallback),
        ("def child_init(rank): pass", WrongReturn),
        ("def child_init(rank): return -1", WrongReturn),
        ("def child_init(rank): raise OSError", OSError),
    ],
)
def test_a_script_whose_child_init_ends_kamailio_is_not_loaded(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    child_init: str,
    error: type[BaseException],
    mode: str,
) -> None:
    request.node.add_marker(pytest.mark.ksr(mode=mode))
    ksr: Ksr = request.getfixturevalue("ksr")
    path = tmp_path / "ended.py"
    path.write_text(MODULE.replace("def child_init(rank): return 0", child_init))
    with pytest.raises(error):
        ksr.load(path)
    ksr.world.faults.clear()


RELAYS = """
import sys
import KSR
def mod_init(): return sys.modules[__name__]
def child_init(rank): return 0
def ksr_onsend_route(msg): return 1
def ksr_request_route(msg):
    KSR.pv.sets("$du", "sip:198.51.100.9:5060")
    return KSR.tm.t_relay()
def ksr_reply_route(msg):
    if KSR.tm.t_check_trans() > 0:
        KSR.set_drop()
    return 1
"""


@pytest.fixture
def ringing(ksr: Ksr, tmp_path: Path) -> IncomingCall:
    """A call that a script has relayed which drops replies when it has found their transaction."""
    path = tmp_path / "relays.py"
    path.write_text(RELAYS)
    ksr.load(path)
    callee = ksr.phone("2222", source=("198.51.100.9", 5060))
    ksr.receive(invite("sip:2222@example.test"))
    return callee.incoming()


def test_a_reply_is_not_dropped_with_its_transaction_in_hand(ringing: IncomingCall) -> None:
    """Kamailio may answer the next request of that worker in it."""
    with pytest.raises(HeldTransaction, match="still has that"):
        ringing.ring()


@pytest.mark.ksr(mode="faithful")
def test_a_dropped_reply_goes_nowhere(ringing: IncomingCall) -> None:
    assert ringing.ring().sent == []
