"""Our own routes on the stub: whatever step fails, the request has one answer."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from enum import Enum, IntEnum
from types import ModuleType

import attrs
import pytest
from ksr_stub.builders import message, options, register
from ksr_stub.harness import Ksr

from .own_routes import LIBRARY, bob, start

STRANGER = "sip:stranger@other.test"
# A function that each step calls, and a request that gets there.
CALLED = [
    ("bans.limit_rate", "pike.pike_check_req", "message"),
    ("guard.screen", "maxfwd.process_maxfwd", "message"),
    ("loops.stop", "siputils.is_first_hop", "message"),
    ("nat.find_caller", "nathelper.nat_uac_test", "message"),
    ("dialog.within", "siputils.has_totag", "message"),
    ("dialog.absorb_retransmission", "tmx.t_precheck_trans", "message"),
    ("auth.challenge_newcomer", "auth.auth_challenge", "register"),
    ("location.locate", "registrar.lookup", "message"),
    ("relay.send", "tm.t_on_branch", "message"),
]


@pytest.mark.parametrize(("step", "function", "kind"), CALLED, ids=[step for step, _, _ in CALLED])
def test_an_exception_in_any_step_has_one_answer_and_one_line(
    ksr: Ksr, step: str, function: str, kind: str
) -> None:
    """500, and the log names the step and the Call-ID; the next request is as any other."""
    server = start(ksr)
    bob(server).register()

    def fail(*_arguments: object) -> int:
        raise RuntimeError("boom")

    real = dict(server.world.answers)
    server.answer(function, fail)
    data = (
        register("1111", call_id="this-call")
        if kind == "register"
        else message("sip:2222@example.test", sender=STRANGER, call_id="this-call")
    )
    result = server.receive(data)
    assert result.reply.status == 500
    lines = [line.text for line in result.log if "boom" in line.text]
    assert len(lines) == 1
    assert f"{step} failed: RuntimeError('boom')" in lines[0]
    assert "Call-ID=this-call" in lines[0]
    server.world.answers.clear()
    server.world.answers.update(real)
    assert server.receive(options("sip:example.test")).reply.status == 200


def test_what_all_tests_share_is_as_new_for_each(ksr: Ksr) -> None:
    """`library` puts back globals, what is in them and what functions remember, and no more."""
    start(ksr)
    shared = [m for name, m in sys.modules.items() if f"{name}.".startswith(tuple(LIBRARY))]
    assert len(shared) > 20
    kept = [found for module in shared for found in _own_state(module)]
    assert kept == []


def _own_state(module: ModuleType) -> Iterator[str]:
    """What `library` does not put back."""
    names = {key: value for key, value in vars(module).items() if not key.startswith("__")}
    for key, value in names.items():
        where = f"{module.__name__}.{key}"
        if isinstance(value, dict | list | set):
            inside = list(value.values() if isinstance(value, dict) else value)
            if any(map(_can_change, inside)):
                yield where
        elif isinstance(value, type):
            own = vars(value) if value.__module__ == module.__name__ else {}
            if any(_can_change(one) for name, one in own.items() if name not in FIXED):
                yield where
        elif type(value).__module__.startswith("kemi_routes") and not _is_fixed(value):
            yield where


# what Python itself keeps in a class of kemi_routes
FIXED = {"__annotations__", "_field_defaults", *vars(IntEnum("One", "ONE"))}


def _can_change(value: object) -> bool:
    return isinstance(value, dict | list | set | type(functools.cache(len)))


def _is_fixed(value: object) -> bool:
    if isinstance(value, Enum):
        return True
    try:
        value.anything = 1  # type: ignore[attr-defined]
    except AttributeError as error:
        return isinstance(error, attrs.exceptions.FrozenInstanceError)
    return False
