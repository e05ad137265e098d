"""How long a TCP, TLS or WebSocket connection lives without traffic.

Kamailio closes one that has brought nothing useful after `tcp_connection_lifetime`, which is short:
who only opens connections must not use them all up. One that has brought something is the only way
back to a phone behind NAT, and lives as long as its binding can.
"""

from __future__ import annotations

import KSR

from kemi_routes import settings

# A phone registers again some time before its binding ends, or just after.
MARGIN = 50  # seconds


def keep() -> None:
    """Keep the connection that the message has come by."""
    if KSR.pv.get("$proto") != "udp":
        KSR.tcpops.tcp_set_connection_lifetime(settings.active.max_expires + MARGIN)
