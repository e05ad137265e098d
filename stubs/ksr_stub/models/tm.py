"""Module tm: transactions (modules/tm of Kamailio)."""

from __future__ import annotations

from ksr_stub.world import World


def current(_world: World) -> object | None:
    """The transaction of the message being routed, None without one."""
    return None


def reply_to(_world: World, _code: int, _reason: str) -> int:
    """Reply within the transaction."""
    return -1
