"""Each container may be restarted or killed under traffic: it heals by itself, nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.conversation import hang_up
from tests.live.patience import eventually
from tests.live.phone import Phone

from .outside import Outside, call_and_hang_up, is_written, talk
from .stack import LONG_RUNNING, Stack

MAIN_PROCESS = {"db": "postgres -c", "rtpengine": "rtpengine --fore", "kamailio": "tini -s"}


@pytest.mark.parametrize("fault", ["restarted", "killed"])
@pytest.mark.parametrize("service", LONG_RUNNING)
def test_a_container_heals_under_registrations(outside: Outside, service: str, fault: str) -> None:
    """No phone is told to go away in the meantime, and none has to register again."""
    stack = outside.stack
    with outside.phones() as (alice, bob), registering(outside.phone("1111", "tcp")) as answers:
        eventually(lambda: is_written(stack, bob), "row of the binding", 30)
        if fault == "restarted":
            stack.compose("restart", service)
        else:
            kill(stack, service)
        stack.wait_until_healthy(service)
        before = answers.count(200)
        eventually(lambda: answers.count(200) > before, "registration afterwards")
        assert len(stack.bindings(f"{bob.user}@{bob.domain}")) == 1
        eventually(lambda: talks(alice, bob), "call with voice", 60)
        assert set(answers) <= {200, 503}, "nobody is refused because something is away"


def test_a_call_goes_on_while_kamailio_is_restarted(outside: Outside) -> None:
    """Voice does not pass it, and the secret that seals its dialogs is kept."""
    with outside.phones() as (alice, bob):
        ends, voices = talk(alice, bob)
        outside.stack.compose("restart", "kamailio")
        outside.stack.wait_until_healthy("kamailio")
        heard = voices[0].received
        voices[0].exchange(*voices, packets=100)
        assert voices[0].received > heard
        hang_up(*ends)


def test_a_stop_is_graceful(outside: Outside) -> None:
    """Every container ends by itself, long before Docker would kill it."""
    stack = outside.stack
    stack.compose("stop")
    try:
        codes = {service: stack.state(service)["State"]["ExitCode"] for service in LONG_RUNNING}
        assert codes == dict.fromkeys(LONG_RUNNING, 0)
    finally:
        stack.up()


def kill(stack: Stack, service: str) -> None:
    """SIGKILL for the first process of a container, as by the kernel when memory runs out."""
    [(pid, _), *_] = [
        process for process in stack.processes(service) if MAIN_PROCESS[service] in process[1]
    ]
    started = stack.state(service)["State"]["StartedAt"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: stack.state(service)["State"]["StartedAt"] != started, "new start", 60)


def talks(alice: Phone, bob: Phone) -> bool:
    """Whether a call has voice in both directions."""
    try:
        return bool(call_and_hang_up(alice, bob))
    except AssertionError:
        return False


@contextmanager
def registering(phone: Phone) -> Iterator[list[int]]:
    """A phone that registers ten times a second, so that MAX_RATE is never reached; the answers,
    of which an outage has none."""
    answers: list[int] = []
    over = threading.Event()

    def register() -> None:
        while not over.wait(0.1):
            try:
                answers.append(phone.register(timeout=2).status)
            except (AssertionError, OSError):
                reconnect(phone)

    thread = threading.Thread(target=register)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()
        phone.close()


def reconnect(phone: Phone) -> None:
    """A new connection, when somebody listens."""
    try:
        phone.reconnect()
    except OSError:
        threading.Event().wait(0.2)
