"""KSR calls on messages, with what Kamailio 5.6.3 returned, wrote and replied."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import KSR
import pytest
from ksr_stub import branches, message, registry
from ksr_stub.message import Address, Socket
from ksr_stub.world import World, use

SOCKETS = (("udp", "203.0.113.10"), ("tcp", "203.0.113.10"), ("udp", "2001:db8::10"))


def masked(text: str) -> str:
    """A reply without what is random or moves with the time."""
    text = re.sub(r"tag=[0-9a-f.-]+|Server:[^\r]*\r\n", "tag=T", text)
    text = re.sub(r"uloc-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+", "RUID", text)
    return re.sub(r"expires=(\d+)", lambda m: f"expires~{(int(m[1]) + 5) // 10}", text)


def without_length(result: object) -> object:
    """A written message without Content-Length: textopsx counts it anew, applied() does not."""
    if isinstance(result, str) and "\r\n\r\n" in result:
        return re.sub(r"Content-Length: \d+\r\n", "", result)
    return result


def run(world: World, case: dict[str, Any]) -> tuple[list[object], list[str]]:
    """Do the calls of a case: what they return, and what was sent."""
    source = Address(*case["source"])
    here = next(s for s in world.sockets if (":" in s.host) == (":" in source.host))
    routed = message.parse(case["message"].encode("latin-1"), source, here)
    routed.id = world.next_message_id()
    world.message = routed
    branches.clear(world)
    before = len(world.sent)
    results = [call(routed, name, arguments) for name, *arguments in case["calls"]]
    return results, [masked(one.data.decode("latin-1")) for one in world.sent[before:]]


def call(routed: message.SipMessage, name: str, arguments: list[object]) -> object:
    """One call; `apply` gives the message as it would be sent, `pvx` is pv.get."""
    if name == "apply":
        return routed.applied()
    target: Any = KSR
    for part in ("pv.get" if name == "pvx" else name).split("."):
        target = getattr(target, part)
    return target(*arguments)


@pytest.mark.parametrize("name", ["nathelper", "registrar", "lookup"])
def test_the_stub_answers_as_kamailio_did(name: str) -> None:
    """Return codes, variables, edits and replies of every recorded case, in their order."""
    path = Path(__file__).with_name("recorded") / f"{name}.json"
    recorded = json.loads(path.read_text())
    world = World(strict=False, sockets=[Socket(proto, host, 5060) for proto, host in SOCKETS])
    world.aliases.add("example.test")
    world.params.update({(module, key): value for module, key, value in recorded["params"]})
    world.params["usrloc", "preload"] = "location"
    registry.load_models()
    former = use(world)
    try:
        for number, case in enumerate(recorded["cases"]):
            results, replies = run(world, case)
            shown = f"case {number}: {case['calls']} on\n{case['message']}"
            expected = [without_length(result) for result in case["results"]]
            assert [without_length(result) for result in results] == expected, shown
            assert replies == case["replies"], shown
    finally:
        use(former)
