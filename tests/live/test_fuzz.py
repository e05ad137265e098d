"""Mutated requests: no crash, no traceback, no leak.

20,000 messages; FUZZ_MESSAGES=1000000 sends more (`make fuzz`), FUZZ_SEED other ones.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..mutation import NO_TEXT, Mutator, seeds
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .requirement import require
from .server import LAUNCHER, Server

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "4475"))
# So many at a time; then the server has to show that it still answers.
BATCH = 100
# Bytes of shared memory that may come and go: timers, connections, tables that grow once.
SLACK = 200_000


@pytest.fixture
def server(loopback: Namespace) -> Server:
    require("kamailio", "kamcmd", LAUNCHER)
    return Server(
        loopback, settings={"FR_TIMER": "1000", "FR_INV_TIMER": "1000", "MAX_RATE": "65535"}
    )


@pytest.fixture
def phone(server: Server) -> Iterator[Phone]:
    """A registered phone that says nothing to what reaches it but pings."""
    phone = server.phone(server.host, "1111", local=("127.0.0.1", 0))
    assert phone.register().status == 200
    yield phone
    phone.close()


@pytest.mark.timeout(120 + MESSAGES // 100)
def test_mutated_requests_do_no_harm(server: Server, phone: Phone) -> None:
    mutator = Mutator(seeds(server.domain, phone.user), SEED)
    workers = server.workers()
    attack(server, phone, mutator, MESSAGES // 4)
    before = settled_memory(server)
    attack(server, phone, mutator, MESSAGES - MESSAGES // 4)
    assert settled_memory(server) - before < SLACK
    assert overlooked(server) == 0
    assert server.workers() == workers
    assert faults(server.log) == []


def attack(server: Server, phone: Phone, mutator: Mutator, count: int) -> None:
    """Send mutated requests, no faster than the server takes them."""
    host, port = server.address()
    with server.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        for number in range(count):
            attacker.sendto(mutator.message(), (host, port))
            if number % BATCH == 0:
                phone.request("OPTIONS", f"sip:{server.domain}").wait_for(200, 20)


def overlooked(server: Server) -> int:
    """How many datagrams the kernel threw away, because the server's buffer was full."""
    rows = [row.split() for row in Path("/proc/net/udp").read_text().splitlines()[1:]]
    [drops] = [int(row[-1]) for row in rows if int(row[1][-4:], 16) == server.address()[1]]
    return drops


def settled_memory(server: Server) -> int:
    """Bytes of shared memory in use when every transaction has been freed."""
    eventually(
        lambda: server.kamcmd("tm.stats").count("current: 0") == 1,
        "end of all transactions",
        timeout=60,
    )
    return server.shared_memory()


def faults(log: str) -> list[str]:
    """What no request may cause: crashes, tracebacks, and steps that failed."""
    wrong = re.compile(r"Traceback|CRITICAL|BUG|SystemError|signal \d+|kemi-routes: \S+ failed")
    return [line for line in log.splitlines() if wrong.search(line) and not NO_TEXT.search(line)]
