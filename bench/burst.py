"""How many registrations a second a server takes: SIPp is slower than most of them.

The server stands still while the requests come, and then has to answer all of them. What counts is
from its first answer to its last, by the kernel's clock.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.live.message import Message

from . import cpu
from .probe import answer_to, phone_of, receive, request

# As many as wait in the smallest socket buffer, that of Kamailio's defaults.
BURST = 128
PATIENCE = 5.0


def rate(pid: int, port: int, own_port: int, phones: Sequence[int], bursts: int) -> float:
    """Challenged registrations a second.

    Args:
        pid: of the server's main process.
        port: of the server on 127.0.0.1.
        own_port: where the phones are, as their NAT has it.
        phones: the numbers of the subscribers, as many as one burst needs for each.
        bursts: how many.
    Raises:
        RuntimeError: one was not accepted.
    """
    spent = 0
    with phone_of(port, own_port) as socket_:
        for i in range(bursts):
            own = phones[i * BURST : (i + 1) * BURST]
            calls = [f"{secrets.token_hex(8)}{number:07}" for number in own]
            started = list(zip(own, calls, strict=True))
            took, challenged = _play(pid, socket_, [request(n, c, 1) for n, c in started])
            proven = [request(n, c, 2, answer_to(challenged[c], n)) for n, c in started]
            again, accepted = _play(pid, socket_, proven)
            refused = [a for a in accepted.values() if a.status != 200]
            if refused:
                raise RuntimeError(f"a burst was answered: {refused[0].start_line}")
            spent += took + again
    # between N answers there are N - 1 times
    return bursts * (BURST - 1) / spent * 1e9


def _play(pid: int, phone: socket.socket, requests: list[bytes]) -> tuple[int, dict[str, Message]]:
    """Nanoseconds from the first answer to the last, and the answers by Call-ID."""
    with _standing_still(pid):
        for data in requests:
            phone.send(data)
    times: list[int] = []
    answers: dict[str, Message] = {}
    while len(answers) < len(requests):
        came, answer = receive(phone)
        times.append(came)
        answers[answer["Call-ID"]] = answer
    return max(times) - min(times), answers


@contextmanager
def _standing_still(pid: int) -> Iterator[None]:
    processes = sorted(cpu.family(pid))
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        _wait(lambda: all(cpu.stat(process)[0] == "T" for process in processes))
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("a server does not stop")
