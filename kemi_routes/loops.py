"""Requests that come back to us (RFC 3261 16.3, RFC 5393).

A binding that leads back here, by way of another server or by itself, makes one request many: each
round forks to all bindings again. So nothing passes twice, not even with another R-URI: a proxy
that forwards a request back to us gets 482. A server that makes a new call of it does not.
"""

from __future__ import annotations

import re

import KSR

from kemi_routes.outcome import CONTINUE, DONE, Outcome

# A Via with a branch as tm makes it. A phone behind an edge proxy may have the private address
# that one of our interfaces has, but its branch looks otherwise. Each Via is read once (*+), from
# its beginning: anybody may send one of 60 kB.
_TM_VIA = re.compile(
    r"(?:^|,)\s*+SIP\s*+/\s*+2\.0\s*+/\s*+\w++\s++([^\s;,]++)"
    r"[^,]*?;\s*+branch\s*+=\s*+z9hG4bK[0-9a-f]++\.[0-9a-f]{32}\.",
    re.IGNORECASE,
)


def stop() -> Outcome:
    """Refuse a request that has been here before.

    Replies: 482 (RFC 3261 21.4.20); nothing to an ACK.
    """
    if KSR.siputils.is_first_hop() > 0 or not _was_here():
        return CONTINUE
    if not KSR.is_ACK():
        KSR.sl.sl_send_reply(482, "Loop Detected")
    return DONE


def tm_senders(via: str) -> list[str]:
    """The addresses, as sent-by, of the Vias in a Via header that a Kamailio has made.

    Args:
        via: the body of the header, which may have several values.
    """
    return _TM_VIA.findall(via)


def _was_here() -> bool:
    return any(
        KSR.is_myself(f"sip:{sender}")
        for i in range(KSR.pv.getvn("$hdrc(Via)", 0))
        for sender in tm_senders(KSR.pv.gete(f"$(hdr(Via)[{i}])"))
    )
