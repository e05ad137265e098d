"""Requests that tm makes itself: ACK for a negative reply, and CANCEL (RFC 3261 17.1.1.3, 9.1)."""

from __future__ import annotations

from ksr_stub import message as messages
from ksr_stub.message import Header, SipMessage
from ksr_stub.tm import cell
from ksr_stub.tm.cell import Client, Transaction
from ksr_stub.world import World

_KEPT = {"from", "call-id", "route", "max-forwards"}


def build(
    world: World, client: Client, method: str, to: str, reasons: list[str] | None = None
) -> str:
    """An ACK or CANCEL out of the INVITE as it was sent on a branch (reparse_invite=1).

    Args:
        world: for the modparam ac_extra_hdrs.
        client: the branch.
        method: `ACK` or `CANCEL`.
        to: the To header field, with its line end.
        reasons: Reason header fields.
    """
    invite = messages.parse(client.request.text.encode("latin-1"))
    lines = [method + invite.buf[len("INVITE") : invite.first_line_end]]
    extra = world.param("tm", "ac_extra_hdrs", "").lower()
    seen_via = False
    for header in invite.headers:
        line = invite.buf[header.start : header.end]
        if header.key == "via":
            lines += [] if seen_via else [line]
            seen_via = True
        elif header.key == "to":
            lines.append(to)
        elif header.key in _KEPT or (extra and header.name.lower().startswith(extra)):
            lines.append(line)
        elif header.key == "cseq":
            lines.append(_cseq(line, header, method))
        elif header.key == "content-length":
            lines.append(f"{header.name}: 0\r\n")
    return "".join([*lines, *(reasons or []), "\r\n"])


def acknowledge(world: World, client: Client, reply: SipMessage) -> None:
    """Send the ACK to a negative reply."""
    to = reply.first("to")
    assert to is not None  # noqa: S101
    text = build(world, client, "ACK", reply.buf[to.start : to.end])
    buffer = cell.Buffer(text, client.request.to, client.request.way, client.request.connection)
    cell.transmit(world, buffer)


def cancel(world: World, transaction: Transaction, client: Client, reasons: list[str]) -> None:
    """Send CANCEL on a branch, and again until it is answered."""
    to = transaction.request.first("to")
    assert to is not None  # noqa: S101
    header = transaction.request.buf[to.start : to.end]
    request = client.request
    text = build(world, client, "CANCEL", header, reasons)
    client.cancel = cell.Buffer(text, request.to, request.way, request.connection)
    cell.transmit(world, client.cancel)
    cell.start(world, transaction, client.cancel, client.cancel.stop)


def _cseq(line: str, header: Header, method: str) -> str:
    number = header.body.split()[0]
    return line[: line.index(number, len(header.name)) + len(number)] + f" {method}\r\n"
