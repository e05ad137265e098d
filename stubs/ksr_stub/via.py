"""Via header fields (RFC 3261 20.42), with offsets so that the parameters can be edited."""

from __future__ import annotations

import re

from attrs import frozen

from ksr_stub import params
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.params import Param

_SENT_BY = re.compile(
    r"[ \t\r\n]*(SIP)[ \t\r\n]*/[ \t\r\n]*([0-9.]+)[ \t\r\n]*/[ \t\r\n]*([A-Za-z]+)[ \t\r\n]+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?:[ \t]*:[ \t]*(\d+))?",
    re.IGNORECASE,
)


@frozen
class Via:
    """One Via value.

    `host` is as written (IPv6 in brackets), `port` 0 where there is none. `start` and `end` are the
    offsets of the value, `sent_by_end` is the one behind host and port.
    """

    proto: str
    host: str
    port: int
    params: tuple[Param, ...]
    start: int
    end: int
    sent_by_end: int

    def param(self, name: str) -> Param | None:
        """The parameter of that name."""
        return params.get(self.params, name)

    def get(self, name: str) -> str | None:
        """The value of a parameter, '' where it has none, None where it is not there."""
        found = self.param(name)
        return None if found is None else found.value or ""

    @property
    def branch(self) -> str:
        """The branch, '' without one."""
        return self.get("branch") or ""

    @property
    def bare_host(self) -> str:
        """The host without brackets."""
        return self.host.strip("[]")

    @property
    def effective_port(self) -> int:
        """The port that replies go to without rport."""
        return self.port or (5061 if self.proto.upper() == "TLS" else 5060)


def parse(text: str, start: int = 0, stop: int | None = None) -> Via:
    """Read the first Via value of a text; offsets count from the text's beginning.

    Raises:
        ParseError: it is none; Kamailio drops such a message.
    """
    end = len(text) if stop is None else stop
    match = _SENT_BY.match(text, start, end)
    if match is None or int(match[5] or 0) > 65535:
        raise ParseError(f"bad Via {text[start:end][:60]!r}")
    try:
        found, position = params.parse(text, match.end(), end)
    except ValueError as error:
        raise ParseError(f"bad Via: {error}") from None
    rest = text[position:end].lstrip(" \t\r\n")
    if rest and rest[0] not in ",(":
        raise ParseError(f"bad Via {text[start:end][:60]!r}")
    return Via(match[3], match[4], int(match[5] or 0), found, match.start(1), position, match.end())


def parse_all(text: str, start: int = 0, stop: int | None = None) -> list[Via]:
    """Read every Via value of a header field's body.

    Raises:
        ParseError: one of them is none.
    """
    end = len(text) if stop is None else stop
    found = [parse(text, start, end)]
    comma = text.find(",", found[-1].end, end)
    while comma >= 0:
        found.append(parse(text, comma + 1, end))
        comma = text.find(",", found[-1].end, end)
    return found


def in_header(message: SipMessage, header: Header) -> list[Via]:
    """The Via values of a header field, with offsets into `message.buf`."""
    return message.once(parse_all, header)


def all_of(message: SipMessage) -> list[Via]:
    """Every Via value of a message, the top one first, with offsets into `message.buf`."""
    return [via for header in message.all("via") for via in in_header(message, header)]
