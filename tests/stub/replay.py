"""Replays what was recorded from a real Kamailio 5.6.3, and compares byte for byte."""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Any

import pytest
from ksr_stub import registry, script, server
from ksr_stub.message import Address, Socket
from ksr_stub.world import World, use

PORT = 6061
PHONES = (7001, 7002, 7003)
HEAD = """import KSR
import sys
def mod_init():
    return module
def child_init(rank):
    return 0
def ksr_reply_route(msg):
    return 1
def ksr_onsend_route(msg):
    return 1
"""


def cases(name: str) -> list[Any]:
    """The recorded cases of a file, as parameters named by their sentences."""
    text = Path(__file__).with_name("recorded").joinpath(f"{name}.json").read_text()
    return [pytest.param(case, id=case["name"]) for case in json.loads(text)]


def replay(case: dict[str, Any]) -> None:
    """Run a case on the stub; every step must send what Kamailio sent."""
    world = World(strict=False, sockets=[Socket("udp", "127.0.0.1", PORT)])
    world.params.update(_modparams(case["modparams"]))
    registry.load_models()
    former = use(world)
    try:
        module = types.ModuleType("recorded_script")
        vars(module)["module"] = module
        exec(HEAD + case["script"], vars(module))  # noqa: S102
        script.load(world, module)
        seen: list[tuple[int, str]] = []
        for number, step in enumerate(case["steps"]):
            sent = _do(world, step["step"], seen)
            seen += sent
            expected = [(port, text) for port, text in step["sent"]]
            shown = sorted(((port, normal(text)) for port, text in sent), key=lambda item: item[0])
            assert shown == expected, f"step {number}: {step['step']}"
    finally:
        use(former)


def normal(text: str) -> str:
    """A message without what is random in it."""
    text = re.sub(r"branch=z9hG4bK[0-9a-f]+\.[0-9a-f]+\.[0-9a-f]+", "branch=BR", text)
    return re.sub(r"(?<=;tag=)[0-9a-f]{32}[-.][0-9a-f.]+", "TAG", text)


def _modparams(text: str) -> dict[tuple[str, str], object]:
    found = re.findall(r'modparam\("(\w+)","(\w+)",(?:(-?\d+)|"([^"]*)")\)', text)
    return {(module, name): int(number) if number else word for module, name, number, word in found}


def _do(world: World, step: dict[str, Any], seen: list[tuple[int, str]]) -> list[tuple[int, str]]:
    before = len(world.sent)
    if "wait" in step:
        world.clock.advance(step["wait"])
    else:
        port, text = _message(step, seen)
        server.receive(world, text.encode("latin-1"), Address("127.0.0.1", port))
    return [
        (sent.to.port, sent.data.decode("latin-1"))
        for sent in world.sent[before:]
        if sent.to.port in PHONES
    ]


def _message(step: dict[str, Any], seen: list[tuple[int, str]]) -> tuple[int, str]:
    if "send" in step:
        port, text = step["send"]
        return port, text
    if "ack" in step:
        return 7001, _ack(_last(seen, 7001, "SIP/2.0"))
    return _reply(seen, **step["reply"])


def _last(seen: list[tuple[int, str]], port: int, start: str) -> str:
    return next(text for to, text in reversed(seen) if to == port and text.startswith(start))


def _ack(reply: str) -> str:
    to = re.search(r"To: (.*)\r\n", reply)
    assert to is not None
    return (
        "ACK sip:127.0.0.1:7002 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.1:7001;branch=z9hG4bKabc1\r\nMax-Forwards: 70\r\n"
        'From: "A" <sip:a@example.test>;tag=ft1\r\n'
        f"To: {to[1]}\r\nCall-ID: c1\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
    )


def _reply(
    seen: list[tuple[int, str]],
    code: int,
    reason: str,
    port: int = 7002,
    which: str = "INVITE",
    extra: str = "",
    to_tag: str = "callee",
) -> tuple[int, str]:
    lines = [f"SIP/2.0 {code} {reason}"]
    for line in _last(seen, port, which).split("\r\n")[1:]:
        name = line.partition(":")[0].lower()
        if name in ("via", "from", "call-id", "cseq", "record-route"):
            lines.append(line)
        if name == "to":
            lines.append(line if ";tag=" in line else f"{line};tag={to_tag}")
    return port, "\r\n".join(lines) + f"\r\n{extra}Content-Length: 0\r\n\r\n"
