"""Failure routes: what runs when no branch succeeded, on a copy of the request."""

from __future__ import annotations

from ksr_stub import branches, build, script
from ksr_stub.message import SipMessage
from ksr_stub.tm import cell, reply
from ksr_stub.tm.cell import Client, Transaction
from ksr_stub.world import FAILURE, World


def run(
    world: World,
    transaction: Transaction,
    client: Client,
    name: str,
    route: str,
    *,
    fresh: bool = False,
) -> SipMessage:
    """Run a failure or branch failure route, and return the request that it saw.

    Args:
        world: the server.
        transaction: whose request it sees.
        client: the branch that it is about.
        name: the callback.
        route: the kind of route.
        fresh: whether the R-URI is still to be forked to.
    """
    request = build.copy(transaction.request)
    request.bflags = client.bflags
    request.uri_fresh = fresh
    request.notes["tm"] = note = cell.Pending(
        looked_up=True, transaction=transaction, branch=client.index
    )
    note.timed_out, note.replied = client.timed_out, client.replied
    entries = branches.swap(world, [])
    former = world.route, world.drop, world.message
    world.route, world.drop, world.message = route, False, request
    try:
        script.run(world, name)
    finally:
        world.route, world.drop, world.message = former
        branches.swap(world, entries)
    transaction.request.flags = request.flags
    return request


def decide(
    world: World, transaction: Transaction, current: Client, picked: Client, code: int
) -> bool:
    """Run the failure route of the branch that was picked.

    Returns:
        Whether a reply is still to be sent: the route neither answered nor added branches.
    """
    table = cell.table(world)
    before = len(transaction.clients)
    table.drop_replies = world.param("tm", "failure_reply_mode", 3)
    name, transaction.on_failure = picked.on_failure, ""
    request = run(world, transaction, picked, name, FAILURE)
    added = len(transaction.clients) > before
    dropped = (table.drop_replies == 3 and added) or table.drop_replies in (1, 2)
    if dropped:
        _drop(transaction, before, table.drop_replies)
    if transaction.status >= 200:
        current.reply = None
        return False
    if added:
        held = None if dropped else current
        best = reply.pick(transaction, held, code, current.reply)
        if best is None and any(c.last_received < 200 for c in transaction.clients):
            return False
        if best is None and dropped:
            error = cell.pending(request).error
            reply.kill(world, transaction, transaction.request, error or -1)
            return False
        return True
    if dropped:
        reply.kill(world, transaction, transaction.request, cell.pending(request).error or -1)
        return False
    return True


def _drop(transaction: Transaction, before: int, mode: int) -> None:
    start = 0
    if mode == 2:
        marked = [c.index for c in transaction.clients[:before] if c.first_of_step]
        start = marked[-1] if marked else 0
    for client in transaction.clients[start:before]:
        client.reply = None
