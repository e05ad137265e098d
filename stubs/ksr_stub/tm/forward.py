"""Sending a request on: one branch for the R-URI and one for each entry of the branch set."""

from __future__ import annotations

from ksr_stub import branches, build, script, sending
from ksr_stub.branches import Branch
from ksr_stub.message import Address, SipMessage, Way
from ksr_stub.models.forward import forward_uri
from ksr_stub.pv import lists
from ksr_stub.tm import cell, reply
from ksr_stub.tm.cell import Buffer, Client, Transaction
from ksr_stub.world import BRANCH, REQUEST, World

E_UNSPEC, E_CFG, E_NO_SOCKET, E_SCRIPT, E_BAD_REQ = -1, -6, -7, -10, -400
E_TOO_MANY, E_SEND, E_BAD_ADDRESS, E_CANCELED = -12, -477, -478, -487


def relay(
    world: World,
    proxy: tuple[Address, str] | None = None,
    proto: str = "",
    *,
    replicate: bool = False,
) -> int:
    """What t_relay does in a request route (t_relay_to).

    Args:
        world: with the request.
        proxy: where to send it whatever the URI says.
        proto: the protocol to use whatever the URI says.
        replicate: whether its replies end here.
    Returns:
        1, also for a retransmission; else the error.
    """
    message = world.msg
    note = cell.pending(message)
    if message.method == "CANCEL" and not message.unreadable():
        return _cancel(world, message, proxy, proto)
    created = newtran(world)
    if created not in (1, E_SCRIPT):
        return 1 if created == 0 else created
    if message.method == "ACK":
        if created == E_SCRIPT and note.transaction is not None:
            cell.release(world, note.transaction)
            return 1
        return 1 if forward_uri(world, "") > 0 else E_BAD_ADDRESS
    transaction = note.transaction
    assert transaction is not None  # noqa: S101
    transaction.local = transaction.local or replicate
    if transaction.is_invite and transaction.auto_100 and transaction.status < 100:
        text = world.param("tm", "auto_inv_100_reason", "trying -- your call is important to us")
        reply.answer(world, transaction, message, 100, text)
    code, error = fork(world, transaction, message, proxy, proto)
    if code <= 0:
        if replicate:
            cell.release(world, transaction)
            note.done.add("released")
            return code
        if transaction.no_internal_reply:
            note.error = error
            return -4
        note.error = error
        note.done.add("delayed")
    return code


def newtran(world: World) -> int:
    """Make the transaction of the request (t_newtran).

    Returns:
        1 made, or an ACK of none; 0 a retransmission, answered again; -10 there is one; -400 a
        header field can't be parsed.
    """
    message = world.msg
    if message.unreadable():
        world.say(-1, f"tm: parse_headers failed: {message.broken}")
        return E_BAD_REQ
    note = cell.pending(message)
    if note.transaction is not None:
        note.transaction.request.flags = message.flags
        return E_SCRIPT
    found = cell.of_request(world, message)
    note.looked_up, note.transaction = True, found
    if found is not None:
        if message.method == "ACK":
            cell.release(world, found)
            note.done.add("released")
        else:
            reply.retransmit(world, found)
            note.done.add("retransmitted")
        return 0
    if message.method == "ACK":
        return 1
    cell.create(world, message)
    return 1


def fork(
    world: World,
    transaction: Transaction,
    message: SipMessage,
    proxy: tuple[Address, str] | None = None,
    proto: str = "",
) -> tuple[int, int]:
    """Add a branch for each destination and send them (t_forward_nonack).

    Returns:
        The return code, and the error.
    """
    if transaction.cancelled:
        branches.clear(world)
        return -1, E_CANCELED
    route, transaction.on_branch = transaction.on_branch, ""
    first = len(transaction.clients)
    if first == 0 and world.route == REQUEST:
        transaction.request.lumps = list(message.lumps)
        transaction.request.notes.update({k: v for k, v in message.notes.items() if k != "tm"})
    targets = _targets(world, message)
    bflags, lowest = message.bflags, E_UNSPEC
    added: list[Client] = []
    for target in targets:
        message.bflags = target.bflags
        client = _add(world, transaction, message, target, route, proxy, proto)
        if isinstance(client, Client):
            added.append(client)
        else:
            lowest = min(lowest, client)
    branches.clear(world)
    message.bflags = bflags
    transaction.request.flags = message.flags
    if not added:
        if not targets:
            world.say(-1, "tm: no branches for forwarding")
            return -1, min(lowest, E_CFG)
        if lowest != E_CFG:
            world.say(-1, "tm: failure to add branches")
        return lowest, lowest
    added[0].first_of_step = True
    return _send_all(world, transaction, message, added)


def _send_all(
    world: World, transaction: Transaction, message: SipMessage, added: list[Client]
) -> tuple[int, int]:
    sent = [client for client in added if _send(world, transaction, message, client)]
    if not sent:
        return -1, E_SEND
    cell.pending(message).done.add("forwarded")
    return 1, 0


def _targets(world: World, message: SipMessage) -> list[Branch]:
    found = []
    if message.uri_fresh:
        message.uri_fresh = False
        found.append(
            Branch(
                message.uri, message.dst_uri or "", message.path_vector or "",
                message.send_socket, message.q, message.bflags, message.instance,
                message.ruid, message.location_ua,
            )
        )  # fmt: skip
    return found + list(branches.current(world))


def _add(
    world: World,
    transaction: Transaction,
    message: SipMessage,
    target: Branch,
    route: str,
    proxy: tuple[Address, str] | None,
    proto: str,
) -> Client | int:
    """Prepare a branch: its route runs, its bytes are made. An int is the error."""
    index = len(transaction.clients)
    if index >= world.param("core", "max_branches", branches.MAX_BRANCHES):
        world.say(-1, "tm: maximum number of branches exceeded")
        return E_TOO_MANY
    lists.of(message)
    request = _of_branch(message, target)
    if route and not _branch_route(world, transaction, message, request, route, index):
        return E_CFG
    hop = request.dst_uri or target.dst_uri or target.uri
    found = proxy or sending.destination(world, hop)
    if found is None:
        return E_BAD_ADDRESS
    to, named = found
    chosen = proto or named
    socket = sending.send_socket(world, request, to, chosen, request.send_socket)
    if socket is None:
        world.say(-1, f"tm: can't fwd to proto {chosen} (no corresponding listening socket)")
        return E_NO_SOCKET
    way = Way(socket, chosen)
    text = build.build_request(world, request, way, transaction.branch(index))
    client = Client(
        index, Buffer(text, to, way, target.connection), request.uri, request.dst_uri or "",
        request.path_vector or "", request.instance, request.ruid, request.location_ua,
        request.bflags,
    )  # fmt: skip
    client.on_reply, client.on_failure = transaction.on_reply, transaction.on_failure
    client.on_branch_failure = transaction.on_branch_failure
    transaction.clients.append(client)
    return client


def _of_branch(message: SipMessage, target: Branch) -> SipMessage:
    request = build.copy(message)
    request.new_uri = target.uri if target.uri != message.ruri or message.new_uri else None
    request.dst_uri = target.dst_uri or None
    request.path_vector = target.path or None
    request.send_socket = target.socket
    request.instance, request.ruid = target.instance, target.ruid
    request.location_ua, request.bflags = target.ua, target.bflags
    return request


def _branch_route(
    world: World,
    transaction: Transaction,
    message: SipMessage,
    request: SipMessage,
    route: str,
    index: int,
) -> bool:
    """Run the branch route; False where it dropped the branch."""
    note = cell.pending(request)
    note.branch = index
    former = world.route, world.drop, world.message
    world.route, world.drop, world.message = BRANCH, False, request
    try:
        script.run(world, route)
        dropped = world.drop
    finally:
        world.route, world.drop, world.message = former
        note.branch = -1
    message.flags, message.bflags = request.flags, request.bflags
    return not dropped


def _send(world: World, transaction: Transaction, message: SipMessage, client: Client) -> bool:
    buffer = client.request
    if not sending.onsend(world, message, buffer.text, buffer.to, buffer.way):
        client.last_received = 408
        return False
    if not cell.transmit(world, buffer):
        client.last_received = 408
        world.say(0, f"tm: sending request on branch {client.index} failed")
        return False

    def expired() -> None:
        reply.timeout(world, transaction, client)

    cell.start(world, transaction, buffer, expired)
    return True


def _cancel(
    world: World, message: SipMessage, proxy: tuple[Address, str] | None, proto: str
) -> int:
    """A CANCEL: answered here, and sent on each branch of its INVITE (t_forward_cancel)."""
    invite = cell.original(world, message)
    how = world.param("tm", "unmatched_cancel", 0)
    if invite is None and how == 2:
        return 1
    if invite is None and how == 1:
        return 1 if forward_uri(world, "") > 0 else E_BAD_ADDRESS
    created = newtran(world)
    if created == 0:
        return 1
    transaction = cell.pending(message).transaction
    assert transaction is not None  # noqa: S101
    if invite is not None:
        _end_to_end(world, message, transaction, invite)
        cell.pending(message).done.add("replied")
        return 1
    code, error = fork(world, transaction, message, proxy, proto)
    if code <= 0:
        cell.pending(message).error = error
        cell.pending(message).done.add("delayed")
    return code


def _end_to_end(
    world: World, message: SipMessage, transaction: Transaction, invite: Transaction
) -> None:
    invite.cancelled = True
    open_ones = [
        client
        for client in invite.clients
        if client.last_received < 200
        and not (client.cancel.text or client.cancelled or client.blind)
    ]
    if not open_ones:
        if invite.status < 200:
            reply.answer(world, invite, invite.request, 487, reply.CANCELED)
        reply.answer(world, transaction, message, 200, reply.CANCEL_DONE)
        return
    reasons = [message.buf[h.start : h.end] for h in message.all("reason")]
    if not world.param("tm", "e2e_cancel_reason", 1) or invite.no_cancel_reason:
        reasons = []
    invite.cancel_reasons = reasons
    for client in open_ones:
        reply.cancel_branch(world, invite, client, reasons, kill=False)
    reply.answer(world, transaction, message, 200, reply.CANCELING)
