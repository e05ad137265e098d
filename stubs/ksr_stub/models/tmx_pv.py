"""tmx's pseudo-variables of the transaction: `$T_branch_idx`, `$T_reply_code`, `$T(...)`."""

from __future__ import annotations

import zlib

from ksr_stub import branches
from ksr_stub.models import tm
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import NoValue, Value
from ksr_stub.tm import cell
from ksr_stub.tm.cell import BRANCH_FAILURE, FAKED, Transaction
from ksr_stub.world import BRANCH, FAILURE, REPLY, REQUEST, World

_UNDEFINED = -1
_NAMES = (
    "uri", "ruid", "flags", "id_label", "id_index", "reply_code", "reply_type", "id_label_n",
    "id_index_n", "branch_index", "reply_reason",
)  # fmt: skip


@variable("T_branch_idx")
def branch_index(world: World, inner: object, index: object) -> Value:
    """The branch that the route is about; in a request route how many there are besides."""
    note = cell.pending(world.msg)
    if not world.msg.is_request or world.route in (BRANCH, BRANCH_FAILURE):
        return note.branch
    if world.route == REQUEST:
        return len(branches.current(world))
    if world.route == FAILURE:
        if note.transaction is None:
            raise NoValue
        return len(note.transaction.clients) + len(branches.current(world))
    return _UNDEFINED


@variable("T_reply_code")
def reply_code(world: World, inner: object, index: object) -> Value:
    """The status: of the reply, of the last one sent, in a failure route of the winning one."""
    if world.route == REPLY:
        return world.msg.status
    transaction = tm.check(world)
    if transaction is None:
        return 0
    if world.route in (REQUEST, BRANCH):
        return transaction.status
    if world.route in (FAILURE, BRANCH_FAILURE):
        client = _picked(world, transaction)
        return 0 if client is None else client.last_received
    return 0


@variable("T_reply_reason")
def reply_reason(world: World, inner: object, index: object) -> Value:
    """The reason of the reply, in a failure route of the winning one; None elsewhere."""
    if world.route == REPLY:
        return world.msg.reason
    transaction = tm.check(world)
    if transaction is None or world.route not in (FAILURE, BRANCH_FAILURE):
        return None
    client = _picked(world, transaction)
    reply = client.reply if client is not None else None
    return None if reply is None or isinstance(reply, str) else reply.reason


@variable("T", inner=one_of(*_NAMES))
def transaction_value(world: World, inner: str, index: object) -> Value:
    """A value of the transaction; None without one."""
    if inner == "reply_code":
        return reply_code(world, None, None)
    if inner == "branch_index":
        return branch_index(world, None, None)
    if inner == "reply_reason":
        return reply_reason(world, None, None)
    transaction = tm.current(world)
    if transaction is None and inner in ("id_label_n", "id_index_n"):
        transaction = cell.create(world, world.msg)
    if transaction is None:
        return None
    if inner in ("id_index", "id_index_n"):
        return transaction.number
    if inner == "reply_type":
        client = _picked(world, transaction) if world.route == FAILURE else None
        return int(client is not None and client.reply == FAKED)
    return zlib.crc32(transaction.label.encode()) & 0x7FFFFFFF


def _picked(world: World, transaction: Transaction) -> cell.Client | None:
    branch = cell.pending(world.msg).branch
    return next((client for client in transaction.clients if client.index == branch), None)
