"""A media relay that speaks rtpengine's ng protocol: it says what the stub's relay says."""

from __future__ import annotations

import socket
import threading
from typing import Any

from ksr_stub.models.rtpengine import RtpEngine


class MediaRelay:
    """Answers on a UDP port of 127.0.0.1; `asked` are the commands it got, pings aside."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.asked: list[dict[str, Any]] = []
        self._stub = RtpEngine()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """Begin anew."""
        self.asked.clear()
        self._stub = RtpEngine()

    def close(self) -> None:
        """End it."""
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, source = self._socket.recvfrom(65535)
            cookie, _, dictionary = data.partition(b" ")
            if not cookie:
                return
            command, _ = decoded(dictionary, 0)
            answer = self._answer(command)
            self._socket.sendto(cookie + b" " + encoded(answer), source)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = command["command"]
        if name == "ping":
            return {"result": "pong"}
        self.asked.append(command)
        if name in ("offer", "answer"):
            tag = command["from-tag" if name == "offer" else "to-tag"]
            sdp = self._stub.rewrite(command["sdp"], command["call-id"], tag, "")
            return {"result": "ok", "sdp": sdp}
        return self._stub.answers if name == "query" else {"result": "ok"}


def encoded(value: object) -> bytes:
    """A value in bencode."""
    if isinstance(value, dict):
        inner = b"".join(encoded(key) + encoded(one) for key, one in value.items())
        return b"d" + inner + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(encoded(one) for one in value) + b"e"
    if isinstance(value, int):
        return f"i{value}e".encode()
    text = str(value).encode("latin-1")
    return f"{len(text)}:".encode() + text


def decoded(data: bytes, at: int) -> tuple[Any, int]:
    """The bencoded value at an offset, and the offset behind it."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        at += 1
        found: list[Any] = []
        while data[at : at + 1] != b"e":
            value, at = decoded(data, at)
            found.append(value)
        if kind == b"l":
            return found, at + 1
        return dict(zip(found[::2], found[1::2], strict=True)), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode("latin-1"), end
