"""Module sl: stateless replies (modules/sl of Kamailio)."""

from __future__ import annotations

import hashlib

import attrs

from ksr_stub import branches, build, nameaddr, sending, server
from ksr_stub.errors import WrongArguments
from ksr_stub.message import SipMessage, Way
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import World

_PREFIX = hashlib.md5(b"KAMAILIO-stateless").hexdigest() + "."  # noqa: S324
_ACK_WAIT = 2.0


@attrs.define(eq=False)
class Stateless:
    """Until when an ACK to a stateless reply is ours."""

    acks_until: float = 0.0


@model("sl")
def sl_send_reply(world: World, code: int, reason: str) -> int:
    """Reply without transaction; 1, or -1 for ACK."""
    return 1 if reply(world, world.msg, code, reason) else -1


@model("sl")
def send_reply(world: World, code: int, reason: str) -> int:
    """Reply in the transaction where there is one, else stateless."""
    from ksr_stub.models import tm

    if world.param("sl", "bind_tm", 1) and tm.current(world) is not None:
        return 1 if tm.reply_to(world, code, reason) > 0 else -1
    if not world.msg.is_request:
        return -1
    return sl_send_reply(world, code, reason)


@model("sl")
def send_reply_mode(world: World, code: int, reason: str, _mode: int) -> int:
    """As send_reply; the mode is about TCP connections."""
    return send_reply(world, code, reason)


@model("sl")
def sl_reply_error(world: World) -> int:
    """Reply what the last core error calls for: under KEMI none is ever remembered."""
    text = "I'm terribly sorry, server error occurred (1/SL)"
    reply(world, world.msg, 500, text)
    world.say(-1, f"sl: stateless error reply used: {text}")
    return 1


@model("sl")
def sl_forward_reply(world: World, code: str, reason: str) -> int:
    """Forward a reply with another code of its class and another reason; '' keeps them."""
    message = world.msg
    if message.is_request:
        world.say(-1, "sl: invalid SIP message type")
        return -1
    if code and (len(code) != 3 or not code.isdigit() or code[0] != str(message.status)[0]):
        world.say(-1, f"sl: invalid reply code value {code}")
        return -1
    changed = build.copy(message)
    at = message.buf.index(" ") + 1
    if code:
        changed.buf = changed.buf[:at] + code + changed.buf[at + 3 :]
    if reason:
        changed.replace(at + 4, len(message.reason), reason)
    return 1 if server.forward_reply(world, changed) else -1


def reply(world: World, request: SipMessage, code: int, reason: str) -> bool:
    """Send a reply without transaction; False for ACK."""
    if not request.is_request and world.strict:
        raise world.fault(
            WrongArguments(
                f"a reply is answered: a real Kamailio {world.version} sends"
                f" '{request.reason} {code} {reason}' to where the reply came from"
            )
        )
    if request.method == "ACK" or request.unreadable():
        return False
    if 300 <= code < 400:
        contacts = redirection(world, request)
        if contacts:
            request.reply_lumps.append(contacts)
    to = nameaddr.of(request, "to")
    tag = totag(request) if code >= 180 and to is not None and not to.tag else ""
    text = build.build_reply(world, request, code, reason, tag)
    world.part(Stateless).acks_until = world.clock.now + _ACK_WAIT
    way = Way(request.socket, request.proto)
    return sending.send(world, text, sending.reply_address(world, request), way, request.connection)


def totag(request: SipMessage) -> str:
    """The tag of stateless replies: one for each request, the same for its retransmission."""
    top = build.top_via(request)
    seen = "" if top is None else f"{top.host}{top.port}{top.branch}"
    return _PREFIX + hashlib.md5(seen.encode("latin-1")).hexdigest()[:8]  # noqa: S324


@variable("ltt", inner=one_of("x", "s", "t"))
def local_to_tag(world: World, inner: str, index: object) -> Value:
    """The To tag of a reply that would be sent now: by tm in a transaction, else stateless."""
    from ksr_stub.models import tm
    from ksr_stub.tm import cell

    in_transaction = world.param("sl", "bind_tm", 1) and tm.current(world) is not None
    if inner == "t" and not in_transaction:
        return None
    return totag(world.msg) if inner == "s" or not in_transaction else cell.totag(world.msg)


@variable("ds")
def destination_set(world: World, inner: object, index: object) -> Value:
    """The Contact header that a redirection would have, without its line end."""
    return redirection(world, world.msg).removesuffix("\r\n") or None


def redirection(world: World, request: SipMessage) -> str:
    """The Contact header of a redirection: the R-URI where it was changed, and the branches."""
    found = [] if request.new_uri is None else [(request.new_uri, request.q)]
    found += [(branch.uri, branch.q) for branch in branches.current(world)]
    if not found:
        world.say(0, "core: no r-uri or branches")
        return ""
    return f"Contact: {', '.join(f'<{uri}>{_q(q)}' for uri, q in found)}\r\n"


def _q(value: int) -> str:
    if value == branches.Q_UNSPECIFIED:
        return ""
    return ";q=" + ("1" if value >= 1000 else f"{value / 1000:.3f}".rstrip("0").rstrip("."))


def _filter_ack(world: World, request: SipMessage) -> bool:
    """Whether a request goes on: the ACK to a stateless reply does not reach the route."""
    if request.method != "ACK" or world.part(Stateless).acks_until <= world.clock.now:
        return True
    to = nameaddr.of(request, "to")
    return to is None or to.tag != totag(request)


server.BEFORE_REQUEST.append(_filter_ack)
