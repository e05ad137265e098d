"""Module tmx: more functions about transactions (modules/tmx of Kamailio)."""

from __future__ import annotations

from ksr_stub import tobody
from ksr_stub.models import tm
from ksr_stub.registry import model
from ksr_stub.tm import cell, reply
from ksr_stub.tm.cell import Transaction
from ksr_stub.world import BRANCH, FAILURE, REPLY, REQUEST, World


@model("tmx")
def t_is_request_route(world: World) -> int:
    """1 in the request route, else -1."""
    return 1 if world.route == REQUEST else -1


@model("tmx")
def t_is_reply_route(world: World) -> int:
    """1 in a reply route, else -1."""
    return 1 if world.route == REPLY else -1


@model("tmx")
def t_is_failure_route(world: World) -> int:
    """1 in a failure route, else -1."""
    return 1 if world.route == FAILURE else -1


@model("tmx")
def t_is_branch_route(world: World) -> int:
    """1 in a branch route, else -1."""
    return 1 if world.route == BRANCH else -1


@model("tmx")
def t_precheck_trans(world: World) -> int:
    """1 where the same message is being routed by another process right now: never here, -1.

    -2 for ACK and CANCEL, without a From tag, and outside of the request route.
    """
    message = world.msg
    sender = tobody.of(message, "from")
    if message.method in ("ACK", "CANCEL") or sender is None or not sender.tag:
        return -2
    return -1 if world.route == REQUEST else -2


@model("tmx")
def t_flush_flags(world: World) -> int:
    """Give the transaction the flags of the message; 1, -1 without transaction."""
    transaction = tm.current(world)
    if transaction is None:
        return -1
    transaction.request.flags = world.msg.flags
    return 1


@model("tmx")
def t_cancel_branches(world: World, which: str) -> int:
    """In an onreply route: cancel `all`, `others` or `this` branch; 1 or -1."""
    transaction = tm.current(world)
    if transaction is None or world.route != REPLY:
        return -1
    this = cell.pending(world.msg).branch
    for client in transaction.clients:
        wanted = which in ("", "all") or (client.index == this) == (which == "this")
        if wanted and client.last_received < 200:
            reply.cancel_branch(world, transaction, client, [], kill=False)
    return 1


def _by_call(world: World, callid: str, cseq: str) -> Transaction | None:
    return next(iter(cell.table(world).slots.get((callid, cseq), [])), None)


@model("tmx")
def t_reply_callid(world: World, callid: str, cseq: str, code: int, reason: str) -> int:
    """Reply to the transaction of a Call-ID and CSeq number; 1 or -1."""
    found = _by_call(world, callid, cseq)
    if found is None:
        return -1
    return reply.answer(world, found, found.request, code, reason)


@model("tmx")
def t_cancel_callid(world: World, callid: str, cseq: str, flag: int) -> int:
    """Cancel the INVITE of a Call-ID and CSeq number; 1, or -1 where there is none."""
    return t_cancel_callid_reason(world, callid, cseq, flag, 0)


@model("tmx")
def t_cancel_callid_reason(world: World, callid: str, cseq: str, flag: int, code: int) -> int:
    """As t_cancel_callid, with the code for the Reason header."""
    found = _by_call(world, callid, cseq)
    if found is None:
        return -1
    found.request.flags |= 1 << flag if 0 < flag < 32 else 0
    reply.cancel_all(world, found, code, kill=False)
    return 1


@model("tmx")
def t_drop(world: World) -> int:
    """Let the transaction end without reply; 1, -1 without transaction."""
    return t_drop_rcode(world, 500)


@model("tmx")
def t_drop_rcode(world: World, code: int) -> int:
    """As t_drop; the code stands for the reply that is not sent."""
    transaction = tm.current(world)
    if transaction is None:
        return -1
    transaction.status = code
    cell.release(world, transaction)
    cell.pending(world.msg).done.add("released")
    return 1
