"""Generic parameter lists, `a=1;b="x;y";c` (core/parser/parse_param.c)."""

from __future__ import annotations

_SPACE = " \t\r\n"


def parse(text: str, separator: str = ";") -> list[tuple[str, str]] | None:
    """Read a list.

    Returns:
        (name, value), the value '' without one; None where Kamailio refuses it: an empty value
        behind `=`, a quote that is not closed, a separator at the end.
    """
    found: list[tuple[str, str]] = []
    rest = text
    while True:
        name, rest = _until(rest, _SPACE + ",=" + separator)
        rest = rest.lstrip(_SPACE)
        value = ""
        if rest.startswith("="):
            taken = _value(rest[1:].lstrip(_SPACE), separator)
            if taken is None:
                return None
            value, rest = taken[0], taken[1].lstrip(_SPACE)
        found.append((name, value))
        if not rest or rest[0] in ",>":
            return found
        rest, more = rest[1:].lstrip(_SPACE), rest[0] == separator
        if not more or not rest:
            return None


def _until(text: str, stops: str) -> tuple[str, str]:
    for at, char in enumerate(text):
        if char in stops:
            return text[:at], text[at:]
    return text, ""


def _value(text: str, separator: str) -> tuple[str, str] | None:
    if not text:
        return "", ""
    if text[0] in "\"'":
        end = text.find(text[0], 1)
        return (text[1:end], text[end + 1 :]) if end > 0 else None
    value, rest = _until(text, _SPACE + "," + separator)
    return (value, rest) if value else None
