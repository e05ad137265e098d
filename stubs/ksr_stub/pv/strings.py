"""The transformations `{s.*}`, `{val.*}` and `{re.subst}` (modules/pv/pv_trans.c)."""

from __future__ import annotations

import base64
import hashlib
import re
import string
import time

from ksr_stub import regex
from ksr_stub.errors import StubError, Unpredictable
from ksr_stub.hashing import core_hash
from ksr_stub.pv.transformations import Argument, transformation
from ksr_stub.pv.values import (
    NoValue,
    Value,
    Worded,
    no_value,
    number_of,
    parse_int,
    text_of,
)  # fmt: skip
from ksr_stub.world import World

_SPACE = " \t\r\n"
_BUFFER = 65536  # bytes: TR_BUFFER_SIZE
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_USER_SAFE = "-_.!~*'()&=+$,;?"
_PARAM_SAFE = "-_.!~*'()[]/:&+$"
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def _text(world: World, value: Value) -> str:
    """The value as text; every `{s.*}` fails on null."""
    if value is None:
        raise no_value(world, "a transformation of a null value")
    return text_of(value)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


@transformation("s.len")
def s_len(world: World, value: Value) -> Value:
    return len(_text(world, value))


@transformation("s.int")
def s_int(world: World, value: Value) -> Value:
    text, number = _text(world, value), number_of(value)
    if number is None:
        number = parse_int(text)
    if number is None:
        raise NoValue("no int")
    return Worded(number, text)


@transformation("s.numeric")
def s_numeric(world: World, value: Value) -> Value:
    return re.sub(r"[^0-9]", "", _text(world, value))


@transformation("s.rmws")
def s_rmws(world: World, value: Value) -> Value:
    return re.sub(r"[ \t\r\n]", "", _text(world, value))


@transformation("s.md5")
def s_md5(world: World, value: Value) -> Value:
    return hashlib.md5(_bytes(_text(world, value))).hexdigest()  # noqa: S324 - SIP digests


@transformation("s.sha256")
def s_sha256(world: World, value: Value) -> Value:
    return hashlib.sha256(_bytes(_text(world, value))).hexdigest()


@transformation("s.sha384")
def s_sha384(world: World, value: Value) -> Value:
    return hashlib.sha384(_bytes(_text(world, value))).hexdigest()


@transformation("s.sha512")
def s_sha512(world: World, value: Value) -> Value:
    return hashlib.sha512(_bytes(_text(world, value))).hexdigest()


@transformation("s.encode.hexa")
def encode_hexa(world: World, value: Value) -> Value:
    text = _bytes(_text(world, value))
    if len(text) > _BUFFER // 2 - 1:
        raise NoValue("longer than the buffer of transformations")
    return text.hex()


@transformation("s.decode.hexa")
def decode_hexa(world: World, value: Value) -> Value:
    text = _text(world, value)
    digits = text[: len(text) // 2 * 2]
    if re.fullmatch(r"[0-9A-Fa-f]*", digits) is None:
        raise NoValue("no hex digits")
    return bytes.fromhex(digits).decode("latin-1")


@transformation("s.encode.base64")
def encode_base64(world: World, value: Value) -> Value:
    return base64.b64encode(_bytes(_text(world, value))).decode()


@transformation("s.encode.base64t")
def encode_base64t(world: World, value: Value) -> Value:
    return text_of(encode_base64(world, value)).rstrip("=")


@transformation("s.encode.base64url")
def encode_base64url(world: World, value: Value) -> Value:
    return base64.urlsafe_b64encode(_bytes(_text(world, value))).decode()


@transformation("s.encode.base64urlt")
def encode_base64urlt(world: World, value: Value) -> Value:
    return text_of(encode_base64url(world, value)).rstrip("=")


_DIGITS = {c: n for n, c in enumerate(string.ascii_uppercase + string.ascii_lowercase)}
_DIGITS |= {c: n + 52 for n, c in enumerate("0123456789+/")}
_URL_DIGITS = {{"+": "-", "/": "_"}.get(c, c): n for c, n in _DIGITS.items()}
_NO_DIGIT = 0xFF


def _decoded(text: str) -> Value:
    """base64 as core/basex.h reads it: what is no digit counts as one with all bits set."""
    size = len(text)
    if size < 4 or size % 4 or (text[-2] == "=" and text[-1] != "="):
        if text:
            raise NoValue("no base64")
        return ""
    out = bytearray()
    for at in range(0, size, 4):
        a, b, c, d = (_DIGITS.get(char, _NO_DIGIT) for char in text[at : at + 4])
        out += bytes(((a << 2 | b >> 4) & 255, (b << 4 | c >> 2) & 255, (c << 6 | d) & 255))
    return out[: size // 4 * 3 - text[-2:].count("=")].decode("latin-1")


def _url_decoded(text: str) -> Value:
    digits = text.rstrip("=")
    size = (len(text) * 6 >> 3) - (len(text) - len(digits))
    if size <= 0 or any(char not in _URL_DIGITS for char in digits):
        raise NoValue("no base64url")
    out = bytearray()
    for at in range(0, len(digits), 4):
        block = 0
        for place, char in enumerate(digits[at : at + 4]):
            block += _URL_DIGITS[char] << (18 - 6 * place)
        out += block.to_bytes(3, "big")
    return out[:size].ljust(size, b"\0").decode("latin-1")


@transformation("s.decode.base64")
def decode_base64(world: World, value: Value) -> Value:
    return _decoded(_text(world, value))


@transformation("s.decode.base64t")
def decode_base64t(world: World, value: Value) -> Value:
    text = _text(world, value)
    return _decoded(text + "=" * (-len(text) % 4))


@transformation("s.decode.base64url")
def decode_base64url(world: World, value: Value) -> Value:
    return _url_decoded(_text(world, value))


@transformation("s.decode.base64urlt")
def decode_base64urlt(world: World, value: Value) -> Value:
    text = _text(world, value)
    return _url_decoded(text + "=" * (-len(text) % 4))


@transformation("s.encode.base58")
def encode_base58(world: World, value: Value) -> Value:
    raw = _bytes(_text(world, value))
    number, out = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = _BASE58[digit] + out
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + out


@transformation("s.escape.common")
def escape_common(world: World, value: Value) -> Value:
    return re.sub(r"(['\"\\])", r"\\\1", _text(world, value)).replace("\0", "\\0")


@transformation("s.unescape.common")
def unescape_common(world: World, value: Value) -> Value:
    return re.sub(r"\\(['\"\\0])", lambda m: "\0" if m[1] == "0" else m[1], _text(world, value))


def _escaped(world: World, value: Value, safe: str) -> Value:
    text = _text(world, value)
    if re.fullmatch(r"[ -~]*", text) is None:
        raise no_value(world, "invalid escaped character")
    return re.sub(r"[^A-Za-z0-9]", lambda m: m[0] if m[0] in safe else f"%{ord(m[0]):02x}", text)


@transformation("s.escape.user")
def escape_user(world: World, value: Value) -> Value:
    return _escaped(world, value, _USER_SAFE)


@transformation("s.escape.param")
def escape_param(world: World, value: Value) -> Value:
    return _escaped(world, value, _PARAM_SAFE)


@transformation("s.unescape.user")
@transformation("s.unescape.param")
def unescape_user(world: World, value: Value) -> Value:
    def decoded(match: re.Match[str]) -> str:
        if re.fullmatch(r"[0-9A-Fa-f]{2}", match[1]) is None:
            raise no_value(world, "invalid hex digit")
        char = chr(int(match[1], 16))
        if not " " <= char <= "~":
            raise no_value(world, "invalid escaped character")
        return char

    return re.sub(r"%(.{0,2})", decoded, _text(world, value), flags=re.DOTALL)


@transformation("s.escape.crlf", since="6.0")
def escape_crlf(world: World, value: Value) -> Value:
    text = _text(world, value)
    if not text:
        raise no_value(world, "nothing to escape")
    return text.replace("\n", "\\n").replace("\r", "\\r")


@transformation("s.unescape.crlf", since="6.0")
def unescape_crlf(world: World, value: Value) -> Value:
    text = _text(world, value)
    if not text:
        raise no_value(world, "nothing to unescape")
    return text.replace("\\n", "\n").replace("\\r", "\r")


@transformation("s.rmhdws", since="6.0")
def unfold_to_space(world: World, value: Value) -> Value:
    """Line breaks go, and the white space behind each is one space."""
    return re.sub(r"[\r\n]+([ \t]*)", lambda m: " " if m[1] else "", _text(world, value))


@transformation("s.rmhlws", since="6.0")
def unfold(world: World, value: Value) -> Value:
    """Line breaks go, and the white space behind them."""
    return re.sub(r"[\r\n]+[ \t\r\n]*", "", _text(world, value))


@transformation("s.escape.csv")
def escape_csv(world: World, value: Value) -> Value:
    doubled = _text(world, value).replace('"', '""')
    return f'"{doubled}"'


@transformation("s.urlencode.param")
def urlencode_param(world: World, value: Value) -> Value:
    return re.sub(r"[^A-Za-z0-9\-_.~]", lambda m: f"%{ord(m[0]):02x}", _text(world, value))


@transformation("s.urldecode.param")
def urldecode_param(world: World, value: Value) -> Value:
    def digit(char: str) -> int:
        return int(char) if char.isdigit() else ord(char.lower()) - ord("a") + 10

    def decoded(match: re.Match[str]) -> str:
        if match[0] == "+":
            return " "
        if len(match[0]) < 3:
            return match[0][1:]
        return chr((digit(match[0][1]) << 4 | digit(match[0][2])) & 0xFF)

    return re.sub(r"%.{0,2}|\+", decoded, _text(world, value), flags=re.DOTALL)


@transformation("s.substr", "nn")
def s_substr(world: World, value: Value, start: Argument, length: Argument) -> Value:
    text = _text(world, value)
    at, count = start.as_int(world), length.as_int(world)
    if count < 0:
        raise no_value(world, "substr negative offset")
    if at >= len(text) or -at > len(text):
        raise no_value(world, "substr out of range")
    rest = text[at:] if at >= 0 else text[len(text) + at :]
    return rest[:count] if 0 < count <= len(rest) else rest


@transformation("s.select", "nc")
def s_select(world: World, value: Value, index: Argument, separator: Argument) -> Value:
    fields = _text(world, value).split(separator.text)
    at = index.as_int(world)
    return fields[at] if -len(fields) <= at < len(fields) else ""


@transformation("s.tolower")
def s_tolower(world: World, value: Value) -> Value:
    return _bytes(_text(world, value)).lower().decode("latin-1")


@transformation("s.toupper")
def s_toupper(world: World, value: Value) -> Value:
    return _bytes(_text(world, value)).upper().decode("latin-1")


@transformation("s.strip", "n")
def s_strip(world: World, value: Value, count: Argument) -> Value:
    return _text(world, value)[max(count.as_int(world), 0) :]


@transformation("s.striptail", "n")
def s_striptail(world: World, value: Value, count: Argument) -> Value:
    text = _text(world, value)
    return text[: max(len(text) - max(count.as_int(world), 0), 0)]


@transformation("s.stripto", "s")
def s_stripto(world: World, value: Value, char: Argument) -> Value:
    text = _text(world, value)
    at = text.find(char.as_char(world))
    return text[at:] if at >= 0 else ""


def _prefixes(world: World, value: Value, most: Argument | None, quote: str) -> Value:
    text = _text(world, value)
    wanted = 0 if most is None else most.as_int(world)
    count = wanted if 0 < wanted < len(text) else len(text)
    return ",".join(f"{quote}{text[:n]}{quote}" for n in range(1, count + 1))


@transformation("s.prefixes", "?n")
def s_prefixes(world: World, value: Value, most: Argument | None = None) -> Value:
    return _prefixes(world, value, most, "")


@transformation("s.prefixes.quoted", "?n")
def s_prefixes_quoted(world: World, value: Value, most: Argument | None = None) -> Value:
    return _prefixes(world, value, most, "'")


@transformation("s.replace", "ss")
def s_replace(world: World, value: Value, old: Argument, new: Argument) -> Value:
    text, wanted = _text(world, value), old.as_text(world)
    replacement = new.as_text(world)
    if not wanted and old.first in text:
        raise _endless(world, "s.replace")
    return text.replace(wanted, replacement) if wanted else text


def _endless(world: World, name: str) -> StubError:
    return world.fault(
        Unpredictable(f"{{{name}}} of nothing: a real Kamailio loops until its buffer is full")
    )


@transformation("s.rm", "s")
def s_rm(world: World, value: Value, removed: Argument) -> Value:
    text, wanted = _text(world, value), removed.as_text(world)
    if removed.spec is None:
        escapes = {"n": "\n", "r": "\r", "t": "\t"}
        wanted = re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[1]), wanted)
    if not wanted and removed.first in text:
        raise _endless(world, "s.rm")
    return text.replace(wanted, "") if wanted else text


@transformation("s.ftime", "s")
def s_ftime(world: World, value: Value, layout: Argument) -> Value:
    number = number_of(value) if value is not None else None
    if number is None:
        number = parse_int(_text(world, value))
    if number is None or (number < 0 and isinstance(value, str)):
        raise no_value(world, "value is not numeric")
    return time.strftime(layout.as_text(world), time.localtime(number))


@transformation("s.trim")
def s_trim(world: World, value: Value) -> Value:
    return _text(world, value).strip(_SPACE)


@transformation("s.rtrim")
def s_rtrim(world: World, value: Value) -> Value:
    return _text(world, value).rstrip(_SPACE)


@transformation("s.ltrim")
def s_ltrim(world: World, value: Value) -> Value:
    return _text(world, value).lstrip(_SPACE)


@transformation("s.corehash", "?n")
def s_corehash(world: World, value: Value, size: Argument | None = None) -> Value:
    wanted = 0 if size is None else size.as_int(world)
    return str(core_hash(_text(world, value), size=wanted))


@transformation("s.unquote")
def s_unquote(world: World, value: Value) -> Value:
    text = _text(world, value)
    if len(text) < 2:
        return value
    return text[1:-1] if text[0] == text[-1] and text[0] in "\"'" else text


@transformation("s.unbracket")
def s_unbracket(world: World, value: Value) -> Value:
    text = _text(world, value)
    if len(text) < 2:
        return value
    return text[1:-1] if _BRACKETS.get(text[0]) == text[-1] else text


@transformation("s.count", "x")
def s_count(world: World, value: Value, char: Argument) -> Value:
    return _text(world, value).count(char.as_char(world))


@transformation("s.before", "x")
def s_before(world: World, value: Value, char: Argument) -> Value:
    return _text(world, value).partition(char.as_char(world))[0]


@transformation("s.after", "x")
def s_after(world: World, value: Value, char: Argument) -> Value:
    return _text(world, value).partition(char.as_char(world))[2]


@transformation("val.n0", since="6.0")
def val_n0(world: World, value: Value) -> Value:
    return 0 if value is None else value


@transformation("val.ne", since="6.0")
def val_ne(world: World, value: Value) -> Value:
    return "" if value is None else value


@transformation("val.json", since="6.0")
def val_json(world: World, value: Value) -> Value:
    if value is None:
        return ""
    return value if isinstance(value, int) else _json_escaped(str(value))


@transformation("val.jsonqe", since="6.0")
def val_jsonqe(world: World, value: Value) -> Value:
    if value is None:
        return '""'
    if isinstance(value, int):
        return value
    escaped = _json_escaped(str(value))
    return f'"{escaped}"' if escaped != value else value


def _json_escaped(text: str) -> str:
    named = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r"}
    return re.sub(
        r'[\x00-\x1f"\\]',
        lambda m: {**named, "\t": "\\t"}.get(m[0], f"\\u{ord(m[0]):04x}"),
        text,
    )


@transformation("re.subst", "t")
def re_subst(world: World, value: Value, expression: Argument) -> Value:
    from ksr_stub.pv import subst_expression

    if value is None or not text_of(value):
        raise NoValue("re.subst of no text")
    try:
        result = subst_expression(world, expression.as_text(world)).apply(text_of(value))
    except regex.BadRegex as error:
        raise no_value(world, str(error)) from None
    return value if result is None else result


def _fmtline(world: World, value: Value, length: Argument, padding: Argument, pad: str) -> Value:
    """Kamailio's own way: it breaks behind each of the first `length` bytes and nowhere else; a
    text no longer than the padding is read while it is overwritten."""
    text, wide, deep = _text(world, value), length.as_int(world), padding.as_int(world)
    if wide <= 0 or deep < 0:
        raise no_value(world, "fmtline with invalid parameters")
    out: list[str] = []
    for at, char in enumerate(text):
        if at and at < wide:
            out += ["\r", "\n", *pad * deep]
        out.append(out[at] if deep >= len(text) and at < len(out) else char)
    return "".join(out)


@transformation("s.fmtlines", "nn")
def s_fmtlines(world: World, value: Value, length: Argument, padding: Argument) -> Value:
    return _fmtline(world, value, length, padding, " ")


@transformation("s.fmtlinet", "nn")
def s_fmtlinet(world: World, value: Value, length: Argument, padding: Argument) -> Value:
    return _fmtline(world, value, length, padding, "\t")
