"""Module tm: the functions that tell how a transaction stands."""

from __future__ import annotations

import re

from ksr_stub.models.tm import check
from ksr_stub.registry import model
from ksr_stub.tm import cell, reply
from ksr_stub.tm.cell import BRANCH_FAILURE, Transaction
from ksr_stub.world import FAILURE, REPLY, REQUEST, World


@model("tm")
def t_is_canceled(world: World) -> int:
    """1 where the transaction was cancelled, else -1."""
    transaction = check(world)
    return 1 if transaction is not None and transaction.cancelled else -1


@model("tm")
def t_is_expired(world: World) -> int:
    """1 where the transaction is beyond its lifetime, else -1."""
    transaction = check(world)
    return 1 if transaction is not None and transaction.life_end <= world.clock.now else -1


@model("tm")
def t_any_timeout(world: World) -> int:
    """1 where a branch had no answer in time, else -1."""
    transaction = check(world)
    found = transaction is not None and any(client.timed_out for client in transaction.clients)
    return 1 if found else -1


@model("tm")
def t_any_replied(world: World) -> int:
    """1 where a branch was answered, else -1."""
    transaction = check(world)
    found = transaction is not None and any(client.replied for client in transaction.clients)
    return 1 if found else -1


@model("tm")
def t_branch_timeout(world: World) -> int:
    """In a failure route: 1 where the picked branch had no answer in time, else -1."""
    inside = world.route in (FAILURE, BRANCH_FAILURE)
    return 1 if inside and cell.pending(world.msg).timed_out else -1


@model("tm")
def t_branch_replied(world: World) -> int:
    """In a failure route: 1 where the picked branch was answered before, else -1."""
    inside = world.route in (FAILURE, BRANCH_FAILURE)
    return 1 if inside and cell.pending(world.msg).replied else -1


@model("tm")
def t_grep_status(world: World, code: int) -> int:
    """1 where a branch got that code, else -1."""
    transaction = check(world)
    if transaction is None:
        return -1
    found = any(c.last_received == code and c.replied for c in transaction.clients)
    return 1 if found else -1


@model("tm")
def t_get_status_code(world: World) -> int:
    """The code of the reply, of the last one sent, or of the picked branch; -1 none."""
    transaction = check(world)
    if transaction is None:
        return -1
    return status_of(world, transaction) or -1


@model("tm")
def t_check_status(world: World, pattern: str) -> int:
    """Whether that code matches an extended regular expression; 1 or -1."""
    transaction = check(world)
    if transaction is None:
        return -1
    try:
        expression = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    except re.error:
        world.say(-1, f"tm: Bad regular expression '{pattern}'")
        return -1
    return 1 if expression.search(str(status_of(world, transaction))) else -1


def status_of(world: World, transaction: Transaction) -> int:
    """The code that matters in the route that runs."""
    if world.route == REQUEST:
        return transaction.status
    if world.route == REPLY:
        return world.msg.status
    client = transaction.clients[cell.pending(world.msg).branch]
    if world.route == BRANCH_FAILURE:
        return client.last_received
    best = reply.pick(transaction, None, 0, None)
    return client.last_received if best is None else best.last_received
