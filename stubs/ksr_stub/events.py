"""Callbacks without a message: they run on a faked OPTIONS (core/fmsg.c)."""

from __future__ import annotations

from ksr_stub import message, script
from ksr_stub.message import Address, Socket
from ksr_stub.world import EVENT, World

_FAKED = (
    b"OPTIONS sip:you@kamailio.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n"
    b"From: <sip:you@kamailio.org>;tag=123\r\nTo: <sip:you@kamailio.org>\r\nCall-ID: 123\r\n"
    b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
_LOCAL = Socket("udp", "127.0.0.1", 5060)


def run(world: World, callback: str, event: str, socket: Socket = _LOCAL) -> None:
    """Call a callback of the script with the name of an event; nothing without a script."""
    if not callback or world.script is None:
        return
    saved = world.message, world.route
    world.message = message.parse(_FAKED, Address("127.0.0.1", 5060), socket)
    world.route = EVENT
    try:
        script.run(world, callback, event)
    finally:
        world.message, world.route = saved
