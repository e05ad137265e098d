"""SIP over WebSocket: the handshake (RFC 6455, RFC 7118)."""

from __future__ import annotations

import KSR


def upgrade() -> None:
    """Accept the handshake of a SIP WebSocket; any other HTTP request is answered with 404."""
    if KSR.hdr.is_present("Upgrade") > 0 and KSR.pv.gete("$rm") == "GET":
        if KSR.websocket.handle_handshake() <= 0:
            KSR.notice(f"kemi-routes: WebSocket handshake of {KSR.pv.get('$si')} refused\n")
        return
    KSR.xhttp.xhttp_reply(404, "Not Found", "text/plain", "Not Found\n")
