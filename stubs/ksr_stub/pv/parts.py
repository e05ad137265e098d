"""The transformations that take something apart: `{uri.*}`, `{param.*}`, `{nameaddr.*}`,
`{tobody.*}`, `{line.*}`, `{urialias.*}` and `{sock.*}` (modules/pv/pv_trans.c, corex_var.c)."""

from __future__ import annotations

import re

import attrs

from ksr_stub import tobody
from ksr_stub import uri as uris
from ksr_stub.errors import Unpredictable
from ksr_stub.pv import paramlist
from ksr_stub.pv.transformations import Argument, transformation
from ksr_stub.pv.values import NoValue, Value, Worded, no_value, text_of
from ksr_stub.tobody import ToBody
from ksr_stub.uri import Uri
from ksr_stub.world import World

_PROTOCOLS = ("none", "udp", "tcp", "tls", "sctp", "ws", "wss")


def _text(value: Value) -> str:
    """The text; null and '' have none of these parts."""
    if value is None or not text_of(value):
        raise NoValue("a transformation of no text")
    return text_of(value)


def _uri(world: World, value: Value) -> Uri:
    text = _text(value)
    found = uris.parse(text[:-1] if len(text) > 4 and text.endswith(";") else text)
    if found is None:
        raise no_value(world, f"invalid uri [{text}]")
    return found


def sip_params(uri: Uri) -> str:
    """The parameters, as far as they are those of a SIP URI."""
    return uri.params if uri.scheme in ("sip", "sips") else ""


def _uri_part(name: str, part: str) -> None:
    def function(world: World, value: Value) -> Value:
        found: str = getattr(_uri(world, value), part)
        return found

    transformation(f"uri.{name}")(function)


def _uri_param(name: str, known: str) -> None:
    def function(world: World, value: Value) -> Value:
        return _uri(world, value).known(known)

    transformation(f"uri.{name}")(function)


for _name, _part in (("user", "user"), ("host", "host"), ("domain", "host"),
                     ("passwd", "password"), ("headers", "headers")):  # fmt: skip
    _uri_part(_name, _part)
for _name in ("transport", "ttl", "maddr", "method", "lr", "r2"):
    _uri_param(_name, _name)
_uri_param("uparam", "user")


@transformation("uri.port")
def uri_port(world: World, value: Value) -> Value:
    found = _uri(world, value)
    return Worded(found.port_number, found.port)


@transformation("uri.params")
def uri_params(world: World, value: Value) -> Value:
    return sip_params(_uri(world, value))


@transformation("uri.param", "s")
def uri_param(world: World, value: Value, name: Argument) -> Value:
    params = sip_params(_uri(world, value))
    if not params:
        return ""
    found = paramlist.parse(params)
    if found is None:
        raise no_value(world, f"invalid parameters [{params}]")
    return _last(found, name.as_text(world)) or ""


@transformation("uri.scheme")
def uri_scheme(world: World, value: Value) -> Value:
    _uri(world, value)
    return _text(value).partition(":")[0]


def _short(world: World, value: Value, user: bool, target: bool) -> Value:
    found = _uri(world, value)
    if world.version == "5.6":
        raise world.fault(
            Unpredictable(
                "{uri.saor}, {uri.suri} and {uri.duri} of Kamailio 5.6.3 put a stray byte behind"
                " `sip:`: build the text from {uri.user} and {uri.host}"
            )
        )
    out = f"{_text(value).partition(':')[0]}:{found.user + '@' if user and found.user else ''}"
    out += found.host
    if target:
        transport = found.known("transport")
        out += f":{found.port}" if found.port else ""
        out += f";transport={transport}" if transport else ""
    return out


@transformation("uri.saor")
def uri_saor(world: World, value: Value) -> Value:
    return _short(world, value, user=True, target=False)


@transformation("uri.suri")
def uri_suri(world: World, value: Value) -> Value:
    return _short(world, value, user=True, target=True)


@transformation("uri.duri")
def uri_duri(world: World, value: Value) -> Value:
    return _short(world, value, user=False, target=True)


@transformation("uri.tosocket")
def uri_tosocket(world: World, value: Value) -> Value:
    found = _uri(world, value)
    if not found.parsed_proto:
        world.say(0, "pv: unknown transport protocol")
        return ""
    return f"{found.parsed_proto}:{found.host}:{found.port_number or 5060}"


def _last(params: list[tuple[str, str]], name: str) -> str | None:
    return next((v for n, v in reversed(params) if n.lower() == name.lower()), None)


def _param_list(value: Value, separator: str) -> list[tuple[str, str]]:
    text = _text(value)
    if len(text) > 1 and text.endswith(separator):
        text = text[:-1]
    found = paramlist.parse(text, separator)
    if found is None:
        raise NoValue("invalid parameters")
    return found


def _separator(argument: Argument | None) -> str:
    return ";" if argument is None else argument.first


@transformation("param.value", "s?1")
def param_value(
    world: World, value: Value, name: Argument, separator: Argument | None = None
) -> Value:
    params = _param_list(value, _separator(separator))
    return _last(params, name.as_text(world)) or ""


@transformation("param.in", "s?1")
def param_in(
    world: World, value: Value, name: Argument, separator: Argument | None = None
) -> Value:
    params = _param_list(value, _separator(separator))
    return int(_last(params, name.as_text(world)) is not None)


def _at(params: list[tuple[str, str]], index: int) -> tuple[str, str]:
    return params[index] if -len(params) <= index < len(params) else ("", "")


@transformation("param.valueat", "n?1")
def param_valueat(
    world: World, value: Value, index: Argument, separator: Argument | None = None
) -> Value:
    return _at(_param_list(value, _separator(separator)), index.as_int(world))[1]


@transformation("param.name", "n?1")
def param_name(
    world: World, value: Value, index: Argument, separator: Argument | None = None
) -> Value:
    return _at(_param_list(value, _separator(separator)), index.as_int(world))[0]


@transformation("param.count", "?X")
def param_count(world: World, value: Value, separator: Argument | None = None) -> Value:
    char = ";" if separator is None else separator.as_char(world)
    return len(_param_list(value, char))


def unquoted(text: str, char: str, start: int = 0) -> int:
    """Where a character stands outside of quotes, -1 if it does not."""
    quoted = escaped = False
    for at in range(start, len(text)):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = text[at] == "\\", text[at] != '"'
        elif text[at] == char:
            return at
        else:
            quoted = text[at] == '"'
    return -1


@attrs.define
class _LastNameAddr:
    """The text that `{nameaddr}` took apart last: Kamailio looks at it once, be it broken."""

    text: str = ""


def _name_addr(world: World, value: Value) -> tuple[str, str, int]:
    """Name, URI and length of `name <uri>`."""
    text, last = _text(value), world.part(_LastNameAddr)
    again, last.text = last.text == text, text
    opening = unquoted(text, "<")
    if opening < 0:
        return "", text, len(text)
    closing = unquoted(text, ">", opening + 1)
    if closing >= 0:
        return text[:opening], text[opening + 1 : closing], closing + 1
    if not again:
        raise no_value(world, "no closing bracket")
    return text[:opening], text[opening + 1 :], 0


@transformation("nameaddr.uri")
def nameaddr_uri(world: World, value: Value) -> Value:
    return _name_addr(world, value)[1]


@transformation("nameaddr.name")
def nameaddr_name(world: World, value: Value) -> Value:
    return _name_addr(world, value)[0]


@transformation("nameaddr.len")
def nameaddr_len(world: World, value: Value) -> Value:
    return _name_addr(world, value)[2]


def _to_body(value: Value) -> tuple[ToBody, Uri]:
    found = tobody.parse(_text(value))
    uri = None if found is None else uris.parse(found.uri)
    if found is None or uri is None:
        raise NoValue("no To body")
    return found, uri


@transformation("tobody.uri")
def tobody_uri(world: World, value: Value) -> Value:
    return _to_body(value)[0].uri


@transformation("tobody.tag")
def tobody_tag(world: World, value: Value) -> Value:
    return _to_body(value)[0].tag


@transformation("tobody.display")
def tobody_display(world: World, value: Value) -> Value:
    return _to_body(value)[0].display


@transformation("tobody.user")
def tobody_user(world: World, value: Value) -> Value:
    return _to_body(value)[1].user


@transformation("tobody.host")
def tobody_host(world: World, value: Value) -> Value:
    return _to_body(value)[1].host


@transformation("tobody.params")
def tobody_params(world: World, value: Value) -> Value:
    start = _to_body(value)[0].params_start
    return _text(value)[start:] if start >= 0 else ""


@transformation("line.count")
def line_count(world: World, value: Value) -> Value:
    text = _text(value)
    return str(text.count("\n") + (not text.endswith("\n")))


@transformation("line.sw", "s")
def line_sw(world: World, value: Value, prefix: Argument) -> Value:
    wanted = prefix.as_text(world)
    return next(
        (line.removesuffix("\r") for line in _text(value).split("\n") if line.startswith(wanted)),
        "",
    )


@transformation("line.at", "n")
def line_at(world: World, value: Value, index: Argument) -> Value:
    text, at = _text(value), index.as_int(world)
    lines = (text.removesuffix("\n") if at < 0 else text).split("\n")
    return lines[at].removesuffix("\r") if -len(lines) <= at < len(lines) else ""


@transformation("urialias.encode")
def urialias_encode(world: World, value: Value) -> Value:
    found = uris.parse(_text(value))
    if found is None:
        world.say(0, "pv: error converting uri to alias")
        return ""
    proto = found.parsed_proto
    port = found.port or ("5061" if proto == "tls" else "5060")
    return f"{found.host}~{port}~{_PROTOCOLS.index(proto or 'udp')}"


@transformation("urialias.decode")
def urialias_decode(world: World, value: Value) -> Value:
    match = re.match(r"([^~]*)~([^~]*)~(.)", _text(value), re.DOTALL)
    if match is None:
        raise world.fault(
            Unpredictable("{urialias.decode} of no `host~port~number` gives what was in memory")
        )
    number = ord(match[3]) - ord("0")
    if not 0 <= number < len(_PROTOCOLS):
        world.say(0, "pv: error converting uri to alias")
        return ""
    transport = f";transport={_PROTOCOLS[number]}" if number > 1 else ""
    return f"sip:{match[1]}:{match[2]}{transport}"
