"""A SIP message as Kamailio holds it: the bytes that came, where each header stands, and edits.

Edits are lumps: they change what is sent, never what is read. `$ct` after set_contact_alias is
still the Contact that came.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs

_Value = TypeVar("_Value")

_COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
    "c": "content-type", "e": "content-encoding", "k": "supported", "s": "subject", "o": "event",
    "r": "refer-to", "u": "allow-events", "x": "session-expires", "b": "referred-by",
    "y": "identity", "a": "accept-contact", "d": "request-disposition", "j": "reject-contact",
}  # fmt: skip
_REQUEST = re.compile(
    r"([^ \t\r\n]+) ([^ \t\r\n]*)[ \t]+(SIP/2\.0)[^ \t\r\n]*[ \t]*\r?\n", re.IGNORECASE
)
# Kamailio allows fewer characters than a token has (RFC 3261 25.1)
_NAME = re.compile(r"[A-Za-z0-9\-._+~]+[ \t]*")
# what stands before the place of an empty body: not the end of the line
_LEADING = re.compile(r"(?:[ \t]|\r?\n(?=[ \t]))*")
_REPLY = re.compile(r"(SIP/2\.0) (\d{3}) ?([^\r\n]*)\r?\n", re.IGNORECASE)


class ParseError(Exception):
    """Kamailio's parser gives up on the message: it is dropped without a reply."""


@attrs.frozen
class Address:
    """An IP address and a port; the host of IPv6 is without brackets."""

    host: str
    port: int


@attrs.frozen
class Socket:
    """One of the server's sockets."""

    proto: str
    host: str
    port: int
    advertised_host: str = ""
    advertised_port: int = 0
    # as in `listen=udp:192.0.2.1:5060 name "s1"`
    name: str = ""

    @property
    def shown_host(self) -> str:
        """The host in Via and Record-Route: the advertised one, IPv6 in brackets."""
        host = self.advertised_host or self.host
        return f"[{host}]" if ":" in host and not host.startswith("[") else host

    @property
    def shown_port(self) -> int:
        """The port in Via and Record-Route."""
        return self.advertised_port or self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.proto}:{host}:{self.port}"


@functools.lru_cache(maxsize=4096)
def header_key(name: str) -> str:
    """The long name of a header in lower case, for its compact form too."""
    lower = name.strip().lower()
    return _COMPACT.get(lower, lower)


@attrs.frozen
class Header:
    """A header field: `name` as written, `body` without leading white space, and its place.

    Folds and trailing white space stay in the body, as Kamailio leaves them."""

    name: str
    body: str
    start: int
    end: int
    body_start: int
    # the long name in lower case
    key: str = attrs.field(init=False, repr=False, eq=False)

    @key.default
    def _key(self) -> str:
        return header_key(self.name)


@attrs.frozen
class Way:
    """How a message leaves: from which socket, by which protocol (`ws` of a tcp socket)."""

    socket: Socket
    proto: str


@attrs.frozen
class Lump:
    """One edit: at `offset` of the buffer, `length` bytes go and `text` comes.

    `made` makes the text when the message is sent, for what depends on the way it leaves.
    `counted`: Content-Length will know of it.
    """

    offset: int
    length: int
    text: str
    tag: str = ""
    made: Callable[[SipMessage, Way], str] | None = None
    counted: bool = True


@attrs.define(eq=False)
class SipMessage:
    """A received or generated message, with all that the routes changed about it."""

    _buf: str
    source: Address = Address("127.0.0.1", 5060)
    socket: Socket = Socket("udp", "127.0.0.1", 5060)
    connection: int = 0
    id: int = 0
    # the transport it came by: `ws` and `wss` where the socket is tcp or tls
    proto: str = "udp"

    first_line_end: int = 0
    method: str = ""
    ruri: str = ""
    status: int = 0
    reason: str = ""
    headers: list[Header] = attrs.Factory(list)
    _body: str = ""
    # why the parser gives up on the header field behind `headers`, '' where it does not
    broken: str = ""

    lumps: list[Lump] = attrs.Factory(list)
    reply_lumps: list[str] = attrs.Factory(list)
    reply_body: tuple[str, str] | None = None
    _new_uri: str | None = None
    _dst_uri: str | None = None
    path_vector: str | None = None
    send_socket: Socket | None = None
    force_rport: bool = False
    add_local_rport: bool = False
    no_connect: bool = False
    flags: int = 0
    xflags: int = 0
    bflags: int = 0
    q: int = -1
    instance: str = ""
    ruid: str = ""
    location_ua: str = ""
    # whether the R-URI is still to be forked to: true again when it or $du is set
    uri_fresh: bool = True
    # until somebody has looked behind the last header field, Kamailio does not know where the body
    # begins: what is edited there does not change Content-Length
    read_to_end: bool = False
    # set by set_contact_alias: (what the parsed Contact points to now)
    contact_uri_changed: bool = False
    # what readers have made of header fields in buf: the same for all copies
    _read: dict[tuple[object, int], Any] = attrs.Factory(dict)
    # free room for models: parsed state of one module, by its name
    notes: dict[str, object] = attrs.Factory(dict)

    @property
    def buf(self) -> str:
        """The text that came."""
        return self._buf

    @buf.setter
    def buf(self, text: str) -> None:
        self._buf, self._read = text, {}

    @property
    def body(self) -> str:
        """What stands behind the headers; who asks for it has read those."""
        self.read_to_end = True
        return self._body

    @body.setter
    def body(self, text: str) -> None:
        self._body = text

    @property
    def new_uri(self) -> str | None:
        """The R-URI that a route has set."""
        return self._new_uri

    @new_uri.setter
    def new_uri(self, text: str | None) -> None:
        self._new_uri = text
        self.uri_fresh = self.uri_fresh or text is not None

    @property
    def dst_uri(self) -> str | None:
        """`$du`: where it goes, whatever the R-URI says."""
        return self._dst_uri

    @dst_uri.setter
    def dst_uri(self, text: str | None) -> None:
        self._dst_uri = text
        self.uri_fresh = self.uri_fresh or text is not None

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return not self.status

    @property
    def uri(self) -> str:
        """The R-URI in force."""
        return self.ruri if self.new_uri is None else self.new_uri

    def all(self, key: str) -> Iterator[Header]:
        """Every header field of that (long) name."""
        wanted = key.lower()
        return iter([header for header in self.headers if header.key == wanted])

    def first(self, key: str) -> Header | None:
        """The first header field of that name."""
        wanted = key.lower()
        for header in self.headers:
            if header.key == wanted:
                return header
        self.read_to_end = True
        return None

    def get(self, key: str) -> str:
        """The body of the first header field of that name, '' without one."""
        header = self.first(key)
        return "" if header is None else header.body

    def once(self, reader: Callable[[str, int, int], _Value], header: Header) -> _Value:
        """What a reader makes of a header field's body in `buf`; it is asked once."""
        key = (reader, header.body_start)
        found: _Value | None = self._read.get(key)
        if found is None:
            stop = header.body_start + len(header.body)
            found = self._read[key] = reader(self.buf, header.body_start, stop)
        return found

    def overwrite(self, header: Header, body: str) -> None:
        """Put another body of the same length in the place of a header field's own, in `buf` too.

        Raises:
            ValueError: it is longer or shorter.
        """
        if len(body) != len(header.body):
            raise ValueError(f"{body!r} has not the length of {header.body!r}")
        begin = header.body_start
        self._buf = self._buf[:begin] + body + self._buf[begin + len(body) :]
        # offsets and the other header fields are as they were
        self._read = {key: found for key, found in self._read.items() if key[1] != begin}
        changed = Header(header.name, body, header.start, header.end, begin)
        self.headers = [changed if one is header else one for one in self.headers]

    def unreadable(self, key: str = "") -> bool:
        """Whether looking for a header field fails: it is not before the one that can't be parsed.

        Without `key`: whether reading them all fails.
        """
        if key:
            return self.first(key) is None and bool(self.broken)
        self.read_to_end = True
        return bool(self.broken)

    def delete(self, offset: int, length: int, tag: str = "") -> None:
        """Leave out bytes of the buffer when the message is sent."""
        self.lumps.append(Lump(offset, length, "", tag, counted=self.read_to_end))

    def insert(self, offset: int, text: str, tag: str = "") -> None:
        """Put text before a byte of the buffer when the message is sent."""
        self.lumps.append(Lump(offset, 0, text, tag, counted=self.read_to_end))

    def replace(self, offset: int, length: int, text: str, tag: str = "") -> None:
        """Send text instead of bytes of the buffer."""
        self.lumps.append(Lump(offset, length, text, tag, counted=self.read_to_end))

    @property
    def headers_end(self) -> int:
        """Where the empty line before the body begins."""
        return self.headers[-1].end if self.headers else self.first_line_end

    @property
    def has_empty_line(self) -> bool:
        """Whether an empty line ends the headers; Kamailio goes without until it wants a body."""
        return self.buf[self.headers_end : self.headers_end + 1] in ("\r", "\n")

    def applied(
        self,
        start: int = 0,
        end: int | None = None,
        skip: frozenset[str] = frozenset(),
        way: Way | None = None,
    ) -> str:
        """The buffer from `start` to `end` with the lumps, without those tagged in `skip`.

        `way` is how it leaves; None: back by the socket it came from.
        """
        stop = len(self.buf) if end is None else end
        leaving = way or Way(self.socket, self.proto)
        out, position = [], start
        for lump in sorted(self.lumps, key=lambda lump: lump.offset):
            if lump.tag in skip or not start <= lump.offset <= stop:
                continue
            out.append(self.buf[position : lump.offset] if lump.offset > position else "")
            out.append(lump.text if lump.made is None else lump.made(self, leaving))
            position = max(position, lump.offset + lump.length)
        out.append(self.buf[position:stop])
        return "".join(out)


def parse(
    data: bytes,
    source: Address = Address("127.0.0.1", 5060),
    socket: Socket = Socket("udp", "127.0.0.1", 5060),
) -> SipMessage:
    """Parse a message as core/parser does.

    Raises:
        ParseError: the first line is none; Kamailio drops such a message.
    """
    message = SipMessage(data.decode("latin-1"), source, socket, proto=socket.proto)
    start = len(message.buf) - len(message.buf.lstrip("\r\n"))
    _parse_first_line(message, start)
    message.broken = _parse_headers(message)
    message.body = "" if message.broken else message.buf[_after_empty_line(message) :]
    return message


def _parse_first_line(message: SipMessage, start: int) -> None:
    request = _REQUEST.match(message.buf, start)
    reply = _REPLY.match(message.buf, start)
    if reply is not None:
        message.status, message.reason = int(reply[2]), reply[3]
        message.first_line_end = reply.end()
    elif request is not None:
        message.method, message.ruri = request[1], request[2]
        message.first_line_end = request.end()
    else:
        raise ParseError("bad first line")


def _parse_headers(message: SipMessage) -> str:
    """Read them; the result says why one of them is none."""
    buf, position = message.buf, message.first_line_end
    while position < len(buf) and buf[position : position + 2] != "\r\n" and buf[position] != "\n":
        end = _end_of_header(buf, position)
        if end < 0:
            return "no end of header"
        name, colon, raw = buf[position:end].partition(":")
        if not colon or not _NAME.fullmatch(name):
            return f"bad header {name[:30]!r}"
        body = raw.removesuffix("\n").removesuffix("\r").lstrip(" \t\r\n")
        leading = _LEADING.match(raw) if not body else None
        skipped = leading.end() if leading else len(raw) - len(raw.lstrip(" \t\r\n"))
        body_start = position + len(name) + 1 + skipped
        message.headers.append(Header(name, body, position, end, body_start))
        position = end
    return ""


def _end_of_header(buf: str, start: int) -> int:
    position = start
    while True:
        newline = buf.find("\n", position)
        if newline < 0:
            return -1
        position = newline + 1
        if position >= len(buf) or buf[position] not in " \t":
            return position


def _after_empty_line(message: SipMessage) -> int:
    end = message.headers_end
    return end + (2 if message.buf[end : end + 2] == "\r\n" else 1)
