"""Our own routes on the stub: whatever step fails, the request has one answer."""

from __future__ import annotations

import importlib

import pytest
from ksr_stub.builders import message, options, register
from ksr_stub.harness import Ksr

from .own_routes import HOME, LIBRARY, bob, start

STRANGER = "sip:stranger@other.test"
# A function that each step calls, and a request that gets there.
CALLED = [
    ("bans.limit_rate", "pike.pike_check_req", "message"),
    ("guard.screen", "maxfwd.process_maxfwd", "message"),
    ("loops.stop", "siputils.is_first_hop", "message"),
    ("nat.find_caller", "nathelper.nat_uac_test", "message"),
    ("dialog.within", "siputils.has_totag", "message"),
    ("dialog.absorb_retransmission", "tmx.t_precheck_trans", "message"),
    ("auth.registrant", "auth.auth_challenge", "register"),
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


def shared() -> list[str]:
    """The modules that `start` gives to each test without importing them anew."""
    names = [name.replace(".", "/") for name in LIBRARY]
    files = [file for name in names for file in (HOME / name).glob("*.py")]
    files += [file for name in names if (file := HOME / f"{name}.py").exists()]
    return sorted(".".join(file.relative_to(HOME).with_suffix("").parts) for file in files)


@pytest.mark.parametrize("name", shared())
def test_what_all_tests_share_can_not_change(name: str) -> None:
    """Nor would a change in a global last: `library` puts that back."""
    module = importlib.import_module(name.removesuffix(".__init__"))
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    for place in (module, *(one for one in classes if one.__module__ == module.__name__)):
        for key, value in vars(place).items():
            changeable = isinstance(value, dict | list | set) or hasattr(value, "cache_clear")
            assert key.startswith("__") or not changeable, f"{place.__name__}.{key}"
