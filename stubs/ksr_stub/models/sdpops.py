"""Module sdpops: what a message's SDP offers. Codecs are not modelled."""

from __future__ import annotations

import re

from attrs import frozen

from ksr_stub import pv
from ksr_stub.message import SipMessage
from ksr_stub.registry import model
from ksr_stub.world import World

_STREAM = re.compile(r"^m=(\S+) (\d+)\S* (\S+).*?(?=^m=|\Z)", re.MULTILINE | re.DOTALL)
_MODE = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\b", re.MULTILINE)


@frozen
class Stream:
    """An `m=` line and what belongs to it; `start` and `end` are places in the body."""

    media: str
    port: int
    transport: str
    mode: str
    start: int
    end: int


def has_sdp(message: SipMessage) -> bool:
    """Whether the body is SDP: its Content-Type says so, or there is none."""
    kind = message.get("content-type").partition(";")[0].strip().lower()
    return bool(message.body) and kind in ("", "application/sdp")


def streams(message: SipMessage) -> list[Stream]:
    """The streams of the SDP; [] without SDP."""
    found = []
    for match in _STREAM.finditer(message.body) if has_sdp(message) else ():
        mode = _MODE.search(match[0])
        shown = mode[1] if mode else ""
        found.append(Stream(match[1], int(match[2]), match[3], shown, match.start(), match.end()))
    return found


def _of(message: SipMessage, media: str) -> list[Stream]:
    return [stream for stream in streams(message) if stream.media.lower() == media.lower()]


@model("sdpops")
def sdp_content(world: World) -> int:
    """1: the body is SDP."""
    return 1 if has_sdp(world.msg) else -1


@model("sdpops")
def sdp_get(world: World, avp: str) -> int:
    """Put the SDP into an AVP."""
    if not has_sdp(world.msg):
        return -1
    pv.put(world, avp, world.msg.body)
    return 1


@model("sdpops")
def sdp_with_media(world: World, media: str) -> int:
    """1: a stream of this kind, e.g. `audio`; 0: none."""
    return int(bool(_of(world.msg, media)))


@model("sdpops")
def sdp_with_active_media(world: World, media: str) -> int:
    """1: a stream of this kind with a port, and not inactive; 0: none."""
    return int(any(s.port and s.mode != "inactive" for s in _of(world.msg, media)))


@model("sdpops")
def sdp_with_transport(world: World, transport: str) -> int:
    """1: a stream with this transport, e.g. `RTP/SAVP`; -1: none."""
    found = [s for s in streams(world.msg) if s.transport.lower() == transport.lower()]
    return 1 if found else -1


@model("sdpops")
def sdp_with_transport_like(world: World, transport: str) -> int:
    """1: a stream whose transport contains this; -1: none."""
    return 1 if any(transport in stream.transport for stream in streams(world.msg)) else -1


@model("sdpops")
def sdp_with_ice(world: World) -> int:
    """1: the body has ICE candidates."""
    return 1 if "a=candidate" in world.msg.body else -1


@model("sdpops")
def remove_media(world: World, media: str) -> int:
    """Take the streams of a kind out of the SDP; how many there were."""
    message = world.msg
    body = len(message.buf) - len(message.body)
    found = _of(message, media)
    for stream in found:
        message.delete(body + stream.start, stream.end - stream.start, "body")
    return len(found)
