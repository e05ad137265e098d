"""When the main process was killed: what only memory knows of the bindings is written.

A worker that dies takes all of Kamailio down in an orderly way, and the main process then writes
the bindings. A main process that is killed (SIGKILL, no memory left) writes nothing. Its children
live on until who supervises it ends them with SIGTERM; the one in here writes before it obeys.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

import KSR

from kemi_routes import patience

FLUSH = '{"jsonrpc": "2.0", "method": "ul.flush", "id": 1}'
_main = 0


def join() -> None:
    """Remember whose child this process is; when it starts."""
    global _main
    _main = os.getppid()


def watch() -> None:
    """Five times a second, in a process that has a connection of usrloc to the database.

    Not while the database is away: nothing can be written then, and a query must not hold back
    the end.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL if patience.is_away() else _end)


def _end(_signum: int, _frame: FrameType | None) -> None:
    if os.getppid() != _main:
        KSR.jsonrpcs.exec(FLUSH)
    os._exit(0)
