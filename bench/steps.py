"""How long each step of the request route takes: a KEMI_SCRIPT in place of kamailio/kemi.py.

    KEMI_SCRIPT=$PWD/bench/steps.py LOG_LEVEL=1 make run

Every 1,000 requests of a worker it logs, for REGISTERs with and without credentials and for all
others, the microseconds of each step. It is CPU time, so that other processes do not count; to look
at that clock takes itself about a microsecond.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import ParamSpec

import KSR

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from kemi_routes import engine
from kemi_routes.outcome import Outcome

P = ParamSpec("P")
EVERY = 1000
spent: Counter[tuple[str, str]] = Counter()
requests: Counter[str] = Counter()


def _timed(step: Callable[P, Outcome]) -> Callable[P, Outcome]:
    name = f"{step.__module__.rpartition('.')[2]}.{step.__name__}"

    def run(*args: P.args, **kwargs: P.kwargs) -> Outcome:
        begin = time.thread_time_ns()
        try:
            return step(*args, **kwargs)
        finally:
            spent[_kind, name] += time.thread_time_ns() - begin

    run.__module__, run.__name__ = step.__module__, step.__name__
    return run


def ksr_request_route(msg: object) -> int:
    """As the engine's, with a clock around each step."""
    global _kind
    _kind = str(KSR.pv.get("$rm"))
    if KSR.hdr.is_present("Authorization") > 0:
        _kind += " with credentials"
    begin = time.thread_time_ns()
    code = engine.ksr_request_route(msg)
    spent[_kind, "all"] += time.thread_time_ns() - begin
    requests[_kind] += 1
    if sum(requests.values()) >= EVERY:
        for (kind, name), nanoseconds in sorted(spent.items(), key=lambda item: -item[1]):
            KSR.notice(f"{kind:28} {name:30} {nanoseconds / requests[kind] / 1000:7.1f} us\n")
        spent.clear()
        requests.clear()
    return code


def mod_init() -> ModuleType:
    """Kamailio asks this module for its callbacks."""
    return sys.modules[__name__]


_kind = ""
engine.STEPS = tuple(_timed(step) for step in engine.STEPS)
engine.REGISTER_SCREENS = tuple(_timed(step) for step in engine.REGISTER_SCREENS)
engine.REGISTER_STEPS = tuple(_timed(step) for step in engine.REGISTER_STEPS)
engine.start(KSR.kx.get_def)
for callback in engine.CALLBACKS:
    globals().setdefault(callback, getattr(engine, callback))
