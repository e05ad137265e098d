"""KSR.forward and KSR.forward_uri: stateless forwarding (core/forward.c of Kamailio)."""

from __future__ import annotations

import hashlib

from ksr_stub import build, sending
from ksr_stub.message import SipMessage, Way
from ksr_stub.registry import model
from ksr_stub.world import World


@model("")
def forward(world: World) -> int:
    """Send the request on without transaction, to `$du` or else the R-URI."""
    return forward_uri(world, "")


@model("")
def forward_uri(world: World, target: str) -> int:
    """Send the request on without transaction to a URI."""
    message = world.msg
    found = sending.destination(world, target or message.dst_uri or message.uri, secure=False)
    if found is None:
        world.say(-1, "core: forward - bad_uri dropping packet")
        return -1
    to, proto = found
    socket = sending.send_socket(world, message, to, proto)
    if socket is None:
        world.say(-1, f"core: cannot forward to {proto}, no corresponding listening socket")
        return -1
    way = Way(socket, proto)
    text = build.build_request(world, message, way, stateless_branch(message))
    if not sending.onsend(world, message, text, to, way):
        return -1
    return 1 if sending.send(world, text, to, way) else -1


def stateless_branch(message: SipMessage) -> str:
    """The branch of a stateless forward: the same for every retransmission."""
    seen = "".join(message.get(name) for name in ("from", "to", "call-id", "cseq"))
    top = build.top_via(message)
    seen += top.branch if top is not None else ""
    digest = hashlib.md5(seen.encode("latin-1")).hexdigest()  # noqa: S324
    return f"{build.MAGIC}{digest[:4]}.{digest}.0"
