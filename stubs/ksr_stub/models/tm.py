"""Module tm: the functions that routes call (modules/tm/tm.c of Kamailio)."""

from __future__ import annotations

import re

from ksr_stub import branches, server, uri
from ksr_stub.errors import HeldTransaction, MissingCallback
from ksr_stub.message import Address, SipMessage
from ksr_stub.registry import model
from ksr_stub.sending import resolve
from ksr_stub.tm import cell, forward, reply
from ksr_stub.tm.cell import BRANCH_FAILURE, Pending, Transaction
from ksr_stub.world import BRANCH, FAILURE, REQUEST, World


def current(world: World) -> Transaction | None:
    """The transaction of the message being routed, None without one that is known."""
    return cell.pending(world.msg).transaction


def reply_to(world: World, code: int, reason: str) -> int:
    """Reply within the transaction; 1 or -1."""
    message = world.msg
    if message.method == "ACK":
        return -1
    transaction = check(world)
    if transaction is None:
        world.say(-1, "tm: cannot send a t_reply to a message without T-state")
        return -1
    transaction.admin_reply = True
    request = message if world.route in (REQUEST, FAILURE) else transaction.request
    if world.route in (BRANCH, BRANCH_FAILURE):
        return -1
    return reply.answer(world, transaction, request, code, reason)


def check(world: World) -> Transaction | None:
    """Look for the transaction of the message, once (t_check)."""
    message, note = world.msg, cell.pending(world.msg)
    if note.looked_up:
        return note.transaction
    note.looked_up = True
    if message.is_request:
        note.transaction = cell.of_request(world, message)
    else:
        found = cell.of_reply(world, message)
        if found is not None:
            note.transaction, note.branch = found[0], found[1].index
    return note.transaction


@model("tm")
def t_relay(world: World) -> int:
    """Send the request on; 1, or the error: -478 unresolvable, -1 nothing left to send to."""
    return _relay(world)


@model("tm")
def t_relay_to_flags(world: World, flags: int) -> int:
    """As t_relay; 1 no 100 of ours, 2 no reply of ours on errors, 4 no DNS failover."""
    _relay_flags(world, flags)
    return _relay(world)


@model("tm")
def t_relay_to_proxy(world: World, proxy: str) -> int:
    """As t_relay, to `[proto:]host[:port]`."""
    return t_relay_to_proxy_flags(world, proxy, 0)


@model("tm")
def t_relay_to_proxy_flags(world: World, proxy: str, flags: int) -> int:
    """As t_relay_to_proxy, with the flags of t_relay_to_flags."""
    match = re.fullmatch(r"(?:(udp|tcp|tls|sctp):)?(\[[^\]]+\]|[^:]+)(?::(\d+))?", proxy, re.I)
    if proxy and match is None:
        world.say(-1, f"tm: invalid proxy addr parameter <{proxy}>")
        return -1
    _relay_flags(world, flags)
    if match is None:
        return _relay(world)
    host = resolve(world, match[2])
    if host is None:
        return -1
    return _relay(world, (Address(host, int(match[3] or 5060)), (match[1] or "udp").lower()))


@model("tm")
def t_relay_to_proto(world: World, proto: str) -> int:
    """As t_relay, by `udp`, `tcp` or `tls`."""
    if len(proto) == 3 and proto.lower() not in ("udp", "tcp", "tls"):
        world.say(-1, f"tm: bad protocol specified <{proto}>")
        return -1
    return _relay(world, None, proto.lower() if len(proto) == 3 else "")


@model("tm")
def t_relay_to_proto_addr(world: World, proto: str, host: str, port: int) -> int:
    """As t_relay, to an address by `udp`, `tcp` or `tls`."""
    if len(proto) == 3 and proto.lower() not in ("udp", "tcp", "tls"):
        world.say(-1, f"tm: bad protocol specified <{proto}>")
        return -1
    address = resolve(world, host)
    if address is None:
        return -478
    return _relay(world, (Address(address, port or 5060), proto.lower() or "udp"))


def _relay(world: World, proxy: tuple[Address, str] | None = None, proto: str = "") -> int:
    if world.route in (FAILURE, BRANCH_FAILURE):
        transaction = current(world)
        if transaction is None:
            return -1
        code, error = forward.fork(world, transaction, world.msg, proxy, proto)
        if code <= 0:
            cell.pending(world.msg).error = error
            return -1
        return 1
    if world.route == REQUEST:
        return forward.relay(world, proxy, proto)
    world.say(-2, f"tm: unsupported route type: {world.route}")
    return 0


def _relay_flags(world: World, flags: int) -> None:
    if flags & 1:
        t_set_auto_inv_100(world, 0)
    if flags & 2:
        t_set_disable_internal_reply(world, 1)
    if flags & 4:
        t_set_disable_failover(world, 1)


@model("tm")
def t_replicate(world: World, where: str) -> int:
    """As t_relay, to a URI ('': the R-URI); its replies end here. -1 for a broken URI."""
    if not where:
        return forward.relay(world, replicate=True)
    parsed = uri.parse(where)
    host = None if parsed is None else resolve(world, parsed.host)
    if parsed is None or host is None:
        world.say(-1, f"tm: bad replicate SIP address or cannot create proxy from URI <{where}>")
        return -1
    proxy = (Address(host, parsed.port_number or 5060), parsed.proto)
    return forward.relay(world, proxy, replicate=True)


@model("tm")
def t_newtran(world: World) -> int:
    """Make the transaction: 1; 0 for a retransmission, which is answered; -10 there is one."""
    return forward.newtran(world)


@model("tm")
def t_reply(world: World, code: int, reason: str) -> int:
    """Reply within the transaction; 1 or -1."""
    return reply_to(world, code, reason)


@model("tm")
def t_send_reply(world: World, code: int, reason: str) -> int:
    """As t_reply, and makes the transaction where there is none."""
    if world.route == REQUEST:
        forward.newtran(world)
    return reply_to(world, code, reason)


@model("tm")
def t_retransmit_reply(world: World) -> int:
    """Send the last reply of the transaction again; 1, or -1 where there is none."""
    transaction = check(world)
    return -1 if transaction is None else reply.retransmit(world, transaction)


@model("tm")
def t_release(world: World) -> int:
    """Let the transaction end; 1, or -1 without one."""
    transaction = check(world) if world.route == REQUEST else None
    if transaction is None:
        return -1
    cell.release(world, transaction)
    cell.pending(world.msg).done.add("released")
    return 1


@model("tm")
def t_check_trans(world: World) -> int:
    """Whether the message belongs to a transaction.

    Returns:
        -1 none; 0 a retransmission (answered again) or the ACK to a negative reply; 1 a reply's
        transaction, the INVITE of a CANCEL.
    """
    message = world.msg
    if world.route in (FAILURE, BRANCH, BRANCH_FAILURE):
        return 1
    if not message.is_request:
        return 1 if check(world) is not None else -1
    if message.method == "CANCEL":
        return 1 if cell.original(world, message) is not None else -1
    transaction = check(world)
    if transaction is None:
        return -1
    if message.method == "ACK":
        cell.release(world, transaction)
        cell.pending(message).done.add("released")
    else:
        reply.retransmit(world, transaction)
        cell.pending(message).done.add("retransmitted")
    return 0


@model("tm")
def t_is_retr_async_reply(world: World) -> int:
    """1 where the transaction is suspended, else -1."""
    transaction = check(world)
    return 1 if transaction is not None and transaction.suspended else -1


@model("tm")
def t_clean(_world: World) -> int:
    """Remove transactions that are long beyond their end, which only a fault leaves; 1."""
    return 1


@model("tm")
def t_lookup_request(world: World) -> int:
    """1 where the request has a transaction, else -1."""
    return 1 if check(world) is not None else -1


@model("tm")
def t_lookup_cancel(world: World) -> int:
    """1 where the request that a CANCEL means has a transaction, else -1."""
    return t_lookup_cancel_flags(world, 0)


@model("tm")
def t_lookup_cancel_flags(world: World, flags: int) -> int:
    """As t_lookup_cancel; 1 takes over the flags of the INVITE."""
    message = world.msg
    if message.method != "CANCEL":
        world.say(0, "tm: script error - t_lookup_cancel() called for non-CANCEL request")
        return -1
    found = cell.original(world, message)
    if found is None:
        return -1
    if flags:
        message.flags = found.request.flags
    return 1


def _set_route(world: World, which: str, name: str) -> int:
    script = world.script
    if world.strict and name and script and not callable(getattr(script, name, None)):
        raise world.fault(
            MissingCallback(
                f"KSR.tm.t_{which}({name!r}): the script has no such callback. A real Kamailio"
                " returns 1 and logs nothing; what was to be done there is not done"
            )
        )
    holder: Transaction | Pending = current(world) or cell.pending(world.msg)
    setattr(holder, which, name)
    return 1


@model("tm")
def t_on_failure(world: World, name: str) -> int:
    """Name the failure route; 1, in faithful mode also where the script has none of that name."""
    return _set_route(world, "on_failure", name)


@model("tm")
def t_on_reply(world: World, name: str) -> int:
    """Name the onreply route; 1."""
    return _set_route(world, "on_reply", name)


@model("tm")
def t_on_branch(world: World, name: str) -> int:
    """Name the branch route; 1."""
    return _set_route(world, "on_branch", name)


@model("tm")
def t_on_branch_failure(world: World, name: str) -> int:
    """Name the branch failure route; 1."""
    return _set_route(world, "on_branch_failure", name)


@model("tm")
def t_is_set(world: World, target: str) -> int:
    """Whether a `branch_route`, `failure_route` or `onreply_route` is named; 1 or -1."""
    holder: Transaction | Pending = current(world) or cell.pending(world.msg)
    names = {"b": holder.on_branch, "f": holder.on_failure, "o": holder.on_reply}
    return 1 if names.get(target[:1]) else -1


def _set_option(world: World, name: str, value: bool) -> int:
    holder: Transaction | Pending = current(world) or cell.pending(world.msg)
    setattr(holder, name, value)
    return 1


@model("tm")
def t_set_auto_inv_100(world: World, state: int) -> int:
    """Whether t_relay of an INVITE answers 100; 1."""
    return _set_option(world, "auto_100", bool(state))


@model("tm")
def t_set_disable_6xx(world: World, state: int) -> int:
    """Whether a 6xx leaves the other branches alone; 1."""
    return _set_option(world, "disable_6xx", bool(state))


@model("tm")
def t_set_disable_failover(world: World, state: int) -> int:
    """Whether DNS failover is off; 1."""
    return _set_option(world, "no_failover", bool(state))


@model("tm")
def t_set_disable_internal_reply(world: World, state: int) -> int:
    """Whether a failing t_relay sends no reply; 1."""
    return _set_option(world, "no_internal_reply", bool(state))


@model("tm")
def t_set_no_e2e_cancel_reason(world: World, state: int) -> int:
    """Whether Reason of a CANCEL is left out on the branches; 1."""
    return _set_option(world, "no_cancel_reason", bool(state))


@model("tm")
def t_get_branch_index(world: World) -> int:
    """The number of the branch in a branch or onreply route; elsewhere that of the next one."""
    added = len(branches.current(world))
    if world.route == REQUEST:
        return added
    transaction = current(world)
    if world.route == FAILURE:
        return -1 if transaction is None else len(transaction.clients) + added
    return cell.pending(world.msg).branch


@model("tm")
def t_drop_replies_all(world: World) -> int:
    """In a failure route: forget the replies of all branches so far; 1."""
    cell.table(world).drop_replies = 1
    return 1


@model("tm")
def t_drop_replies(world: World, which: str) -> int:
    """In a failure route: forget replies: `n` none, `l` of the last step, else all; 1."""
    cell.table(world).drop_replies = {"n": 0, "l": 2}.get(which[:1], 1)
    return 1


@model("tm")
def t_save_lumps(world: World) -> int:
    """Let failure routes see the edits made so far; 1, -1 without transaction."""
    transaction = check(world)
    if transaction is None or world.route != REQUEST:
        return -1
    if not transaction.clients:
        transaction.request.lumps = list(world.msg.lumps)
    return 1


@model("tm")
def t_use_uac_headers(_world: World) -> int:
    """About what the module uac did to From and To; 1."""
    return 1


def _end_of_route(world: World, request: SipMessage) -> None:
    """After a request route: answer what failed, let go what nobody cares for (t_unref)."""
    note = cell.pending(request)
    transaction = note.transaction
    if transaction is None or "retransmitted" in note.done:
        return
    if note.done == {"delayed"}:
        if reply.kill(world, transaction, request, note.error) <= 0:
            cell.release(world, transaction)
    elif not note.done or (request.method == "ACK" and "released" not in note.done):
        world.say(0, "tm: script writer didn't release transaction")
        cell.release(world, transaction)


def _reply_comes(world: World, message: SipMessage) -> bool:
    return not reply.received(world, message)


def _reply_dropped(world: World, message: SipMessage) -> None:
    if world.strict and cell.pending(message).transaction is not None:
        raise world.fault(
            HeldTransaction(
                "this reply is dropped after tm was asked for its transaction: tm still has that"
                " when the next request of this worker comes, and an answer to that request may be"
                " sent in it; drop the reply before KSR.tm.t_check_trans()"
            )
        )


server.AFTER_REQUEST.append(_end_of_route)
server.BEFORE_REPLY.append(_reply_comes)
server.AFTER_DROP.append(_reply_dropped)
