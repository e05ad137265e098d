"""The values of a Contact header field, as core/parser/contact takes them apart.

A name without quotes may have anything in it, and a value without brackets that has white space
before its URI makes Kamailio lose the last character of the header field.
"""

from __future__ import annotations

from ksr_stub import params
from ksr_stub.message import ParseError
from ksr_stub.nameaddr import NameAddr

_OUT, _QUOTED, _BRACKETS, _QUOTED_IN, _ESCAPED, _ESCAPED_IN = range(6)
_BAD = -1
# where a character leads; one that is not here changes nothing
_NEXT = {
    ('"', _OUT): _QUOTED, ('"', _QUOTED): _OUT, ('"', _BRACKETS): _QUOTED_IN,
    ('"', _QUOTED_IN): _BRACKETS, ("<", _OUT): _BRACKETS, ("<", _BRACKETS): _BAD,
    (">", _OUT): _BAD, (">", _BRACKETS): _OUT, ("\\", _QUOTED): _ESCAPED,
    ("\\", _QUOTED_IN): _ESCAPED_IN,
}  # fmt: skip
for _char in '"<>\\':
    _NEXT[_char, _ESCAPED], _NEXT[_char, _ESCAPED_IN] = _QUOTED, _QUOTED_IN


def parse(text: str, start: int, stop: int) -> list[NameAddr]:
    """Read every value of a text.

    Args:
        text: what holds the header field; all offsets are into it.
        start: where the body begins.
        stop: where it ends.
    Raises:
        ParseError: Kamailio can't parse one of them.
    """
    found: list[NameAddr] = []
    begin = start
    while True:
        uri_start, stop = _behind_name(text, begin, stop)
        value = _value(text, begin, uri_start, stop)
        found.append(value)
        if value.end >= stop:
            return found
        # 5.6.3 takes whatever ends the parameters for the comma
        if text[value.end] not in ",>":
            raise ParseError(f"bad Contact at {text[value.end : stop][:40]!r}")
        begin = params.skip_space(text, value.end + 1, stop)
        if begin >= stop:
            raise ParseError("text after comma missing in Contact")


def _behind_name(text: str, start: int, stop: int) -> tuple[int, int]:
    """Where the URI begins, and where the header field ends now."""
    quoted, space = False, -1
    for at in range(start, stop):
        char = text[at]
        if quoted:
            quoted = char != '"' or text[at - 1] == "\\"
        elif char in " \t":
            space = at
        elif char == "<":
            return at, stop
        elif char in ":;":
            return (start, stop) if space < 0 else (space, stop - 1)
        else:
            quoted = char == '"'
    raise ParseError("scheme separator not found in Contact")


def _value(text: str, begin: int, start: int, stop: int) -> NameAddr:
    end = _end_of_uri(text, start, stop)
    raw = text[start:end].rstrip(" \t\r\n")
    bracketed = len(raw) > 1 and raw[0] == "<" and raw[-1] == ">"
    first, last = start + bracketed, start + len(raw) - bracketed
    uri = text[first:last].strip(" \t\r\n")
    if not uri:
        raise ParseError("invalid contact uri")
    at = end
    of_value: tuple[params.Param, ...] = ()
    if text[end : end + 1] == ";" and end < stop:
        try:
            of_value, at = params.parse(text, end, stop)
        except ValueError as error:
            raise ParseError(f"bad Contact: {error}") from None
        at = params.skip_space(text, at, stop)
        last_end = of_value[-1].end if of_value else end
        if at >= stop and text[last_end:stop].strip(" \t\r\n"):
            raise ParseError("no parameter behind the last semicolon of Contact")
    display = text[begin:start].rstrip(" \t\r\n")
    return NameAddr(display, uri, of_value, begin, at, first, last, bracketed)


def _end_of_uri(text: str, start: int, stop: int) -> int:
    state = _OUT
    for at in range(start, stop):
        if state == _OUT and text[at] in ",;":
            return at
        state = _NEXT.get((text[at], state), state)
        if state == _BAD:
            raise ParseError(f"bad brackets in Contact {text[start:stop][:40]!r}")
    if state != _OUT:
        raise ParseError("bracket < or quote not closed in Contact")
    return stop
