"""The KEMI script of the real Kamailio: makes the calls of `calls.json`, sends what they gave."""

from __future__ import annotations

import functools
import json
import os
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import KSR

_DIRECTORY = Path(os.environ["PROBE_DIRECTORY"])
_ANSWERS = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def mod_init() -> ModuleType:
    """app_python3 calls the routes of what this returns."""
    return sys.modules[__name__]


def child_init(_rank: int) -> int:
    """Nothing to do in a worker."""
    return 0


def ksr_request_route(_msg: object) -> int:
    """Make the calls on a request; the fence only says that it came."""
    if KSR.pv.get("$ci") == "fence":
        _send(0, "fence")
        return 1
    return _probe()


def ksr_reply_route(_msg: object) -> int:
    """Make the calls on a reply, which goes no further."""
    _probe()
    KSR.set_drop()
    return 1


def ksr_onsend_route(_msg: object) -> int:
    """A script without it makes Kamailio complain."""
    return 1


def ksr_xhttp_event(_msg: object, _name: str) -> int:
    """xhttp, which provides $hu, does not start without it."""
    return 1


def _probe() -> int:
    number, calls = json.loads((_DIRECTORY / "calls.json").read_text())
    _send(number, [_result(call) for call in calls])
    return 1


def _result(call: list[Any]) -> object:
    try:
        return functools.reduce(getattr, call[0].split("."), KSR)(*call[1:])
    except Exception as error:
        return f"!{type(error.__cause__ or error).__name__}"


def _send(number: int, results: object) -> None:
    _ANSWERS.sendto(json.dumps([number, results]).encode(), str(_DIRECTORY / "answers"))
