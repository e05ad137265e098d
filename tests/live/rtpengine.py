"""The media relay, in user space on the server's host."""

from __future__ import annotations

import secrets
import socket

from .message import host_port
from .network import Namespace
from .process import Process

CONTROL = ("127.0.0.1", 2223)


class RtpEngine:
    """rtpengine with its ng control socket on 127.0.0.1:2223 (RTPENGINE=udp:127.0.0.1:2223) and RTP
    on ports 30000-30999, which `network.server_behind_nat` forwards.

    interface  as in rtpengine's manual: "203.0.113.10", behind NAT "10.0.0.10!203.0.113.10", with
               two interfaces "public/203.0.113.10;private/10.10.0.10" (default: host's address)
    options    more of rtpengine's own, e.g. ("--delete-delay=0",)
    """

    def __init__(
        self, host: Namespace, interface: str | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.host = host
        interfaces = (interface or host.address).split(";")
        self.process = Process(
            host,
            "rtpengine",
            "--foreground",
            "--log-stderr",
            "--config-file=none",
            "--table=-1",
            *(f"--interface={one}" for one in interfaces),
            f"--listen-ng={host_port(CONTROL)}",
            "--port-min=30000",
            "--port-max=30999",
            *options,
        )
        self.process.wait_for("Startup complete")

    def relays(self, call_id: str) -> bool:
        """Whether it has a media session of this call (the ng command `list`)."""
        # An equal cookie would be taken for a retransmission, and be answered from memory.
        order = f"{secrets.token_hex(8)} d7:command4:liste".encode()
        with self.host.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
            control.settimeout(5)
            control.connect(CONTROL)
            control.send(order)
            return f"{len(call_id)}:{call_id}".encode() in control.recv(65535)

    def stop(self) -> None:
        """End it: calls must then still work, without a relay."""
        self.process.stop()
