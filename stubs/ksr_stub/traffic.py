"""What came in and what went out, in a form that a test can ask."""

from __future__ import annotations

import functools
import re

import attrs

from ksr_stub import message as sip
from ksr_stub.message import Address, SipMessage
from ksr_stub.text import from_python
from ksr_stub.world import Call, LogLine, Sent

_PARAMETER = re.compile(r';\s*([^=;,<>"\s]+)(?:\s*=\s*("(?:\\.|[^"\\])*"|[^;,>\s]*))?')
_NAME_ADDR = re.compile(r'\s*(?:"(?:\\.|[^"\\])*"|[^"<;]*)\s*<[^>]*>')

_CLOSE = b"\x88"


@attrs.frozen(eq=False, slots=False)
class Message:
    """A message that came or left, parsed: `message["Contact"]`, `message.status`, ...

    `to` is where it was sent to, `proto` over what; text is as Python has it (UTF-8 where it is,
    else each byte as one character).
    """

    data: bytes
    to: Address
    proto: str = "udp"
    connection: int = 0

    @functools.cached_property
    def _sip(self) -> SipMessage:
        # an HTTP reply is of the same form
        return sip.parse(re.sub(rb"^HTTP/1\.[01] ", b"SIP/2.0 ", self.data))

    @classmethod
    def of(cls, sent: Sent) -> Message:
        """What the World sent."""
        return cls(sent.data, sent.to, sent.proto, sent.connection)

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return not self.closes and self._sip.is_request

    @property
    def closes(self) -> str:
        """`1000 Normal closure` of a WebSocket's close frame (RFC 6455 5.5.1), '' of all else."""
        if self.data[:1] != _CLOSE:
            return ""
        payload = self.data[{126: 4, 127: 6}.get(self.data[1], 2) :]
        return f"{int.from_bytes(payload[:2])} {_text(payload[2:].decode('latin-1'))}"

    @property
    def method(self) -> str:
        """The method: of a reply, that of its CSeq."""
        return self._sip.method or self["CSeq"].partition(" ")[2].strip()

    @property
    def uri(self) -> str:
        """The R-URI."""
        return _text(self._sip.ruri)

    @property
    def status(self) -> int:
        """The status of a reply, 0 in a request."""
        return self._sip.status

    @property
    def reason(self) -> str:
        """The reason of a reply."""
        return _text(self._sip.reason)

    @property
    def body(self) -> str:
        """The body."""
        return _text(self._sip.body)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All header fields, in order."""
        return [(_text(header.name), _text(header.body)) for header in self._sip.headers]

    def __getitem__(self, name: str) -> str:
        """The body of the first header field of that name, '' without one."""
        return _text(self._sip.get(name))

    def __contains__(self, name: str) -> bool:
        return self._sip.first(name) is not None

    def all(self, name: str) -> list[str]:
        """The bodies of all header fields of that name."""
        return [_text(header.body) for header in self._sip.all(name)]

    def parameter(self, header: str, name: str) -> str | None:
        """A parameter of the first header field of that name, e.g. `("To", "tag")`."""
        return parameter(self[header], name)

    def __str__(self) -> str:
        if self.closes:
            return f"close {self.closes} -> {self.proto}:{self.to.host}:{self.to.port}"
        shown = f"{self.status} {self.reason}" if self.status else f"{self.method} {self.uri}"
        return f"{shown} -> {self.proto}:{self.to.host}:{self.to.port}"

    __repr__ = __str__


@attrs.define(eq=False)
class Result:
    """What one received message led to.

    `sent` are the messages that left, `steps` the functions of the script that ran, `calls` the
    KSR calls with their results, `log` the lines that were logged.
    """

    data: bytes
    source: tuple[str, int]
    sent: list[Message]
    steps: list[str]
    calls: list[Call]
    log: list[LogLine]
    error: BaseException | None = None

    @property
    def replies(self) -> list[Message]:
        """The replies that left."""
        return [one for one in self.sent if not one.is_request and not one.closes]

    @property
    def requests(self) -> list[Message]:
        """The requests that left."""
        return [message for message in self.sent if message.is_request]

    @property
    def reply(self) -> Message:
        """The one reply, 100 Trying aside.

        Raises:
            AssertionError: there is none or more than one.
        """
        replies = [message for message in self.replies if message.status != 100] or self.replies
        return self._only(replies, "reply")

    @property
    def relayed(self) -> Message:
        """The one request that left.

        Raises:
            AssertionError: there is none or more than one.
        """
        return self._only(self.requests, "request")

    def called(self, name: str) -> list[Call]:
        """The calls of a KSR function, e.g. `"registrar.save"`."""
        full = f"KSR.{name.removeprefix('KSR.')}"
        return [call for call in self.calls if call.name == full]

    def _only(self, found: list[Message], what: str) -> Message:
        if len(found) == 1:
            return found[0]
        shown = "".join(f"\n  {message}" for message in self.sent) or " nothing"
        count = "no" if not found else f"{len(found)} messages where one"
        raise AssertionError(f"{count} {what} left; sent:{shown}\n{render(self)}")


def parameter(value: str, name: str) -> str | None:
    """A parameter of a header's value after its URI, without quotes; '' without a value."""
    uri = _NAME_ADDR.match(value)
    tail = value[uri.end() :] if uri else value[value.find(";") :] if ";" in value else ""
    for key, text in _PARAMETER.findall(tail):
        if key.lower() == name.lower():
            return str(text).strip('"')
    return None


def address_uri(value: str) -> str:
    """The URI of a Contact, Route, From, ..."""
    match = re.search(r"<([^>]*)>", value)
    return match[1] if match else value.partition(";")[0].strip()


def render(result: Result, calls_limit: int = 80) -> str:
    """One exchange for a person: the message in, the calls, the messages out, the log."""
    host, port = result.source
    lines = [f"--- received from {host}:{port}", _indented(result.data)]
    if result.steps:
        lines.append(f"--- steps: {', '.join(result.steps)}")
    if result.calls:
        lines.append("--- calls")
        lines += [f"    {_call(call)}" for call in result.calls[:calls_limit]]
        hidden = len(result.calls) - calls_limit
        lines += [f"    ... and {hidden} more"] if hidden > 0 else []
    for message in result.sent:
        lines += [f"--- sent to {message.proto}:{message.to.host}:{message.to.port}"]
        lines += [_indented(message.data)]
    lines += ["--- sent: nothing"] if not result.sent else []
    if result.log:
        lines += ["--- log", *(f"    {line.level:2} {line.text.rstrip()}" for line in result.log)]
    return "\n".join(lines)


def _call(call: Call) -> str:
    shown = ", ".join(repr(argument) for argument in call.arguments)
    result = int(call.result) if isinstance(call.result, int) else call.result
    result = call.result if isinstance(call.result, bool) else result
    return f"{call.name}({shown}) -> {result!r}"


def _indented(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return "\n".join(f"    {line}" for line in text.splitlines())


def _text(raw: str) -> str:
    if raw.isascii():
        return raw
    try:
        return raw.encode("latin-1").decode()
    except UnicodeDecodeError:
        return raw


def stub_text(value: object) -> object:
    """A test's value as models have it: Latin-1 text."""
    return from_python(value) if isinstance(value, str) else value
