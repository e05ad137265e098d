"""SDP bodies and RTP streams."""

from __future__ import annotations

import re
import select
import socket
import struct
import time

from .message import Address
from .network import Namespace


def sdp(address: Address, *attributes: str, kind: str = "RTP/AVP") -> str:
    """An audio offer or answer for PCMU at this address; attributes are lines without `a=`."""
    host, port = address
    family = "IP6" if ":" in host else "IP4"
    lines = ["v=0", f"o=- 1 1 IN {family} {host}", "s=-", f"c=IN {family} {host}", "t=0 0"]
    lines += [f"m=audio {port} {kind} 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv"]
    return "".join(f"{line}\r\n" for line in [*lines, *(f"a={a}" for a in attributes)])


def media_address(body: str) -> Address:
    """Where an SDP wants its first stream: the stream's own c= line, else the session's."""
    media = re.search(r"^m=\w+ (\d+)", body, re.MULTILINE)
    if not media:
        raise ValueError(f"no media in this SDP:\n{body}")
    after, before = body[media.start() :], body[: media.start()]
    connection = re.search(r"^c=IN IP\d (\S+)", after.split("\nm=")[0], re.MULTILINE)
    connection = connection or re.search(r"^c=IN IP\d (\S+)", before, re.MULTILINE)
    if not connection:
        raise ValueError(f"no address in this SDP:\n{body}")
    return connection[1], int(media[1])


class RtpStream:
    """The RTP side of one phone. `remote` is set from the other side's SDP:

    stream = RtpStream(host); alice.invite("2222", stream.sdp()) ...
    stream.remote = media_address(answer.body)
    RtpStream.exchange(stream, other)      # then stream.received == other.received == 200
    """

    def __init__(self, host: Namespace, local: Address | None = None) -> None:
        address = local or (host.address, 0)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = host.socket(family, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.local: Address = self._socket.getsockname()[:2]
        self.remote: Address | None = None
        self.ssrc = id(self) & 0xFFFFFFFF
        self.sent = 0
        self.packets: list[tuple[int, int, Address]] = []

    def sdp(self, *attributes: str) -> str:
        """The SDP that offers this stream."""
        return sdp(self.local, *attributes)

    @property
    def received(self) -> int:
        """How many RTP packets came; `packets` has (ssrc, sequence number, source) of each."""
        return len(self.packets)

    def send(self) -> None:
        """Send one packet of 20 ms of silence to `remote`."""
        if self.remote is None:
            raise AssertionError("set RtpStream.remote from the SDP of the other side first")
        header = struct.pack("!BBHII", 0x80, 0, self.sent, self.sent * 160, self.ssrc)
        self._socket.sendto(header + b"\xff" * 160, self.remote)
        self.sent += 1

    def drain(self, timeout: float = 0) -> None:
        """Take what has come, waiting up to timeout seconds for a first packet."""
        while select.select([self._socket], [], [], timeout)[0]:
            data, source = self._socket.recvfrom(2048)
            if len(data) >= 12 and data[0] >> 6 == 2:
                sequence, _, ssrc = struct.unpack_from("!HII", data, 2)
                self.packets.append((ssrc, sequence, source[:2]))
            timeout = 0

    def listen(self, packets: int = 50, timeout: float = 10) -> int:
        """Send and take until this many packets came from anyone (a softphone); how many did."""
        deadline = time.monotonic() + timeout
        while self.received < packets and time.monotonic() < deadline:
            self.send()
            self.drain(0.02)
        return self.received

    @staticmethod
    def exchange(
        first: RtpStream, second: RtpStream, packets: int = 200, timeout: float = 10
    ) -> tuple[int, int]:
        """Send in both directions until each side got this many of the other's packets (or
        timeout seconds passed); returns how many each got.

        A relay learns where a phone behind NAT is from the phone's first packet, so what the
        other one sent before that is lost; that is why the count is of packets received.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            got = first.heard(second), second.heard(first)
            if min(got) >= packets:
                break
            first.send()
            second.send()
            first.drain(0.005)
            second.drain(0.005)
        return first.heard(second), second.heard(first)

    def heard(self, other: RtpStream) -> int:
        """How many packets came that the other stream sent."""
        return sum(1 for ssrc, _, _ in self.packets if ssrc == other.ssrc)
