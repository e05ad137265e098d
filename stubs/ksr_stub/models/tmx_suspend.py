"""Module tmx: a request that waits for something else (t_suspend.c of modules/tm).

Who suspends a transaction remembers `$T(id_index)` and `$T(id_label)`, and continues it with these.
"""

from __future__ import annotations

import zlib

from ksr_stub import branches
from ksr_stub.errors import NotModelled
from ksr_stub.models import tm
from ksr_stub.models.tm_timers import expiry
from ksr_stub.registry import model
from ksr_stub.tm import cell, failure, forward, reply
from ksr_stub.tm.cell import BRANCH_FAILURE, FAKED, Buffer, Client, Transaction
from ksr_stub.world import FAILURE, REPLY, World

_DONE = 500


def identity(transaction: Transaction) -> tuple[int, int]:
    """What `$T(id_index)` and `$T(id_label)` show."""
    return transaction.number, zlib.crc32(transaction.label.encode()) & 0x7FFFFFFF


@model("tmx")
def t_suspend(world: World) -> int:
    """Let the request wait for t_continue, at most fr_timer long.

    Makes the transaction where there is none, and answers an INVITE with 100.

    Returns:
        1, also for a cancelled request, which does not wait; -1 after a final reply.
    """
    if world.route == REPLY:
        raise world.fault(NotModelled("the stub has no model of t_suspend in an onreply route"))
    if tm.current(world) is None and forward.newtran(world) < 0:
        return -1
    transaction, message = tm.current(world), world.msg
    if transaction is None:
        world.say(-1, "tmx: cannot lookup the transaction")
        return -1
    if transaction.cancelled:
        return 1
    if transaction.status >= 200:
        return -1
    if transaction.is_invite and transaction.auto_100 and transaction.status < 100:
        text = world.param("tm", "auto_inv_100_reason", "trying -- your call is important to us")
        reply.answer(world, transaction, message, 100, text)
    if not transaction.clients:
        transaction.request.lumps = list(message.lumps)
    transaction.request.flags = message.flags
    return _wait(world, transaction)


def _wait(world: World, transaction: Transaction) -> int:
    """Add a branch that is sent nowhere: its timer ends the waiting."""
    index = len(transaction.clients)
    if index >= world.param("core", "max_branches", branches.MAX_BRANCHES):
        world.say(-1, "tm: maximum number of branches exceeded")
        return -1
    client = Client(index, Buffer(), blind=True, on_failure=transaction.on_failure)
    transaction.clients.append(client)
    transaction.suspended, transaction.waiting = True, client
    transaction.request.uri_fresh = world.msg.uri_fresh
    cell.restart_expiry(
        world, transaction, client.request, transaction.fr, expiry(world, transaction, client)
    )
    cell.pending(world.msg).done.add("forwarded")
    return 1


@model("tmx")
def t_continue(world: World, index: int, label: int, name: str) -> int:
    """Go on with a request that waits: the callback runs, as a failure route does.

    If it neither answers nor sends the request on, the client is answered 500.

    Returns:
        1, also where it waits no longer; -1 where there is no such transaction, or it never waited.
    """
    found = next(
        (t for t in cell.table(world).labels.values() if identity(t) == (index, label)), None
    )
    if found is None or not found.suspended or found.waiting is None:
        world.say(0, f"tmx: resuming the processing of transaction [{index}:{label}] failed")
        return -1
    found.suspended = False
    client = found.waiting
    if found.cancelled or client.last_received:
        return 1
    client.request.stop()
    client.last_received, client.reply = _DONE, FAKED
    fresh = found.request.uri_fresh
    request = failure.run(world, found, client, name, FAILURE, fresh=fresh)
    if found.status < 200 and all(one.last_received >= 200 for one in found.clients):
        reply.kill(world, found, found.request, cell.pending(request).error or -1)
    return 1


@model("tmx")
def t_reuse_branch(world: World) -> int:
    """In a branch failure route: let the R-URI be that of the branch, with Path, flags; 1 or -1."""
    if world.route != BRANCH_FAILURE:
        world.say(-1, f"tmx: unsupported route_type {world.route}")
        return -1
    transaction, message = tm.current(world), world.msg
    if transaction is None:
        return -1
    client = transaction.clients[cell.pending(message).branch]
    message.new_uri, message.path_vector = client.uri, client.path or None
    message.ruid, message.bflags = client.ruid, client.bflags
    message.instance = client.instance or message.instance
    return 1


@model("tmx")
def t_flush_xflags(world: World) -> int:
    """Give the transaction the extended flags of the message; 1, -1 without transaction."""
    transaction = tm.current(world)
    if transaction is None:
        return -1
    transaction.request.xflags = world.msg.xflags
    return 1
