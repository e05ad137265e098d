"""From and To bodies, byte for byte as Kamailio accepts them (core/parser/parse_addr_spec.c).

Stricter than RFC 3261: a trailing `;`, a `=` in a parameter's value or a backslash in a quoted
one is an error, and then nothing of the header can be read.
"""

from __future__ import annotations

import re

from attrs import frozen

from ksr_stub.message import SipMessage

_FOLD = re.compile(r"(?:[ \t]|\r\n[ \t]|\n[ \t]|\r[ \t])*")
_BLANKS = re.compile(r"[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\\r\n]|\\.)*)"', re.DOTALL)
_ENCLOSED = re.compile(r'<[ \t]*([^<>"\\ \t\r\n][^<>"\\ \t\r\n]*)[ \t]*>')
_TOKEN = re.compile(r'[^ \t\r\n<>;"\\]+')
_NAME = re.compile(r'[^ \t\r\n;="\\,]+')
_VALUE = re.compile(r'[^ \t\r\n;="\\,]*')
_TAG_VALUE = re.compile(r'[^ \t\r\n;="\\]*')


@frozen
class ToBody:
    """A body; all offsets are into the text that was parsed.

    `display` is with its quotes; `params` are (name, value), the value None without `=`;
    `params_start` is where the first one's name begins, -1 without any.
    """

    display: str
    uri: str
    params: tuple[tuple[str, str | None], ...]
    start: int
    display_start: int
    uri_start: int
    params_start: int

    @property
    def tag(self) -> str:
        """The tag, '' without one."""
        found = [value or "" for name, value in self.params if name.lower() == "tag"]
        return found[-1] if found else ""


class _Bad(Exception):
    """Kamailio can't parse it."""


def parse(text: str, start: int = 0, stop: int | None = None) -> ToBody | None:
    """Take a body apart.

    Returns:
        None where Kamailio can't parse it.
    """
    end = len(text) if stop is None else stop
    while end > start and text[end - 1] in " \t\r\n":
        end -= 1
    try:
        return _parsed(text, start, end)
    except _Bad:
        return None


def of(message: SipMessage, key: str) -> ToBody | None:
    """The From or To of a message, with offsets into `message.buf`."""
    header = message.first(key)
    if header is None:
        return None
    return message.once(parse, header)


def _skip(pattern: re.Pattern[str], text: str, at: int, end: int) -> int:
    match = pattern.match(text, at, end)
    return at if match is None else match.end()


def _parsed(text: str, start: int, end: int) -> ToBody:
    begin = _skip(_BLANKS, text, start, end)
    display, uri, uri_start, at = _address(text, begin, end)
    params, params_start = _params(text, _skip(_FOLD, text, at, end), end)
    return ToBody(display, uri, params, begin, begin, uri_start, params_start)


def _address(text: str, begin: int, end: int) -> tuple[str, str, int, int]:
    """Display, URI, where the URI begins, and where the address ends."""
    quoted = _QUOTED.match(text, begin, end)
    if quoted is not None:
        return (quoted[0], *_enclosed(text, _skip(_FOLD, text, quoted.end(), end), end))
    if text[begin : begin + 1] == "<":
        return ("", *_enclosed(text, begin, end))
    token = _TOKEN.match(text, begin, end)
    if token is None:
        raise _Bad
    at, last = _skip(_FOLD, text, token.end(), end), token.end()
    if at >= end or text[at] == ";":
        return "", token[0], begin, last
    while at < end and text[at] != "<":
        word = _TOKEN.match(text, at, end)
        if word is None:
            raise _Bad
        last, at = word.end(), _skip(_FOLD, text, word.end(), end)
    return (text[begin:last], *_enclosed(text, at, end))


def _enclosed(text: str, at: int, end: int) -> tuple[str, int, int]:
    match = _ENCLOSED.match(text, at, end)
    if match is None:
        raise _Bad
    return match[1], match.start(1), match.end()


def _params(text: str, at: int, end: int) -> tuple[tuple[tuple[str, str | None], ...], int]:
    found: list[tuple[str, str | None]] = []
    first = -1
    while at < end:
        if text[at] != ";":
            raise _Bad
        at = _skip(_FOLD, text, at + 1, end)
        if text[at:end].startswith(";"):
            raise _Bad
        name = _NAME.match(text, at, end)
        if name is None:
            raise _Bad
        first = at if first < 0 else first
        value, at = _value(text, name[0], _skip(_FOLD, text, name.end(), end), end)
        found.append((name[0], value))
        at = _skip(_FOLD, text, at, end)
    return tuple(found), first


def _value(text: str, name: str, at: int, end: int) -> tuple[str | None, int]:
    if not text[at:end].startswith("="):
        return None, at
    at = _skip(_FOLD, text, at + 1, end)
    if text[at:end].startswith('"'):
        close = text.find('"', at + 1, end)
        if close < 0 or "\\" in text[at:close]:
            raise _Bad
        return text[at + 1 : close], close + 1
    value = (_TAG_VALUE if name.lower() == "tag" else _VALUE).match(text, at, end)
    assert value is not None  # noqa: S101
    return value[0], value.end()
