"""Replies: those that come to our branches, those that go to the client, and our own."""

from __future__ import annotations

from ksr_stub import build, nameaddr, script, sending
from ksr_stub.errors import NotModelled
from ksr_stub.message import SipMessage
from ksr_stub.pv import lists
from ksr_stub.tm import cell, local
from ksr_stub.tm.cell import BRANCH_FAILURE, FAKED, Client, Transaction
from ksr_stub.tm.reasons import error_text, reason_phrase
from ksr_stub.world import REPLY, World

CANCELING, CANCEL_DONE, CANCELED = (
    "canceling", "ok -- no more pending branches", "Request canceled",
)  # fmt: skip
_CLASS_PRIO = {0: 32000, 1: 11000, 2: 0, 3: 3000, 4: 4000, 5: 5000, 6: 1000}
_PREFERRED_4XX = (1, 7, 15, 20, 84)


def answer(
    world: World, transaction: Transaction, request: SipMessage, code: int, reason: str
) -> int:
    """Send a reply of our own.

    Returns:
        1, or -1 where a final reply was sent before.
    """
    from ksr_stub.models import sl

    if 300 <= code < 400:
        contacts = sl.redirection(world, request)
        if contacts:
            request.reply_lumps.append(contacts)
    to = nameaddr.of(request, "to")
    tag = cell.totag(request) if code >= 180 and to is not None and not to.tag else ""
    text = build.build_reply(world, request, code, reason, tag)
    if code >= 200:
        cell.pending(request).done.add("replied")
    if transaction.status >= 200:
        world.say(2, f"tm: can't generate {code} reply when a final {transaction.status} was sent")
        cell.stop_clients(transaction)
        cell.put_on_wait(world, transaction)
        return -1
    transaction.status = code
    transaction.relayed_branch = -2
    transaction.response.text = text
    transaction.local_tag = tag or ("" if to is None else to.tag)
    if code >= 200:
        cell.stop_clients(transaction)
        if transaction.is_invite:
            cancel_all(world, transaction, code)
        _retransmit_final(world, transaction)
    cell.transmit(world, transaction.response)
    if code >= 200:
        cell.put_on_wait(world, transaction)
    return 1


def kill(world: World, transaction: Transaction, request: SipMessage, error: int) -> int:
    """Answer with what an internal error means to the client."""
    code, phrase = reason_phrase(error)
    return answer(world, transaction, request, code, f"{phrase} ({-error}/TM)")


def retransmit(world: World, transaction: Transaction) -> int:
    """Send the last reply again; -1 where there is none."""
    if not transaction.response.text:
        return -1
    cell.transmit(world, transaction.response)
    return 1


def received(world: World, reply: SipMessage) -> bool:
    """Handle a reply; False where it belongs to no transaction."""
    found = cell.of_reply(world, reply)
    if found is None:
        return False
    transaction, client = found
    note = cell.pending(reply)
    note.looked_up, note.transaction, note.branch = True, transaction, client.index
    last = client.last_received
    if reply.get("cseq").rpartition(" ")[2].strip() == "CANCEL":
        if reply.status >= 200:
            client.cancel.stop()
        else:
            client.cancel.stop_retransmitting()
        return True
    if not _first_steps(world, transaction, client, reply):
        return True
    if client.on_reply and not _on_reply(world, transaction, client, reply):
        return True
    relay(world, transaction, client, reply, reply.status)
    client.replied = True
    status = reply.status
    if transaction.is_invite and status < 200 and last < status and (status >= 180 or last == 0):
        _wait_longer(world, transaction, client)
    return True


def _first_steps(world: World, transaction: Transaction, client: Client, reply: SipMessage) -> bool:
    """Stop timers and acknowledge; False where the reply ends here."""
    if reply.status >= 200:
        client.request.stop()
        if transaction.is_invite and reply.status >= 300:
            local.acknowledge(world, client, reply)
        return True
    if client.cancelled:
        if client.cancel.text:
            cell.transmit(world, client.cancel)
        else:
            reasons = transaction.cancel_reasons or _reason(world, transaction.status, known=False)
            client.request.stop_retransmitting()
            local.cancel(world, transaction, client, reasons)
        return False
    if transaction.is_invite:
        client.request.stop_retransmitting()
    else:
        client.request.slow = True
    return True


def _wait_longer(world: World, transaction: Transaction, client: Client) -> None:
    def expired() -> None:
        timeout(world, transaction, client)

    cell.restart_expiry(world, transaction, client.request, transaction.fr_inv, expired)


def _on_reply(world: World, transaction: Transaction, client: Client, reply: SipMessage) -> bool:
    """Run the onreply route; False where it dropped a provisional reply."""
    lists.share(transaction.request, reply)
    reply.flags, reply.bflags = transaction.request.flags, client.bflags
    last = client.last_received
    client.last_received = max(last, reply.status)
    former = world.route, world.drop, world.message
    world.route, world.drop, world.message = REPLY, False, reply
    try:
        script.run(world, client.on_reply)
        dropped = world.drop
    finally:
        world.route, world.drop, world.message = former
    client.last_received = last
    transaction.request.flags, client.bflags = reply.flags, reply.bflags
    return not (dropped and reply.status < 200)


def timeout(world: World, transaction: Transaction, client: Client) -> None:
    """Nobody answered on a branch in time."""
    client.request.stop()
    client.timed_out = True
    if _silent(world, transaction, client):
        cell.put_on_wait(world, transaction)
        return
    fake(world, transaction, client, 408)


def _silent(world: World, transaction: Transaction, client: Client) -> bool:
    return (
        not world.param("tm", "noisy_ctimer", 1)
        and transaction.is_invite
        and not transaction.local
        and len(transaction.clients) == 1
        and not transaction.on_failure
        and client.last_received == 0
    )


def fake(world: World, transaction: Transaction, client: Client, code: int) -> None:
    """Handle a reply that nobody sent: 408 of a branch that did not answer in time."""
    cancels = transaction.is_invite and 100 <= client.last_received < 200 and not client.cancel.text
    client.cancelled = True
    relay(world, transaction, client, FAKED, code)
    if cancels:
        local.cancel(world, transaction, client, [])


def relay(
    world: World, transaction: Transaction, client: Client, reply: SipMessage | str, code: int
) -> None:
    """Decide what a reply means to the client, and send it (t_should_relay_response)."""
    if transaction.status >= 200:
        if transaction.is_invite and 200 <= code < 300:
            client.last_received = code
            _send_upstream(world, transaction, client, reply, code, after=True)
        return
    through = transaction.is_invite and 200 <= code < 300
    if client.last_received >= 200 and not (through and client.last_received < 300):
        return
    client.last_received = code
    if code >= 300:
        _negative(world, transaction, client, reply, code)
        return
    if code > 100 or world.param("tm", "relay_100", 0):
        _send_upstream(world, transaction, client, reply, code)
    if code >= 200:
        _complete(world, transaction, code)


def _complete(world: World, transaction: Transaction, code: int) -> None:
    waiting = [c for c in transaction.clients if c.last_received < 200]
    cell.stop_clients(transaction)
    if transaction.is_invite and 200 <= code < 300:
        for client in waiting:
            cancel_branch(world, transaction, client, _reason(world, code), kill=True)


def _negative(
    world: World, transaction: Transaction, client: Client, reply: SipMessage | str, code: int
) -> None:
    from ksr_stub.tm import failure

    if client.on_branch_failure:
        client.reply = reply
        transaction.on_branch_failure = ""
        failure.run(world, transaction, client, client.on_branch_failure, BRANCH_FAILURE)
        client.reply = None
    picked = pick(transaction, client, code, reply)
    if picked is None:
        client.reply = reply
        if 600 <= code < 700 and not transaction.six_hundred and not transaction.disable_6xx:
            transaction.six_hundred = True
            cancel_all(world, transaction, code, kill=False)
        return
    client.reply = reply
    transaction.six_hundred = False
    if picked.on_failure and not failure.decide(world, transaction, client, picked, code):
        return
    best = pick(transaction, client, code, reply) if picked.on_failure else picked
    if best is None:
        return
    chosen = best.reply if best is not client else reply
    _send_upstream(world, transaction, best, chosen or FAKED, best.last_received)
    client.reply = None
    if transaction.status >= 200:
        cell.stop_clients(transaction)


def pick(
    transaction: Transaction, current: Client | None, code: int, reply: SipMessage | str | None
) -> Client | None:
    """The branch whose reply goes to the client; None where some are still open."""
    best: tuple[int, Client] | None = None
    for client in transaction.clients:
        if client.blind and client is not current and client.last_received >= 200:
            continue
        status = code if client is current else client.last_received
        held = reply if client is current else client.reply
        if status < 200:
            return None
        if held is None:
            continue
        value = priority(status)
        if best is None or value < best[0]:
            best = value, client
    return None if best is None else best[1]


def priority(code: int) -> int:
    """How much a reply is preferred: 2xx, 6xx, 3xx, 4xx (challenges first), 5xx."""
    kind, rest = divmod(code, 100)
    if kind == 4:
        rest += 0 if rest in _PREFERRED_4XX else 100
    return _CLASS_PRIO.get(kind, 10000 + code) + rest


def _send_upstream(
    world: World,
    transaction: Transaction,
    client: Client,
    reply: SipMessage | str,
    code: int,
    *,
    after: bool = False,
) -> None:
    if transaction.local:
        _keep(world, transaction, client, reply, code)
        return
    code, text = _upstream(world, transaction, client, reply, code)
    if not after or not world.param("tm", "reply_relay_mode", 1):
        transaction.response.text = text
        transaction.status = code
        transaction.relayed_branch = client.index
    buffer = transaction.response
    if code >= 200 and not after:
        _retransmit_final(world, transaction)
    if not isinstance(reply, str) and not after and not _onsend(world, reply, text, transaction):
        return
    sending.send(world, text, buffer.to, buffer.way, buffer.connection)
    if code >= 200 and not after:
        cell.put_on_wait(world, transaction)


def _keep(
    world: World, transaction: Transaction, client: Client, reply: SipMessage | str, code: int
) -> None:
    """A reply that ends here: nobody waits for it (local_reply)."""
    if transaction.is_invite and 200 <= code < 300:
        raise world.fault(
            NotModelled("the stub makes no ACK to the 200 of an INVITE that nobody waits for")
        )
    if code >= 200 and transaction.status < 200:
        transaction.status = code
        transaction.relayed_branch = client.index
        cell.stop_clients(transaction)
        cell.put_on_wait(world, transaction)


def _upstream(
    world: World, transaction: Transaction, client: Client, reply: SipMessage | str, code: int
) -> tuple[int, str]:
    """The bytes for the client: the reply itself, or one of our own in its place."""
    request = transaction.request
    challenges = _challenges(world, transaction, client, reply, code)
    remapped = code == 503 and world.param("tm", "remap_503_500", 1)
    if isinstance(reply, SipMessage) and not remapped and not challenges:
        return code, build.build_forwarded_reply(reply, request.proto)
    if isinstance(reply, str) and transaction.cancelled:
        code = 487
    to = nameaddr.of(request, "to")
    tag = cell.totag(request) if code >= 180 and to is not None and not to.tag else ""
    phrase = error_text(code)
    code = 500 if remapped and isinstance(reply, SipMessage) else code
    transaction.local_tag = tag
    answered = build.copy(request)
    answered.reply_lumps += challenges
    return code, build.build_reply(world, answered, code, phrase, tag)


def _challenges(
    world: World, transaction: Transaction, client: Client, reply: SipMessage | str, code: int
) -> list[str]:
    """The challenges of all branches, where more than one sent some (aggregate_challenges)."""
    if code not in (401, 407) or not world.param("tm", "aggregate_challenges", 1):
        return []
    replies = [reply if c is client else c.reply for c in transaction.clients]
    found = [r for r in replies if isinstance(r, SipMessage) and r.status in (401, 407)]
    if len(found) < 2:
        return []
    return [
        r.buf[h.start : h.end]
        for r in found
        for h in r.headers
        if h.key in ("www-authenticate", "proxy-authenticate")
    ]


def _onsend(world: World, reply: SipMessage, text: str, transaction: Transaction) -> bool:
    buffer = transaction.response
    return sending.onsend(world, reply, text, buffer.to, buffer.way)


def _retransmit_final(world: World, transaction: Transaction) -> None:
    if not transaction.is_invite:
        return
    if transaction.status >= 300:
        cell.start(world, transaction, transaction.response, transaction.response.stop)
    elif transaction.relayed_branch == -2:
        stop = transaction.response.stop
        cell.start(world, transaction, transaction.response, stop, always=True)


def _reason(world: World, cause: int, *, known: bool = True) -> list[str]:
    if cause <= 0 or not world.param("tm", "local_cancel_reason", 1):
        return []
    text = ';text="Call completed elsewhere"' if cause == 200 and known else ""
    return [f"Reason: SIP;cause={cause}{text}\r\n"]


def cancel_all(world: World, transaction: Transaction, code: int, *, kill: bool = True) -> None:
    """Cancel every branch that has no final reply."""
    for client in transaction.clients:
        if client.last_received < 200 and not client.blind:
            cancel_branch(world, transaction, client, _reason(world, code), kill=kill)


def cancel_branch(
    world: World, transaction: Transaction, client: Client, reasons: list[str], *, kill: bool
) -> bool:
    """Cancel a branch, at once if it answered something, else with its first answer.

    Returns:
        Whether it is still to end.
    """
    if client.cancelled and client.cancel.text:
        return False
    client.cancelled = True
    if client.last_received < 100:
        if kill:
            client.request.stop()
            return False
        how = world.param("tm", "cancel_b_method", 1)
        if how == 0:
            client.request.stop()
            relay(world, transaction, client, FAKED, 487)
            return False
        if how == 1:
            return True
    if kill:
        client.request.stop()
    else:
        client.request.stop_retransmitting()
    local.cancel(world, transaction, client, reasons)
    return True
