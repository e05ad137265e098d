"""POSIX extended regular expressions as glibc's regcomp reads them, and the `/re/repl/flags` of
subst: what textops and `{re.subst}` search with (core/re.c).

Python makes Kamailio's locale a UTF-8 one, unless LC_ALL=C: `.` is a letter, not a byte.

POSIX takes the longest of several alternatives, Python the first: write the longer one first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from attrs import frozen

_CLASSES = {
    "alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z",
    "space": r" \t\n\r\f\v", "blank": r" \t", "xdigit": "0-9A-Fa-f", "cntrl": r"\x00-\x1f\x7f",
    "punct": r"!-/:-@\[-`{-~", "print": r"\x20-\x7e", "graph": r"\x21-\x7e",
}  # fmt: skip
_BASIC = set("(){}|+?")
_ESCAPED_CLASSES = set("wWsSbB")
_GNU_ANCHORS = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A", "'": r"\Z"}


# a letter outside ASCII, in UTF-8
_WIDE = re.compile(
    r"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}"
    r"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_LETTER = rf"(?:[\x00-\x7f]|{_WIDE.pattern})"


class BadRegex(ValueError):
    """regcomp refuses it."""


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str, *, ignore_case: bool = False, newline: bool = True) -> re.Pattern[str]:
    """Compile a pattern.

    Args:
        pattern: Latin-1 text.
        ignore_case: REG_ICASE.
        newline: REG_NEWLINE: `.` and `[^x]` match no newline, `^` and `$` match at lines.
    Raises:
        BadRegex: it can't be compiled.
    """
    flags = re.ASCII | (re.IGNORECASE if ignore_case else 0)
    flags |= re.MULTILINE if newline else re.DOTALL
    try:
        return re.compile(_translated(pattern, newline), flags)
    except re.error as error:
        raise BadRegex(f"bad regular expression {pattern!r}: {error}") from None


def extended(basic: str) -> str:
    """A basic expression as an extended one: `\\(`, `\\|`, `\\{`, `\\+` are its operators there.

    A `*` that nothing stands before is itself.
    """
    out: list[str] = []
    at = 0
    while at < len(basic):
        char = basic[at]
        if char == "[":
            end = _end_of_bracket(basic, at)
            out.append(basic[at:end])
            at = end
            continue
        escaped = char == "\\" and at + 1 < len(basic)
        if escaped:
            char = basic[at + 1]
            out.append(char if char in _BASIC else f"\\{char}")
        elif char in _BASIC or (char == "*" and not out):
            out.append(f"\\{char}")
        else:
            out.append(char)
        at += 1 + escaped
    return "".join(out)


def _end_of_bracket(pattern: str, start: int) -> int:
    found = re.compile(r"\[\^?\]?(?:\[:[a-z]+:\]|[^\]])*\]").match(pattern, start)
    return len(pattern) if found is None else found.end()


def _translated(pattern: str, newline: bool) -> str:
    out, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            out.append(_escape(pattern[at + 1 : at + 2]))
            at += 2
        elif char == "[":
            text, at = _bracket(pattern, at, newline)
            out.append(text)
        elif char == ".":
            out.append(rf"(?:(?!\n){_LETTER})" if newline else _LETTER)
            at += 1
        elif (letter := _WIDE.match(pattern, at)) is not None:
            out.append(f"(?:{letter[0]})")
            at = letter.end()
        elif char == "$":
            out.append("$" if newline else r"\Z")
            at += 1
        elif char == "?" and out and out[-1] in ("*", "+", "?"):
            at += 1  # a quantifier on a quantifier adds nothing; Python would read it as lazy
        else:
            out.append(r"\{" if char == "{" and not _interval(pattern, at) else char)
            at += 1
    return "".join(out)


def _escape(char: str) -> str:
    if not char:
        raise BadRegex("trailing backslash")
    if char in _ESCAPED_CLASSES or char.isdigit():
        return f"\\{char}"
    return _GNU_ANCHORS.get(char) or re.escape(char)


def _interval(pattern: str, at: int) -> bool:
    return re.match(r"\{[0-9]*(,[0-9]*)?\}", pattern[at:]) is not None


def _bracket(pattern: str, start: int, newline: bool) -> tuple[str, int]:
    at = start + 1
    negated = pattern[at : at + 1] == "^"
    at += negated
    narrow: list[str] = ["\n"] if negated and newline else []
    wide: list[str] = []
    first = True
    while first or pattern[at : at + 1] != "]":
        named = re.match(r"\[:([a-z]+):\]", pattern[at:])
        if at >= len(pattern) or (named and named[1] not in _CLASSES):
            raise BadRegex(f"bad bracket expression in {pattern!r}")
        letter = _WIDE.match(pattern, at)
        if letter is not None:
            wide.append(letter[0])
        else:
            narrow.append(_CLASSES[named[1]] if named else _bracket_char(pattern[at]))
        at = letter.end() if letter else at + (named.end() if named else 1)
        first = False
    listed = "|".join([*([f"[{''.join(narrow)}]"] if narrow else []), *wide])
    if negated:
        return f"(?:(?!{listed}){_LETTER})", at + 1
    return f"(?:{listed})" if wide else listed, at + 1


def _bracket_char(char: str) -> str:
    return f"\\{char}" if char in "\\[]^&~|" else char


@frozen
class Replaced:
    """One replacement: `length` bytes at `offset` become `text`."""

    offset: int
    length: int
    text: str


@frozen
class Subst:
    """A subst expression: `parts` of the replacement are text, a group's number or a callable."""

    pattern: re.Pattern[str]
    parts: tuple[str | int | Callable[[], str], ...]
    everywhere: bool

    def run(self, text: str, start: int = 0) -> list[Replaced]:
        """What is replaced in a text from an offset on.

        Raises:
            BadRegex: a match of nothing; Kamailio then replaces nothing at all.
        """
        found = []
        while start <= len(text):
            match = self.pattern.search(text, start)
            if match is None:
                break
            if match.end() == match.start():
                raise BadRegex("the matched string is empty")
            found.append(Replaced(match.start(), match.end() - match.start(), self._text(match)))
            if not self.everywhere:
                break
            start = match.end()
        return found

    def apply(self, text: str) -> str | None:
        """The text with its replacements; None where nothing matches.

        Raises:
            BadRegex: a match of nothing.
        """
        found = self.run(text)
        if not found:
            return None
        out, position = [], 0
        for one in found:
            out += [text[position : one.offset], one.text]
            position = one.offset + one.length
        return "".join([*out, text[position:]])

    def _text(self, match: re.Match[str]) -> str:
        out = []
        for part in self.parts:
            if isinstance(part, int):
                out.append((match[part] or "") if part <= match.re.groups else "")
            else:
                out.append(part if isinstance(part, str) else part())
        return "".join(out)


ReadVariable = Callable[[str, int], tuple[Callable[[], str], int]]


def parse_subst(text: str, variable: ReadVariable) -> Subst:
    r"""Read `/re/repl/flags`; flags are `i`, `g` and `s` (`.` matches a newline).

    Args:
        text: any character but a backslash is the separator.
        variable: reads a `$variable` at an offset of the text: what gives its value, and its end.
            `\u` is the R-URI: it is asked for as `$ru`.
    Raises:
        BadRegex: it is no such expression.
    """
    if len(text) < 3 or text[0] == "\\":
        raise BadRegex(f"no subst expression: {text!r}")
    middle = _separator(text, 1)
    parts, end = _replacement(text, middle + 1, variable)
    flags = text[end + 1 :]
    if set(flags) - set("igs"):
        raise BadRegex(f"unknown flag in {text!r}")
    pattern = compiled(text[1:middle], ignore_case="i" in flags, newline="s" not in flags)
    return Subst(pattern, parts, "g" in flags)


def _separator(text: str, start: int) -> int:
    for at in range(start, len(text)):
        if text[at] == text[0] and text[at - 1] != "\\":
            if len(text) < at + 2:
                break
            return at
    raise BadRegex(f"no separator found: {text!r}")


def _replacement(
    text: str, at: int, variable: ReadVariable
) -> tuple[tuple[str | int | Callable[[], str], ...], int]:
    parts: list[str | int | Callable[[], str]] = []
    while at < len(text):
        char = text[at]
        if char == text[0]:
            return tuple(parts), at
        if char == "\\" and at + 1 < len(text):
            parts.append(_special(text[at + 1], variable))
            at += 2
        elif char == "$":
            value, at = variable(text, at)
            parts.append(value)
        else:
            parts.append(char)
            at += 1
    raise BadRegex(f"missing separator: {text!r}")


def _special(char: str, variable: ReadVariable) -> str | int | Callable[[], str]:
    if char.isdigit():
        return int(char)
    if char == "u":
        return variable("$ru", 0)[0]
    return {"n": "\n", "r": "\r", "t": "\t"}.get(char, char)
