"""Module rtpengine: a media relay that the test controls.

`world.part(RtpEngine)` is the relay: what it was asked, whether it answers, and which address it
puts into SDP.
"""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

from ksr_stub import message as sip
from ksr_stub import nameaddr, pv
from ksr_stub.models import tm
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value, no_value
from ksr_stub.registry import model
from ksr_stub.tm.cell import BRANCH_FAILURE
from ksr_stub.world import FAILURE, World

_NOTE, _OFFERED = "rtpengine", "rtpengine_sdp"
_TAG = re.compile(r";\s*tag=([^;,\s]+)", re.IGNORECASE)
_CONNECTION = re.compile(r"^c=IN IP[46] \S+", re.MULTILINE)
_ORIGIN = re.compile(r"^(o=.*) IN IP[46] \S+", re.MULTILINE)
_MEDIA = re.compile(r"^(m=\S+) (\d+)", re.MULTILINE)
_RTCP = re.compile(r"^a=rtcp:(\d+)", re.MULTILINE)


@attrs.frozen
class Command:
    """What the relay was asked: `name` is `offer`, `answer`, `delete`, `query`, ..."""

    name: str
    call_id: str
    from_tag: str
    to_tag: str
    flags: str
    sdp: str = ""
    relay_set: int = 0

    @property
    def flag_list(self) -> list[str]:
        """The flags, one by one."""
        return self.flags.split()


@attrs.define(eq=False)
class RtpEngine:
    """The relays: set `alive` to False and they do not answer.

    `answers` is what they say to a query; `down` are the sets that do not answer.
    """

    address: str = "198.51.100.200"
    alive: bool = True
    commands: list[Command] = attrs.Factory(list)
    answers: dict[str, Any] = attrs.Factory(lambda: {"result": "ok", "totals": _no_totals()})
    down: set[int] = attrs.Factory(set)
    _ports: dict[tuple[str, str, int], int] = attrs.Factory(dict)

    @property
    def sessions(self) -> set[str]:
        """The Call-IDs with an offer that was not deleted."""
        live: set[str] = set()
        for command in self.commands:
            if command.name == "offer":
                live.add(command.call_id)
            elif command.name == "delete":
                live.discard(command.call_id)
        return live

    def ask(self, world: World, name: str, flags: str, sdp: str = "") -> bool:
        """Let a relay of each chosen set do something; False where one does not answer."""
        parties = _parties(world.msg, name, flags)
        if parties is None:
            world.say(-1, "rtpengine: can't get Call-Id field, From or To tag")
            return False
        chosen = _chosen(world)
        for number in () if chosen is None else chosen:
            if not self.alive or number in self.down:
                world.say(-1, "rtpengine: no available proxies")
                return False
            self.commands.append(Command(name, *parties, flags, sdp, number))
        return chosen is not None

    def rewrite(self, sdp: str, call_id: str, tag: str, flags: str) -> str:
        """The SDP with the relay's address and ports; a stream with port 0 keeps it."""
        family = "IP6" if ":" in self.address else "IP4"
        streams = iter(range(1000))

        def stream(match: re.Match[str]) -> str:
            number = next(streams)
            if match[2] == "0":
                return match[0]
            key = (call_id, tag, number)
            port = self._ports.setdefault(key, 30000 + 2 * len(self._ports))
            return f"{match[1]} {port}"

        out = _CONNECTION.sub(f"c=IN {family} {self.address}", sdp)
        out = _MEDIA.sub(stream, out)
        out = _RTCP.sub(lambda _: f"a=rtcp:{self._first_port(call_id, tag) + 1}", out)
        if "replace-origin" in flags.split():
            out = _ORIGIN.sub(rf"\1 IN {family} {self.address}", out)
        return out

    def _first_port(self, call_id: str, tag: str) -> int:
        return self._ports.get((call_id, tag, 0), 30000)


_WITHOUT_TAGS = {
    "block_dtmf", "unblock_dtmf", "block_media", "unblock_media", "silence_media",
    "unsilence_media",
}  # fmt: skip


def _parties(message: sip.SipMessage, name: str, flags: str) -> tuple[str, str, str] | None:
    """Call-ID, from-tag and to-tag of a command: who answers in a request is its sender."""
    named = dict(word.partition("=")[::2] for word in flags.split())
    found = (nameaddr.of(message, "from"), nameaddr.of(message, "to"))
    own = ["" if one is None else one.tag for one in found]
    sender, receiver = named.get("from-tag") or own[0], named.get("to-tag") or own[1]
    call_id = named.get("call-id") or message.get("call-id")
    if not call_id or not own[0]:
        return None
    if named.get("from-tag"):
        return call_id, sender, receiver
    if name in _WITHOUT_TAGS:
        return call_id, "", ""
    if name == "delete":
        return call_id, sender, receiver if "to-tag" in named else ""
    if message.is_request != (name == "answer"):
        return call_id, sender, receiver
    return (call_id, receiver, sender) if receiver else None


def _no_totals() -> dict[str, dict[str, int]]:
    return {kind: {"packets": 0, "bytes": 0, "errors": 0} for kind in ("RTP", "RTCP")}


def _configured(world: World) -> set[int]:
    """The sets of `rtpengine_sock`: `udp:...` is in the default one, `2 == udp:...` in set 2."""
    given: str | tuple[str, ...] = world.param("rtpengine", "rtpengine_sock", ())
    texts = (given,) if isinstance(given, str) else given
    default = int(world.param("rtpengine", "setid_default", 0))
    numbers = [text.partition("==")[0].strip() for text in texts if "==" in text]
    bare = len(numbers) < len(texts) or not texts
    return {int(number) for number in numbers} | ({default} if bare else set())


def _chosen(world: World) -> tuple[int, ...] | None:
    """The sets that the message was given to, else the default one; None for a wrong one."""
    name = str(world.param("rtpengine", "setid_avp", ""))
    forced = pv.get(world, name) if name else None
    if isinstance(forced, int):
        return (forced,) if forced in _configured(world) else None
    default = int(world.param("rtpengine", "setid_default", 0))
    chosen = world.msg.notes.get(_NOTE, (default,))
    return chosen if isinstance(chosen, tuple) else None


@model("rtpengine")
def set_rtpengine_set(world: World, r1: int) -> int:
    """Choose the set of relays for this message; -1: there is no such set."""
    return set_rtpengine_set2(world, r1, r1)


@model("rtpengine")
def set_rtpengine_set2(world: World, r1: int, r2: int) -> int:
    """Choose two sets, one after the other: each gets all commands. -1: one is not there."""
    if not {r1, r2} <= _configured(world):
        world.say(-1, f"rtpengine: rtpp_proxy set {r1} or {r2} not configured")
        return -1
    world.msg.notes[_NOTE] = (r1,) if r1 == r2 else (r1, r2)
    return 1


@model("rtpengine")
def rtpengine_query(world: World, flags: str) -> int:
    """Ask for the statistics of the call; -1 without an answer."""
    return 1 if world.part(RtpEngine).ask(world, "query", flags) else -1


@model("rtpengine")
def rtpengine_query0(world: World) -> int:
    """As rtpengine_query, without flags."""
    return rtpengine_query(world, "")


@model("rtpengine")
def rtpengine_query_v(world: World, fmt: str, dpv: str) -> int:
    """Write what the relay knows of the call into a variable.

    Args:
        world: its message is of the call.
        fmt: `j` is JSON, `jp` JSON with line breaks.
        dpv: the variable.
    Returns:
        1, -1 without an answer, for a wrong format or variable.
    """
    target = pv.lookup(world, dpv)
    if target is None or target.variable.set is None:
        world.say(-1, f"rtpengine: target pv is not writable: {dpv}")
        return -1
    relay = world.part(RtpEngine)
    if not relay.ask(world, "query", "") or fmt[:1].lower() != "j":
        return -1
    pretty = fmt[1:2].lower() == "p"
    text = _pretty(relay.answers) if pretty else json.dumps(relay.answers, separators=(",", ":"))
    pv.put(world, dpv, text)
    return 1


def _pretty(value: object, depth: int = 1) -> str:
    """JSON with tabs, as srjson writes it."""
    if isinstance(value, list):
        return f"[{', '.join(_pretty(one, depth + 1) for one in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    tabs = "\t" * depth
    lines = [f"{tabs}{json.dumps(k)}:\t{_pretty(v, depth + 1)}" for k, v in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" * bool(lines) + "\t" * (depth - 1) + "}"


@variable("rtpstat", "rtpestat")
def rtp_statistics(world: World, inner: object, index: object) -> Value:
    """The totals of the call."""
    relay = world.part(RtpEngine)
    totals = relay.answers.get("totals", {}) if relay.ask(world, "query", "") else {}
    if not {"RTP", "RTCP"} <= totals.keys():
        raise no_value(world, "rtpengine: no totals")
    return "; ".join(
        f"{kind}: "
        + ", ".join(f"{totals[kind].get(n, -1)} {n}" for n in ("bytes", "packets", "errors"))
        for kind in ("RTP", "RTCP")
    )


def _relay(world: World, name: str, flags: str) -> int:
    received = world.msg
    if not received.body:
        world.say(-1, "rtpengine: can't extract body from the message")
        return -1
    relay = world.part(RtpEngine)
    if not relay.ask(world, name, flags, received.body):
        return -1
    header = "from" if received.is_request else "to"
    tag = _TAG.search(received.get(header))
    text = relay.rewrite(received.body, received.get("call-id"), tag[1] if tag else "", flags)
    received.replace(len(received.buf) - len(received.body), len(received.body), text, "body")
    return 1


@model("rtpengine")
def rtpengine_offer(world: World, flags: str) -> int:
    """Rewrite the SDP of an offer; -1 without SDP or without an answer of the relay."""
    return _relay(world, "offer", flags)


@model("rtpengine")
def rtpengine_offer0(world: World) -> int:
    """As rtpengine_offer, without flags."""
    return _relay(world, "offer", "")


@model("rtpengine")
def rtpengine_answer(world: World, flags: str) -> int:
    """Rewrite the SDP of an answer; -1 where there is no SDP, relay or, in a request, To tag."""
    return _relay(world, "answer", flags)


@model("rtpengine")
def rtpengine_answer0(world: World) -> int:
    """As rtpengine_answer, without flags."""
    return rtpengine_answer(world, "")


@model("rtpengine")
def rtpengine_delete(world: World, flags: str) -> int:
    """End the session of the call."""
    return 1 if world.part(RtpEngine).ask(world, "delete", flags) else -1


@model("rtpengine")
def rtpengine_delete0(world: World) -> int:
    """As rtpengine_delete, without flags."""
    return rtpengine_delete(world, "")


@model("rtpengine")
def rtpengine_manage(world: World, flags: str) -> int:
    """Offer, answer or delete, as the message is; -1 where it is none of these."""
    if world.route == BRANCH_FAILURE:
        return 1
    received, transaction = world.msg, tm.current(world)
    method = (received.get("cseq").split() or [""])[-1]
    has_sdp = "sdp" in received.get("content-type").lower() and bool(received.body)
    if method in ("CANCEL", "BYE") or (not received.is_request and received.status >= 300):
        return rtpengine_delete(world, flags)
    if not has_sdp or method not in ("INVITE", "ACK", "UPDATE", "PRACK"):
        return -1
    if not received.is_request:
        answers = method == "UPDATE" or transaction is None
        offered = transaction is not None and _OFFERED in transaction.request.notes
        return _relay(world, "answer" if answers or offered else "offer", flags)
    if method in ("ACK", "PRACK"):
        return _relay(world, "answer", flags)
    if method == "INVITE":
        received.notes[_OFFERED] = True
        if transaction is not None:
            transaction.request.notes[_OFFERED] = True
        if world.route == FAILURE:
            return rtpengine_delete(world, flags)
    return _relay(world, "offer", flags)


@model("rtpengine")
def rtpengine_manage0(world: World) -> int:
    """As rtpengine_manage, without flags."""
    return rtpengine_manage(world, "")


def _ask(name: str) -> None:
    def with_flags(world: World, flags: str = "") -> int:
        return 1 if world.part(RtpEngine).ask(world, name, flags) else -1

    model("rtpengine", name)(with_flags)
    if name not in ("start_recording", "stop_recording", "play_media"):
        model("rtpengine", f"{name}0")(lambda world: with_flags(world))


for _name in (
    "start_recording", "stop_recording", "block_media", "unblock_media", "silence_media",
    "unsilence_media", "block_dtmf", "unblock_dtmf", "play_media", "stop_media",
):  # fmt: skip
    _ask(_name)
