"""The media relay, in user space on the server's host."""

from __future__ import annotations

from .network import Namespace
from .process import Process


class RtpEngine:
    """rtpengine with its ng control socket on 127.0.0.1:2223 (RTPENGINE=udp:127.0.0.1:2223) and RTP
    on ports 30000-30999, which `network.server_behind_nat` forwards.

    interface  as in rtpengine's manual: "203.0.113.10", behind NAT "10.0.0.10!203.0.113.10", with
               two interfaces "public/203.0.113.10;private/10.10.0.10" (default: host's address)
    """

    def __init__(self, host: Namespace, interface: str | None = None) -> None:
        interfaces = (interface or host.address).split(";")
        self.process = Process(
            host,
            "rtpengine",
            "--foreground",
            "--log-stderr",
            "--config-file=none",
            "--table=-1",
            *(f"--interface={one}" for one in interfaces),
            "--listen-ng=127.0.0.1:2223",
            "--port-min=30000",
            "--port-max=30999",
        )
        self.process.wait_for("Startup complete")

    def stop(self) -> None:
        """End it: calls must then still work, without a relay."""
        self.process.stop()
