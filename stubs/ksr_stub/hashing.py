"""Kamailio's string hash (core/hashes.h): `{s.corehash}`, the index of a transaction."""

from __future__ import annotations

_WORD = 0xFFFFFFFF


def core_hash(first: str, second: str | None = None, size: int = 0) -> int:
    """The hash of one or two Latin-1 texts.

    Args:
        first: hashed first.
        second: hashed after it, if given.
        size: a power of two that the result is cut to; 0 leaves it as it is.
    """
    value = _add(0, first)
    if second is not None:
        value = _add(value, second)
    value = (value + (value >> 11) + (value >> 13) + (value >> 23)) & _WORD
    return value & (size - 1) & _WORD if size else value


def _add(value: int, text: str) -> int:
    codes = [code - 256 if code > 127 else code for code in text.encode("latin-1")]
    whole = len(codes) // 4 * 4
    for at in range(0, whole, 4):
        a, b, c, d = codes[at : at + 4]
        value = _mix(value, (a << 24) + (b << 16) + (c << 8) + d)
    rest = 0
    for code in codes[whole:]:
        rest = ((rest << 8) + code) & _WORD
    return _mix(value, rest)


def _mix(value: int, word: int) -> int:
    word &= _WORD
    return (value + (word ^ (word >> 3))) & _WORD
