"""From, To, Contact and Route values: a name, an address and parameters (RFC 3261 25.1).

All offsets are into the text that was parsed (or into `message.buf`), so that a lump can
edit a Contact URI in place.
"""

from __future__ import annotations

import re

from attrs import frozen

from ksr_stub import params
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.params import Param

_DISPLAY = re.compile(r'("(?:[^"\\]|\\.)*"|[^<>";,:\\]*?)[ \t\r\n]*<', re.DOTALL)
# From and To hold one value: a comma or colon before the bracket belongs to the name
_LONE_DISPLAY = re.compile(r'("(?:[^"\\]|\\.)*"|[^<>";\\]*?)[ \t\r\n]*<', re.DOTALL)
_ENCLOSED = re.compile(r"[^>]*")
_BARE = re.compile(r"[^;,<> \t\r\n]+")


@frozen
class NameAddr:
    """One value. `display` is as written, quotes included; `uri` without brackets.

    `start`/`end` are the offsets of the whole value, `uri_start`/`uri_end` those of the URI.
    A Contact `*` has the uri `*` and `star` set.
    """

    display: str
    uri: str
    params: tuple[Param, ...]
    start: int
    end: int
    uri_start: int
    uri_end: int
    bracketed: bool
    star: bool = False

    def param(self, name: str) -> Param | None:
        """The parameter of that name."""
        return params.get(self.params, name)

    def get(self, name: str) -> str | None:
        """The value of a parameter, '' where it has none, None where it is not there."""
        found = self.param(name)
        return None if found is None else found.value or ""

    @property
    def tag(self) -> str:
        """The tag of From and To, '' without one."""
        return self.get("tag") or ""

    @property
    def addr_end(self) -> int:
        """The offset behind the URI and its bracket, where the parameters begin."""
        return self.uri_end + 1 if self.bracketed else self.uri_end


def parse(text: str, start: int = 0, stop: int | None = None, *, lone: bool = False) -> NameAddr:
    """Read the first value of a text: From, To, or one Contact or Route.

    Args:
        text: what holds it.
        start: where it begins.
        stop: where the header field's body ends.
        lone: it is From or To: the only value, and all of the text belongs to it.
    Raises:
        ParseError: it is none.
    """
    end = len(text) if stop is None else stop
    begin = params.skip_space(text, start, end)
    display, uri_start, uri_end, bracketed = _address(text, begin, end, lone=lone)
    try:
        found, position = params.parse(text, uri_end + bracketed, end, lone=lone)
    except ValueError as error:
        raise ParseError(f"bad address {text[begin:end][:60]!r}: {error}") from None
    if lone and text[position:end].strip(" \t\r\n;"):
        raise ParseError(f"bad address {text[begin:end][:60]!r}")
    uri = text[uri_start:uri_end]
    return NameAddr(
        display, uri.strip(" \t"), found, begin, position, uri_start, uri_end, bracketed
    )


def parse_list(text: str, start: int = 0, stop: int | None = None) -> list[NameAddr]:
    """Read a list of values: Contact, Route, Record-Route, Path.

    Returns:
        Every value; `*` of a Contact is one value with `star` set.
    Raises:
        ParseError: one of them is none.
    """
    end = len(text) if stop is None else stop
    begin = params.skip_space(text, start, end)
    if text[begin:end].strip(" \t\r\n") == "*":
        return [NameAddr("", "*", (), begin, begin + 1, begin, begin + 1, False, star=True)]
    found = [parse(text, begin, end)]
    while True:
        at = params.skip_space(text, found[-1].end, end)
        if at >= end:
            return found
        if text[at] != ",":
            raise ParseError(f"bad address list at {text[at:end][:40]!r}")
        found.append(parse(text, at + 1, end))


def in_header(message: SipMessage, header: Header) -> list[NameAddr]:
    """The values of a header field, with offsets into `message.buf`."""
    return message.once(parse_list, header)


def all_of(message: SipMessage, key: str) -> list[NameAddr]:
    """Every value of all header fields of a name, with offsets into `message.buf`.

    Raises:
        ParseError: one of them is none.
    """
    return [value for header in message.all(key) for value in in_header(message, header)]


def of(message: SipMessage, key: str) -> NameAddr | None:
    """The From or To of a message; None where it is not there or can't be parsed."""
    header = message.first(key)
    if header is None:
        return None
    try:
        return message.once(parse_lone, header)
    except ParseError:
        return None


def parse_lone(text: str, start: int, stop: int) -> NameAddr:
    """Read From or To; as `parse`."""
    return parse(text, start, stop, lone=True)


def _address(text: str, begin: int, end: int, *, lone: bool) -> tuple[str, int, int, bool]:
    named = (_LONE_DISPLAY if lone else _DISPLAY).match(text, begin, end)
    if named is not None:
        enclosed = _ENCLOSED.match(text, named.end(), end)
        assert enclosed is not None  # noqa: S101
        if enclosed.end() >= end or not enclosed[0].strip():
            raise ParseError(f"bracket < not closed in {text[begin:end][:60]!r}")
        return named[1], enclosed.start(), enclosed.end(), True
    bare = _BARE.match(text, begin, end)
    if bare is None:
        raise ParseError(f"no address in {text[begin:end][:60]!r}")
    return "", bare.start(), bare.end(), False
