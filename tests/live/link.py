"""One UDP socket or one TCP or TLS connection of a host, carrying SIP messages."""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque

from .message import Address, Message
from .network import SERVER, Namespace

KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM, "tls": socket.SOCK_STREAM}
CONTENT_LENGTH = re.compile(
    rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE
)


class Link:
    """Bind `local` on a host and, for tcp and tls, connect to `remote`; two threads may use it.

    `local` is the address really bound: port 0 becomes the port that the kernel chose.
    Certificates are not verified: the server's is self-signed.
    """

    def __init__(
        self, host: Namespace, local: Address, remote: Address, transport: str = "udp"
    ) -> None:
        self.host, self.remote, self.transport = host, remote, transport
        self._wake_reader, self._wake = socket.socketpair()
        host.on_close(self.close)
        self._lock = threading.Lock()
        self._buffer = b""
        self.alive = True
        self._open(local)

    def _open(self, local: Address) -> None:
        family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
        self._socket = self.host.socket(family, KINDS[self.transport])
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(local)
        if self.transport != "udp":
            self._connect()
        self._socket.setblocking(False)
        self.local: Address = self._socket.getsockname()[:2]

    def _connect(self) -> None:
        # Closing then resets the connection, so that its port can be used again at once.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.settimeout(5)
        self._socket.connect(self.remote)
        if self.transport == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)

    def send(self, data: bytes, address: Address | None = None) -> None:
        """Send to address (udp, default `remote`) or on the connection (tcp, tls)."""
        with self._lock:
            if self.transport == "udp":
                self._socket.sendto(data, address or self.remote)
            else:
                self._socket.sendall(data)

    def read(self, timeout: float | None) -> list[tuple[bytes, Address]]:
        """What arrived, with its source: datagrams, or whole messages of a connection.

        Waits up to timeout seconds (None: for ever); [] when nothing came or the link was closed.
        Raises ConnectionError when the other side closed the connection.
        """
        waiting = select.poll()
        for one in (self._socket, self._wake_reader):
            waiting.register(one, select.POLLIN)
        own = self._socket.fileno()
        ready = [fd for fd, _ in waiting.poll(None if timeout is None else timeout * 1000)]
        if own not in ready or not self.alive:
            return []
        with self._lock:
            return self._datagram() if self.transport == "udp" else self._stream()

    def _datagram(self) -> list[tuple[bytes, Address]]:
        data, source = self._socket.recvfrom(65535)
        return [(data, source[:2])]

    def _stream(self) -> list[tuple[bytes, Address]]:
        try:
            while True:
                data = self._socket.recv(65535)
                if not data:
                    raise ConnectionError(f"{self.remote} closed the connection")
                self._buffer += data
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        return [(message, self.remote) for message in self._messages()]

    def _messages(self) -> list[bytes]:
        """Cut whole messages off the buffer; empty lines between them are keepalives (RFC 5626)."""
        messages = []
        self._buffer = self._buffer.lstrip(b"\r\n")
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = CONTENT_LENGTH.search(self._buffer[:end])
            end += 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                break
            messages.append(self._buffer[:end])
            self._buffer = self._buffer[end:].lstrip(b"\r\n")
        return messages

    def close(self) -> None:
        """Close socket and connection; a `read` that is waiting returns."""
        if self.alive:
            self.alive = False
            self._wake.close()
            self._socket.close()


class RawSocket:
    """Send hand-written messages from a host and see what comes back to the source port.

    RawSocket(loopback, ("127.0.0.1", 0), server=("127.0.0.1", 5060)).send(wire('''OPTIONS ...'''))
    """

    def __init__(
        self,
        host: Namespace,
        local: Address,
        server: Address = (SERVER, 5060),
        transport: str = "udp",
    ) -> None:
        self.link = Link(host, local, server, transport)
        self.local = self.link.local
        self._waiting: deque[tuple[bytes, Address]] = deque()

    def send(self, data: bytes, address: Address | None = None) -> None:
        """Send bytes as they are, to the server unless address is given."""
        self.link.send(data, address)

    def receive_bytes(self, timeout: float = 5) -> tuple[bytes, Address]:
        """The next datagram (or message of the connection) and its source. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while not self._waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing came to {self.local} within {timeout} s")
            self._waiting.extend(self.link.read(left))
        return self._waiting.popleft()

    def receive(self, timeout: float = 5) -> Message:
        """The next SIP message. Raises TimeoutError, ValueError (no SIP), ConnectionError."""
        return Message.parse(*self.receive_bytes(timeout))

    def close(self) -> None:
        """Close the socket."""
        self.link.close()
