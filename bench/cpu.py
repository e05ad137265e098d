"""CPU time of running processes, from /proc, and which cores they may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def stat(process: int) -> list[str]:
    """What /proc says of a process, from its state on (proc(5)): state, parent and more."""
    # the name before them, in parentheses, may have spaces
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def family(root: int) -> set[int]:
    """A process and all its descendants, by process id."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int(stat(int(entry.name))[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


def used(root: int) -> dict[int, float]:
    """Seconds of CPU that each process of a family has used, to the nanosecond."""
    spent = {}
    for pid in family(root):
        with suppress(OSError):
            threads = list(Path(f"/proc/{pid}/task").iterdir())
            spent[pid] = sum(int((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9
    return spent


def since(before: dict[int, float], root: int) -> float:
    """Seconds of CPU that a family has used since `before`, which `used` gave."""
    return sum(now - before.get(pid, 0.0) for pid, now in used(root).items())


def cores() -> tuple[set[int], set[int]]:
    """The core of the server, and the cores of the load; the same one where there is one only."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


@contextmanager
def on(wanted: set[int]) -> Iterator[None]:
    """What is started inside runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
