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
from pathlib import Path

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
            took, challenged = _play(
                pid, socket_, [request(n, c, 1) for n, c in zip(own, calls, strict=True)]
            )
            proofs = [answer_to(challenged[c], n) for n, c in zip(own, calls, strict=True)]
            again, accepted = _play(
                pid,
                socket_,
                [request(n, c, 2, proof) for n, c, proof in zip(own, calls, proofs, strict=True)],
            )
            refused = [a for a in accepted.values() if not a.startswith("SIP/2.0 200")]
            if refused:
                raise RuntimeError(f"a burst was answered: {refused[0].splitlines()[0]}")
            spent += took + again
    # between N answers there are N - 1 times
    return bursts * (BURST - 1) / spent * 1e9


def _play(pid: int, phone: socket.socket, requests: list[bytes]) -> tuple[int, dict[str, str]]:
    """Nanoseconds from the first answer to the last, and the answers by Call-ID."""
    with _standing_still(pid):
        for data in requests:
            phone.send(data)
    times: list[int] = []
    answers: dict[str, str] = {}
    while len(answers) < len(requests):
        came, answer = receive(phone)
        times.append(came)
        answers[_call_id(answer)] = answer
    return max(times) - min(times), answers


def _call_id(message: str) -> str:
    return next(
        line.partition(":")[2].strip()
        for line in message.split("\r\n")
        if line.lower().startswith("call-id:")
    )


@contextmanager
def _standing_still(pid: int) -> Iterator[None]:
    processes = sorted(cpu.family(pid))
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        _wait(lambda: all(_state(process) == "T" for process in processes))
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("a server does not stop")
