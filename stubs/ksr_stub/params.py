"""`;name=value` lists: those of Via, Contact, From, To, Route and of URIs."""

from __future__ import annotations

import re

from attrs import frozen

_WSP = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[^ \t\r\n;,=]*")
_TOKEN = re.compile(r"[^ \t\r\n;,]*")
_TAG = re.compile(r"[^ \t\r\n;]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@frozen
class Param:
    """A parameter. `value` is None without `=`; quotes are not part of it.

    `start` and `end` are offsets of its first character and behind its last one, quotes included,
    the semicolon not.
    """

    name: str
    value: str | None
    start: int
    end: int


def parse(
    text: str, position: int, stop: int, *, lone: bool = False
) -> tuple[tuple[Param, ...], int]:
    """Read parameters from the semicolon at `position` on.

    Args:
        text: what holds them.
        position: where they begin.
        stop: where the text ends.
        lone: they are those of From or To: none may be empty, and a tag may have commas.
    Returns:
        The parameters, and the offset where they end: a comma, `stop`, or what is no parameter.
    Raises:
        ValueError: a quote that is not closed.
    """
    found: list[Param] = []
    end = position
    while True:
        at = skip_space(text, end, stop)
        if at >= stop or text[at] != ";":
            return tuple(found), end
        start = skip_space(text, at + 1, stop)
        name = _NAME.match(text, start, stop)
        assert name is not None  # noqa: S101
        if not name[0] and lone:
            raise ValueError("a parameter without name")
        if not name[0]:
            end = start
            if start >= stop or text[start] != ";":
                return tuple(found), end
            continue
        token = _TAG if lone and name[0].lower() == "tag" else _TOKEN
        param = _with_value(text, name[0], start, name.end(), stop, token)
        found.append(param)
        end = param.end


def skip_space(text: str, position: int, stop: int) -> int:
    """The offset of the first character that is no white space."""
    match = _WSP.match(text, position, stop)
    return position if match is None else match.end()


def get(params: tuple[Param, ...], name: str) -> Param | None:
    """The last parameter of that name, as Kamailio's hooks keep it."""
    wanted = name.lower()
    for param in reversed(params):
        if param.name.lower() == wanted:
            return param
    return None


def _with_value(
    text: str, name: str, start: int, end: int, stop: int, pattern: re.Pattern[str]
) -> Param:
    equal = skip_space(text, end, stop)
    if equal >= stop or text[equal] != "=":
        return Param(name, None, start, end)
    at = skip_space(text, equal + 1, stop)
    if at < stop and text[at] == '"':
        quoted = _QUOTED.match(text, at, stop)
        if quoted is None:
            raise ValueError("a quote that is not closed")
        return Param(name, quoted[1], start, quoted.end())
    token = pattern.match(text, at, stop)
    assert token is not None  # noqa: S101
    return Param(name, token[0], start, token.end() if token[0] else at)
