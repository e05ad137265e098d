"""An exception in any step: one answer, one line of the log, and the worker goes on."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installation import InstalledServer, make
from .network import Namespace
from .phone import Phone
from .requirement import require
from .server import DOMAIN, ROOT

ANY_PORT = ("127.0.0.1", 0)
ENGINE = (ROOT / "kemi_routes/engine.py").read_text()
# A step of these raises where a request has its number.
FAILING = """

import functools


def _failing(number, step):
    @functools.wraps(step)
    def run(*asked):
        if KSR.hdr.get("X-Fail") == str(number):
            raise RuntimeError("boom")
        return step(*asked)

    return run


STEPS = tuple(_failing(number, step) for number, step in enumerate(STEPS))
REGISTER_SCREENS = tuple(_failing(number, step) for number, step in enumerate(REGISTER_SCREENS))
REGISTER_STEPS = tuple(
    _failing(number, step) for number, step in enumerate(REGISTER_STEPS, len(REGISTER_SCREENS))
)
"""


def steps(name: str) -> list[str]:
    """The steps of a request or of a REGISTER, as `module.function`."""
    listed = ENGINE.partition(f"\n{name}: ")[2].partition("\n)\n")[0]
    return re.findall(r"^    (\w+\.\w+),$", listed, re.MULTILINE)


@pytest.fixture(scope="module")
def server(host: Namespace) -> Iterator[InstalledServer]:
    """An installed server whose routes fail on demand."""
    require("kamailio")
    directory = Path(tempfile.mkdtemp(prefix="kemi-etc-"))
    make("install", f"PREFIX={directory}/etc")
    with (directory / "etc/kemi_routes/engine.py").open("a") as engine:
        engine.write(FAILING)
    server = InstalledServer(host, directory / "etc")
    yield server
    server.close()
    shutil.rmtree(directory)


@pytest.fixture
def phone(server: InstalledServer) -> Iterator[Phone]:
    """A registered phone."""
    phone = server.phone(server.host, "1111", local=ANY_PORT)
    assert phone.register().status == 200
    yield phone
    phone.close()


def has_one_line(server: InstalledServer, step: str, since: int) -> None:
    """The log names the step and the Call-ID, once."""
    server.wait_for_log(rf"{step} failed: RuntimeError\('boom'\) Call-ID=\S+", since=since)
    lines = server.process.lines[since:]
    assert sum("boom" in line for line in lines) == 1
    assert "Traceback" not in "\n".join(lines)


def test_a_request_is_answered_whatever_step_fails(server: InstalledServer, phone: Phone) -> None:
    workers = server.workers()
    stranger = Phone(
        server.host, "stranger", "elsewhere.example", None, server.address(), local=ANY_PORT
    )
    assert len(steps("STEPS")) > 10
    for number, step in enumerate(steps("STEPS")):
        since = server.mark()
        headers = {"X-Fail": str(number), "Content-Type": "text/plain"}
        assert stranger.request("MESSAGE", phone.aor, "hello", headers).final().status == 500
        has_one_line(server, step, since)
        assert stranger.request("OPTIONS", f"sip:{DOMAIN}").final().status == 200
    assert not phone.has_request("MESSAGE")
    message = stranger.request("MESSAGE", phone.aor, "hello", {"Content-Type": "text/plain"})
    phone.expect_request("MESSAGE").reply(200)
    message.wait_for(200)
    assert server.workers() == workers
    stranger.close()


def test_a_register_is_answered_whatever_step_fails(server: InstalledServer, phone: Phone) -> None:
    workers = server.workers()
    register_steps = steps("REGISTER_SCREENS") + steps("REGISTER_STEPS")
    assert len(register_steps) > 5
    for number, step in enumerate(register_steps):
        since = server.mark()
        # not what the phone has said before: that would be done with after some of the steps
        answer = phone.register(expires=600 + number, headers={"X-Fail": str(number)})
        assert answer.status == 500
        has_one_line(server, step, since)
    assert phone.register().status == 200
    assert server.workers() == workers
