"""Module corex: what it can tell of a message."""

from __future__ import annotations

from ksr_stub import uri
from ksr_stub.registry import model
from ksr_stub.world import World


@model("corex")
def has_ruri_user(world: World) -> int:
    """1: the R-URI of a request has a user part, else -1."""
    message = world.msg
    parsed = uri.parse(message.uri) if message.is_request else None
    return 1 if parsed is not None and parsed.user else -1


@model("corex")
def has_user_agent(world: World) -> int:
    """1: there is a User-Agent that is not empty, else -1."""
    return 1 if world.msg.get("user-agent") else -1
