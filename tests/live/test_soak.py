"""Registrations and calls without end, while routes are reloaded and the database is restarted.

One minute; SOAK_MINUTES=60 is `make soak`, with a restart of the database every ten minutes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .conversation import connect, hang_up, reinvite
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .postgres import PostgresServer
from .requirement import require
from .server import LAUNCHER, Server
from .test_fuzz import faults, settled_memory

SECONDS = 60 * float(os.environ.get("SOAK_MINUTES", "1"))
PAIRS = 8
RELOAD_EVERY = min(20, SECONDS / 6)
RESTART_EVERY = min(600, SECONDS / 2)
# Seconds from one call of a pair to its next: all phones share an address, and MAX_RATE is for one.
PACE = 0.5
# A call that began in an outage may end after it.
AFTERMATH = 20
# Bytes that may come and go, and that each process of Kamailio may add to its own memory.
SHARED_SLACK = 300_000
PRIVATE_SLACK = 8_000_000


class Soak:
    """Pairs of phones that register and call each other, what failed, and when faults were made."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.end = time.monotonic() + SECONDS
        self.calls = 0
        self.failures: list[tuple[float, float, str]] = []
        self.outages: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    def talk(self, caller: Phone, callee: Phone) -> None:
        """One call after the other until the time is over."""
        while time.monotonic() < self.end:
            began = time.monotonic()
            try:
                self._call(caller, callee)
            except AssertionError as error:
                with self._lock:
                    self.failures.append((began, time.monotonic(), str(error)))
            for phone in caller, callee:
                phone.log.clear()
            caller, callee = callee, caller
            time.sleep(max(0, began + PACE - time.monotonic()))

    def _call(self, caller: Phone, callee: Phone) -> None:
        for phone in caller, callee:
            answer = phone.register(timeout=15)
            assert answer.status == 200, f"{phone} is not registered:\n{answer}"
        ends = connect(caller, callee)
        reinvite(*ends)
        hang_up(*ends)
        with self._lock:
            self.calls += 1

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The database is away; what fails meanwhile has a reason."""
        began = time.monotonic()
        yield
        self.outages.append((began, time.monotonic() + AFTERMATH))

    def unexplained(self) -> list[str]:
        """Failures outside all outages."""
        return [
            text
            for began, ended, text in self.failures
            if not any(began < end and start < ended for start, end in self.outages)
        ]


@pytest.fixture
def server(loopback: Namespace, postgres: PostgresServer) -> Server:
    require("kamailio", "kamcmd", LAUNCHER)
    return Server(loopback, settings={"DBURL": postgres.url, "DB_TIMEOUT": "2"})


@pytest.mark.timeout(SECONDS + 300)
def test_no_call_fails_without_a_reason(server: Server, postgres: PostgresServer) -> None:
    phones = [_phone(server, f"{1001 + number}") for number in range(2 * PAIRS)]
    soak = Soak(server)
    workers = server.workers()
    threads = [
        threading.Thread(target=soak.talk, args=pair)
        for pair in zip(phones[::2], phones[1::2], strict=True)
    ]
    for thread in threads:
        thread.start()
    used: list[tuple[int, int]] = []
    every = [
        _Every(RELOAD_EVERY, lambda: _reload(server)),
        _Every(RESTART_EVERY, lambda: _restart(soak, postgres)),
        _Every(SECONDS / 10, lambda: used.append((server.shared_memory(), _private(workers)))),
    ]
    while time.monotonic() < soak.end:
        for task in every:
            task.run_if_due()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    settled_memory(server)
    used.append((server.shared_memory(), _private(workers)))
    print(
        f"{soak.calls} calls, {len(soak.failures)} failed, {len(soak.outages)} outages,"
        f" shared and private memory in bytes: {used}"
    )
    assert soak.outages
    assert soak.unexplained() == []
    assert soak.calls > SECONDS
    assert server.workers() == workers
    assert faults(server.log) == []
    assert used[-1][0] - used[1][0] < SHARED_SLACK
    assert used[-1][1] - used[1][1] < PRIVATE_SLACK * len(workers)


class _Every:
    """Something to do again and again."""

    def __init__(self, seconds: float, action: Callable[[], object]) -> None:
        self._seconds, self._action = seconds, action
        self._due = time.monotonic() + seconds

    def run_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._due += self._seconds
            self._action()


def _phone(server: Server, user: str) -> Phone:
    """It writes a private address, as behind NAT: the alias and `received` lead to it."""
    contact = f"<sip:{user}@192.168.0.103:5060>"
    return server.phone(server.host, user, local=("127.0.0.1", 0), contact=contact)


def _reload(server: Server) -> None:
    assert "error" not in server.kamcmd("app_python.reload")


def _restart(soak: Soak, postgres: PostgresServer) -> None:
    with soak.outage():
        postgres.restart(immediate=True)
        eventually(lambda: postgres.administer("SELECT 1") is None, "database")


def _private(workers: dict[int, str]) -> int:
    """Bytes of memory that belong to one process each, of all of them together."""
    total = 0
    for pid in workers:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:  # noqa: PTH123
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    return total * 1024
