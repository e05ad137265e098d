"""What two phones do in nearly every test: ring, talk, agree anew, hang up.

Each step is awaited at the other phone, so a request that the server loses fails right there.
"""

from __future__ import annotations

from collections.abc import Mapping

from .call import Call, IncomingRequest
from .message import Message
from .phone import Phone

PATIENCE = 15


def ring(caller: Phone, callee: Phone, offer: str = "") -> tuple[Call, IncomingRequest]:
    """An INVITE that has come to the callee's phone, and its 180 that has come back."""
    call = caller.invite(callee.aor, offer)
    incoming = callee.expect_request("INVITE", PATIENCE)
    incoming.reply(180)
    call.wait_for(180, PATIENCE)
    return call, incoming


def answer(call: Call, incoming: IncomingRequest, sdp: str = "") -> tuple[Call, Call]:
    """200 and ACK: both sides of the dialog, the caller's first."""
    incoming.reply(200, sdp)
    call.wait_for(200, PATIENCE)
    call.ack()
    incoming.phone.expect_request("ACK", PATIENCE)
    return call, incoming.call


def connect(caller: Phone, callee: Phone, offer: str = "", reply: str = "") -> tuple[Call, Call]:
    """A call that both sides have confirmed: both sides of its dialog, the caller's first."""
    return answer(*ring(caller, callee, offer), reply)


def exchange(
    asking: Call,
    asked: Call,
    method: str,
    body: str = "",
    headers: Mapping[str, str] | None = None,
) -> Message:
    """A request inside the dialog and its 200; the request as the other phone got it."""
    transaction = asking.request(method, body, headers)
    incoming = asked.phone.expect_request(method, PATIENCE)
    incoming.reply(200)
    transaction.wait_for(200, PATIENCE)
    return incoming.message


def reinvite(asking: Call, asked: Call, offer: str = "", reply: str = "") -> Message:
    """A re-INVITE with its 200 and ACK; the INVITE as the other phone got it."""
    asking.reinvite(offer)
    incoming = asked.phone.expect_request("INVITE", PATIENCE)
    incoming.reply(200, reply)
    asking.wait_for(200, PATIENCE)
    asking.ack()
    asked.phone.expect_request("ACK", PATIENCE)
    return incoming.message


def hang_up(leaving: Call, staying: Call) -> Message:
    """A BYE and its 200; the BYE as the other phone got it."""
    return exchange(leaving, staying, "BYE")


def stop_ringing(incoming: IncomingRequest) -> Message:
    """The CANCEL that comes to a ringing phone, which answers it and the INVITE."""
    cancel = incoming.phone.expect_request("CANCEL", PATIENCE)
    cancel.reply(200)
    incoming.reply(487)
    return cancel.message


def wait_for_responses(phone: Phone, status: int, count: int, method: str = "INVITE") -> None:
    """Wait until this many responses with a status have come, repeated ones included."""

    def come() -> bool | None:
        found = [m for way, m in phone.log if way == "<" and m.status == status]
        return len([m for m in found if m.method == method]) >= count or None

    phone.wait_until(come, PATIENCE, f"{count} times {status} to {method}")
