"""tmx's pseudo-variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from ksr_stub.builders import invite
from ksr_stub.harness import Ksr

SCRIPT = """
import sys
import KSR
SEEN = []
def mod_init(): return sys.modules[__name__]
def child_init(rank): return 0
def note(where):
    names = ("$T_branch_idx", "$T_reply_code", "$T(id_index)")
    SEEN.append((where, *(KSR.pv.get(name) for name in names)))
    return 1
def ksr_request_route(msg):
    note("request")
    KSR.tm.t_on_branch("branch")
    KSR.tm.t_on_reply("reply")
    KSR.tm.t_on_failure("failure")
    KSR.setdsturi("sip:198.51.100.9:5060")
    KSR.tm.t_relay()
    note("relayed")
    return 1
def branch(msg): return note("branch")
def reply(msg): return note("reply")
def failure(msg): return note("failure")
def ksr_reply_route(msg): return 1
def ksr_onsend_route(msg): return 1
"""


@pytest.fixture
def seen(ksr: Ksr, tmp_path: Path) -> dict[str, tuple[object, ...]]:
    """What the variables were in each route of a call that was busy."""
    path = tmp_path / "noting.py"
    path.write_text(SCRIPT)
    module = ksr.load(path)
    callee = ksr.phone("bob", source=("198.51.100.9", 5060), domain="example.test")
    ksr.receive(invite())
    callee.incoming().refuse(486)
    return {where: tuple(values) for where, *values in module.SEEN}


def test_the_branch_index(seen: dict[str, tuple[object, ...]]) -> None:
    """The branch of a branch route and a reply; in a failure route the number of the next one."""
    found = {where: values[0] for where, values in seen.items()}
    assert found == {"request": 0, "branch": 0, "relayed": 0, "reply": 0, "failure": 1}


def test_the_reply_code(seen: dict[str, tuple[object, ...]]) -> None:
    """In a failure route it is the status of the winning reply."""
    assert seen["reply"][1] == 486
    assert seen["failure"][1] == 486
    assert seen["request"][1] == 0


def test_the_transaction_has_an_id(seen: dict[str, tuple[object, ...]]) -> None:
    """`$T(id_index)` is None before there is a transaction, and the same in all its routes."""
    assert seen["request"][2] is None
    assert seen["relayed"][2] is not None
    assert seen["relayed"][2] == seen["failure"][2]
