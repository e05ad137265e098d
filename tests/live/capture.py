"""What is on the wire of a host, as text."""

from __future__ import annotations

import re

from .network import Namespace
from .process import Process

COLUMNS = '"from","%s","port","%uS","to","%d","port","%uD","protocol","%p","info","%i"'


class Capture:
    """tshark on a host, one line a packet with source, destination, protocol and info.

    capture = Capture(router, "udp port 5060"); ...; capture.wait_for(r"Status: 200")
    """

    def __init__(self, host: Namespace, packets: str = "udp or tcp", verbose: bool = False) -> None:
        detail = ("-V",) if verbose else ("-o", f"gui.column.format:{COLUMNS}")
        self._process = Process(
            host, "tshark", "--log-level", "info", "-nlpi", "any", "-f", packets, *detail
        )
        self._process.wait_for("Capture started", timeout=20)

    @property
    def lines(self) -> list[str]:
        """The packets so far."""
        return self._process.lines

    def wait_for(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        """The first line that matches; AssertionError with all lines otherwise."""
        return self._process.wait_for(pattern, timeout)

    def stop(self) -> str:
        """End the capture and return its text."""
        self._process.stop()
        return self._process.output
