"""Calls that Debian's Kamailio 5.6.3 answered, and the same calls on the stub.

Each file in `recorded/` that is read here has `calls` (lists of calls) and `cases`: a message, the
number of its list of calls, what 5.6.3 answered and the replies it sent. The calls of `setup` were
made before. `{"address": "xavp"}` is where a list lies in memory. The server had the sockets and
modparams of `server()`; tags that it made are `X`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from ksr_stub import branches, dispatch, headers, message
from ksr_stub import world as worlds
from ksr_stub.message import Address, Socket
from ksr_stub.world import REPLY, REQUEST, World

_DIRECTORY = Path(__file__).parent / "recorded"
_TAG = re.compile(r"(To:[^\r\n]*;tag=)[0-9a-f.\-]+")


@attrs.frozen
class Case:
    """One message with the calls that were made on it."""

    name: str
    message: str
    setup: list[list[Any]]
    calls: list[list[Any]]
    answers: list[Any]
    replies: list[str]


def differences(*names: str) -> list[str]:
    """What the stub answers otherwise than 5.6.3 did, a line for each call and for the replies.

    Args:
        names: the recorded files.
    """
    return [found for name in names for case in _cases(name) for found in _differing(case)]


def _cases(name: str) -> list[Case]:
    recorded = json.loads((_DIRECTORY / f"{name}.json").read_text())
    return [
        Case(
            f"{name} {number}, {one['name']}",
            one["message"],
            one.get("setup", []),
            recorded["calls"][one["calls"]],
            one["answers"],
            one.get("replies", []),
        )
        for number, one in enumerate(recorded["cases"])
    ]


def server() -> World:
    """The World that is set up like the server that was recorded."""
    return World(
        strict=False,
        sockets=[Socket("udp", "127.0.0.1", 25060), Socket("tcp", "127.0.0.1", 25060)],
        aliases={"example.test"},
        defines={"PROBE_STR": '"abc"', "PROBE_INT": "42", "PROBE_ID": "hello", "PROBE_EMPTY": ""},
        environ={"PROBE_ENV": "envvalue"},
        params={
            ("core", "debug"): 1,
            ("core", "server_header"): "Server: probe",
            ("pv", "shvset"): ["sv=i:5", "ss=s:text"],
        },
    )


def _differing(case: Case) -> Iterator[str]:
    world = server()
    former = worlds.use(world)
    try:
        _receive(world, case.message)
        for call in case.setup:
            _answer(call)
        given = [_answer(call) for call in case.calls]
    finally:
        worlds.use(former)
    for call, expected, got in zip(case.calls, case.answers, given, strict=True):
        if isinstance(expected, dict):
            got = {"address": re.sub(r"^<<(\w+):0x[0-9a-f]+>>$", r"\1", str(got))}
        if (got, type(got)) != (expected, type(expected)):
            yield f"{case.name}: {call}: real {expected!r}, stub {got!r}"
    sent = [_TAG.sub(r"\1X", one.data.decode("latin-1")) for one in world.sent]
    if sent != case.replies:
        yield f"{case.name}: replies: real {case.replies}, stub {sent}"


def _receive(world: World, text: str) -> None:
    data = text.encode("latin-1")
    received = message.parse(data, Address("127.0.0.1", 25099), world.sockets[0])
    headers.check(received)
    received.id = world.next_message_id()
    world.message = received
    world.route = REQUEST if received.is_request else REPLY
    branches.clear(world)


def _answer(call: list[Any]) -> object:
    namespace, _, name = call[0].rpartition(".")
    try:
        result = dispatch.function(namespace, name)(*call[1:])
    except Exception as error:
        return f"!{type(error.__cause__ or error).__name__}"
    return int(result) if isinstance(result, int) and not isinstance(result, bool) else result
