"""SIP over WebSocket (RFC 7118) as a browser speaks it, handshake and frames by RFC 6455."""

from __future__ import annotations

import base64
import hashlib
import secrets

from .link import Link
from .message import Address
from .network import Namespace

ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FINAL, MASKED = 0x80, 0x80
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocketLink(Link):
    """A WebSocket to the server's TCP port, carrying one SIP message a frame.

    It answers pings. Raises AssertionError where the server refuses the handshake.
    """

    def __init__(self, host: Namespace, local: Address, remote: Address) -> None:
        super().__init__(host, local, remote, "tcp")

    def _connect(self) -> None:
        super()._connect()
        key = base64.b64encode(secrets.token_bytes(16))
        self._socket.sendall(
            b"GET / HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n"
            b"Origin: https://example.test\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        answer = self._answer()
        accept = base64.b64encode(hashlib.sha1(key + ACCEPT_SALT, usedforsecurity=False).digest())
        assert answer.startswith(b"HTTP/1.1 101"), answer
        assert b"Sec-WebSocket-Accept: " + accept in answer, answer
        assert b"Sec-WebSocket-Protocol: sip" in answer, answer

    def _answer(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            data = self._socket.recv(4096)
            assert data, f"the server closed the connection after {self._buffer!r}"
            self._buffer += data
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return answer

    def send(self, data: bytes, address: Address | None = None) -> None:
        """Send a SIP message as one text frame."""
        super().send(frame(TEXT, data), address)

    def _messages(self) -> list[bytes]:
        messages = []
        while (found := unframed(self._buffer)) is not None:
            kind, payload, self._buffer = found
            if kind in (TEXT, BINARY):
                messages.append(payload)
            elif kind == PING:
                # not self.send: the reader holds its lock
                self._socket.sendall(frame(PONG, payload))
            elif kind == CLOSE:
                raise ConnectionError(f"{self.remote} closed the WebSocket")
        return messages


def frame(kind: int, payload: bytes) -> bytes:
    """One frame of a client: final, and masked as RFC 6455 5.3 wants it."""
    mask = secrets.token_bytes(4)
    size = len(payload)
    head = bytes((FINAL | kind, MASKED | (size if size < 126 else 126)))
    length = b"" if size < 126 else size.to_bytes(2, "big")
    return head + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def unframed(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Kind, payload and rest of the first frame of a server, None while it is not complete."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size > 125:
        start = 4 if size == 126 else 10
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size or len(data) < start:
        return None
    return data[0] & 0x0F, data[start : start + size], data[start + size :]
