"""How many workers may wait for something slow, so that one is left for all that needs nothing.

A worker that waits for the database, or for a binding that usrloc is writing there, serves nobody
else. A locked table would stop them all, one request each. So one worker of each pool never waits
for long, and while the database is away none asks it: a process of its own finds out whether it is
back. The counters are in an htable: all workers see them, and a reload keeps them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import KSR

from kemi_routes import settings

T = TypeVar("T")
TABLE = "waiting"
AWAY = "away"
ANSWERS = "answers"  # how many there were: a database that answers others is busy, and not away
# Seconds: a database that takes longer, and then fails, is away; and so is one that has answered
# nobody while the last worker of a pool waited so long for another one to be done.
LONG = 0.5
SHORT = 0.2  # seconds to wait for another worker to be done with the bindings of the same user
# Who waits sees a place only when he looks, and others take it at once when all are busy.
PAUSE = 0.001
QUEUES = 4096  # for bindings, however many users there are
_pool = "pool 0"


def join(rank: int) -> None:
    """Say which pool this process belongs to: the workers of one UDP socket, or those of TCP.

    Args:
        rank: as child_init gets it; workers count from 1, socket by socket.
    """
    global _pool
    _pool = f"pool {(rank - 1) // settings.active.children}"


def ask(question: Callable[[], int], failed: Callable[[int], bool]) -> int | None:
    """Ask the database, if it is likely to answer.

    Args:
        question: asks it and returns a code.
        failed: whether that code means that it did not answer.
    Returns:
        What `question` returned; None if it was not asked: the database is away, or so busy that
        this worker found no place.
    """
    if KSR.htable.sht_get(TABLE, AWAY):
        return None
    places = _places()
    if not _enter(_pool, places):
        answers = KSR.htable.sht_get(TABLE, ANSWERS)
        if not _wait(_pool, places, LONG):
            if answers == KSR.htable.sht_get(TABLE, ANSWERS):
                KSR.htable.sht_seti(TABLE, AWAY, 1)
            return None
    began = time.monotonic()
    try:
        code = question()
    finally:
        _leave(_pool)
    if not failed(code):
        KSR.htable.sht_inc(TABLE, ANSWERS)
    elif time.monotonic() - began > LONG:
        KSR.htable.sht_seti(TABLE, AWAY, 1)
    return code


def probe(answers: Callable[[], bool]) -> None:
    """Find out whether the database is back, if it is away; not for a worker.

    Args:
        answers: asks the database what the workers ask, and whether it answered.
    """
    if KSR.htable.sht_get(TABLE, AWAY) and answers():
        KSR.htable.sht_rm(TABLE, AWAY)


def is_away() -> bool:
    """Whether the database is away."""
    return bool(KSR.htable.sht_get(TABLE, AWAY))


def hold(user: str, work: Callable[[], T]) -> T | None:
    """Work on the bindings of a user, unless another worker is stuck with them.

    usrloc locks them while it writes them to the database.

    Args:
        user: the user of the address of record.
        work: what is to be done with the bindings.
    Returns:
        What `work` returned; None if it was not done.
    """
    queue = f"bindings {hash(user.lower()) % QUEUES}"
    if not (_enter(queue, 1) or _wait(queue, 1, SHORT)):
        return None
    try:
        return work()
    finally:
        _leave(queue)


def _places() -> int:
    """How many workers of this pool may wait for the database."""
    spared = settings.active.children - 1
    if not KSR.is_UDP():
        # a TCP worker that waits takes its other connections along
        spared = settings.active.children // 2
    return max(1, spared)


def _enter(queue: str, places: int) -> bool:
    """Take a place in a queue, if there is one."""
    if KSR.htable.sht_inc(TABLE, queue) <= places:
        return True
    KSR.htable.sht_dec(TABLE, queue)
    return False


def _wait(queue: str, places: int, seconds: float) -> bool:
    """Wait so many seconds for a place, and take it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(PAUSE)
        if _enter(queue, places):
            return True
    return False


def _leave(queue: str) -> None:
    # below 0 only after a wait so long that htable has forgotten who waits
    if KSR.htable.sht_dec(TABLE, queue) < 0:
        KSR.htable.sht_rm(TABLE, queue)
