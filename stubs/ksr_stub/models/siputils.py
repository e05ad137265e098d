"""KSR.siputils: has_totag, is_request, comparing URIs, R-URI parameters (modules/siputils)."""

from __future__ import annotations

import calendar
import email.utils
import re

from ksr_stub import credentials, nameaddr, tobody
from ksr_stub import uri as uris
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header, ParseError, header_key
from ksr_stub.models import hdr
from ksr_stub.pv import paramlist
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import MODELS, model
from ksr_stub.transport import address_family
from ksr_stub.uri import Uri
from ksr_stub.world import World

_OPTIONS = (
    "Accept: {}\r\nAccept-Encoding: {}\r\nAccept-Language: {}\r\nSupported: {}\r\n",
    (("options_accept", "*/*"), ("options_accept_encoding", ""), ("options_accept_language", "en"),
     ("options_support", "")),
)  # fmt: skip


@model("siputils")
def is_request(world: World) -> int:
    """1 for a request, -1 for a reply."""
    return 1 if world.msg.is_request else -1


@model("siputils")
def is_reply(world: World) -> int:
    """1 for a reply, -1 for a request."""
    return -1 if world.msg.is_request else 1


@model("siputils")
def sip_parse_headers(world: World) -> int:
    """1 where all headers can be read, else -1 (new in 6.0)."""
    return -1 if world.msg.unreadable() else 1


@model("siputils")
def has_totag(world: World) -> int:
    """1 where To has a tag: the request is within a dialog; else -1."""
    body = tobody.of(world.msg, "to")
    return 1 if body is not None and body.tag else -1


@model("siputils")
def is_uri(world: World, text: str) -> int:
    """1 for a URI that Kamailio can parse, else -1."""
    return -1 if uris.parse(text) is None else 1


@model("siputils")
def is_tel_number(world: World, text: str) -> int:
    """1 for digits, or + and digits without a leading 0; else -2."""
    return 1 if re.fullmatch(r"[0-9]+|\+[1-9][0-9]*", text) else -2


@model("siputils")
def is_numeric(world: World, text: str) -> int:
    """1 for digits, else -2."""
    return 1 if re.fullmatch(r"[0-9]+", text) else -2


@model("siputils")
def is_alphanum(world: World, text: str) -> int:
    """1 for letters and digits, -2 for '', -3 for others."""
    return is_alphanumex(world, text, "")


@model("siputils")
def is_alphanumex(world: World, text: str, more: str) -> int:
    """1 for letters, digits and the characters of `more`; -2 for '', -3 for others."""
    if not text:
        return -2
    allowed = all(re.match(r"[0-9A-Za-z]", char) or char in more for char in text)
    return 1 if allowed else -3


@model("siputils")
def is_first_hop(world: World) -> int:
    """1 where the message comes straight from its sender.

    A request has one Via only. A reply has no Record-Route, or the top one is ours and the reply
    does not come from ourselves.
    """
    return is_first_hop_mode(world, 0)


@model("siputils")
def is_first_hop_mode(world: World, mode: int) -> int:
    """As is_first_hop; with a mode other than 0 the Record-Route may have a name as host."""
    from ksr_stub import via

    message = world.msg
    if not message.is_request and message.unreadable("record-route"):
        return -1
    try:
        if message.is_request:
            return -1 if len(via.all_of(message)) > 1 else 1
        routes = nameaddr.all_of(message, "record-route")
    except ParseError:
        return -1
    if not routes:
        return 1
    top = uris.parse(routes[0].uri)
    if top is None or (mode == 0 and not address_family(top.host)):
        return -1
    proto = top.parsed_proto if top.known("transport") else ""
    if not world.is_myself(top.host, top.port_number, proto):
        return -1
    return -1 if mode == 0 and _from_ourselves(world, top) else 1


def _from_ourselves(world: World, top: Uri) -> bool:
    source = world.msg.source
    same_port = source.port == top.port_number or (not top.port and source.port == 5060)
    same_proto = (top.parsed_proto or "udp") == world.msg.proto
    return source.host == top.host.strip("[]") and same_port and same_proto


@model("siputils")
def is_gruu(world: World) -> int:
    """1 for a R-URI with `gr=...`, 2 with a plain `gr`, else -1."""
    found = _ruri(world)
    if found is None:
        return -1
    names = [item.partition("=") for item in found.params.split(";")]
    gruu = [(equal, value) for name, equal, value in names if name.lower() == "gr"]
    if not gruu:
        return -1
    return 1 if gruu[-1][1] else 2


def _ruri(world: World) -> Uri | None:
    found = uris.parse(world.msg.uri)
    if found is None:
        world.say(-1, "siputils: ruri parsing failed")
    return found


def _result(equal: bool | None) -> int:
    return -2 if equal is None else 1 if equal else -1


@model("siputils")
def cmp_uri(world: World, one: str, other: str) -> int:
    """1 for equal URIs, -1 for different ones, -2 where one can't be parsed.

    Parameters that only one of them has don't count, but ttl, method, maddr and user where the
    other has no parameters at all.
    """
    first, second = uris.parse(one), uris.parse(other)
    if first is None or second is None:
        return _result(None)
    same = (first.kind, first.user, first.port, first.password, first.host.lower()) == (
        second.kind, second.user, second.port, second.password, second.host.lower(),
    )  # fmt: skip
    return _result(_same_params(first, second) if same else False)


def _params_of(uri: Uri) -> str:
    return uri.user_params if uri.kind in ("tel", "tels") and uri.scheme != "tel" else uri.params


def _same_params(first: Uri, second: Uri) -> bool | None:
    one, other = _params_of(first), _params_of(second)
    for text, uri in ((one, second), (other, first)):
        if not text and any(uri.known(name) for name in ("user", "ttl", "method", "maddr")):
            return not one and not other
    left, right = paramlist.parse(one), paramlist.parse(other)
    if (one and left is None) or (other and right is None):
        return None
    return all(
        value.lower() == value2.lower()
        for name, value in left or []
        for name2, value2 in right or []
        if one and other and name.lower() == name2.lower()
    )


@model("siputils")
def cmp_aor(world: World, one: str, other: str) -> int:
    """1 for equal addresses of record, -1 for different ones, -2 where one can't be parsed.

    No port is the port 5060.
    """
    first, second = uris.parse(one), uris.parse(other)
    if first is None or second is None:
        return _result(None)
    same = first.user == second.user and first.host.lower() == second.host.lower()
    return _result(same and _same_port(first, second))


def _same_port(first: Uri, second: Uri) -> bool:
    if first.port == second.port:
        return True
    if not first.port and second.port_number != 5060:
        return False
    return not (not second.port and first.port_number != 5060)


@model("siputils")
def cmp_hdr_name(world: World, one: str, other: str) -> int:
    """1 for equal header names, the compact form included, -1 or -2 for different ones."""
    first, second = one.rstrip(" \t\r\n"), other.rstrip(" \t\r\n")
    names = hdr.NAME.match(first), hdr.NAME.match(second)
    if names[0] is None or names[1] is None:
        world.say(-1, f"core: error parsing header names [{one}] [{other}]")
        return -2
    keys = header_key(names[0][0]), header_key(names[1][0])
    if hdr.KNOWN.intersection(keys):
        return 1 if keys[0] == keys[1] else -1
    lower = first.lower(), second.lower()
    return 1 if lower[0] == lower[1] else -1 if lower[0] > lower[1] else -2


def _params(world: World, plain: bool) -> list[tuple[str, str]] | None:
    found = _ruri(world)
    if found is None:
        return None
    text = (_params_of(found) if plain else found.params) or _params_of(found)
    params = paramlist.parse(text) if text else []
    if params is None:
        world.say(-1, "siputils: ruri parameter parsing failed")
    return params


@model("siputils")
def uri_param(world: World, name: str) -> int:
    """1 where the R-URI has the parameter without a value, else -1. Case counts."""
    return uri_param_value(world, name, "")


@model("siputils")
def uri_param_value(world: World, name: str, value: str) -> int:
    """1 where the R-URI has the parameter with this value, else -1. Case counts."""
    found = [v for n, v in reversed(_params(world, plain=True) or []) if n == name]
    return 1 if found and found[0] == value else -1


@model("siputils")
def uri_param_any(world: World, name: str) -> int:
    """1 where the R-URI has the parameter, with or without a value; else -1."""
    params = _params(world, plain=False) or []
    return 1 if any(n.lower() == name.lower() for n, _ in params) else -1


@model("siputils")
def add_uri_param(world: World, text: str) -> int:
    """Add a parameter to the R-URI; 1, or -1 where the R-URI can't be parsed.

    Raises:
        Unpredictable: the R-URI has a user and headers.
    """
    if not text:
        return 1
    found = _ruri(world)
    if found is None:
        return -1
    if not found.headers:
        world.msg.new_uri = f"{world.msg.uri};{text}"
        return 1
    if found.user:
        raise world.fault(
            Unpredictable(
                "add_uri_param writes over the user of a Request-URI that has ?headers, and fills"
                " the end with what is in memory: take the headers out with $ru before"
            )
        )
    port = f":{found.port}" if found.port else ""
    params = _params_of(found)
    world.msg.new_uri = f"sip:{found.host}{port}{params};{text}?{found.headers}"
    return 1


@model("siputils")
def uri_param_rm(world: World, name: str) -> int:
    """Take a parameter out of the R-URI; 1, also without one, or -1 for a bad R-URI."""
    params = _params(world, plain=False)
    if params is None:
        return -1
    text = world.msg.uri
    for param, value in reversed(params):
        if param.lower() == name.lower():
            quoted = rf"(['\"]?){re.escape(value)}\1" if value else "(?:=(?=;|\\?|$))?"
            match = re.search(rf";\s*{re.escape(param)}(?:\s*=\s*)?{quoted}", text)
            if match is not None:
                world.msg.new_uri = text[: match.start()] + text[match.end() :]
            return 1
    return 1


@model("siputils")
def is_user(world: World, name: str) -> int:
    """1 where the credentials that were authorized are this user's, else -1."""
    for key in ("authorization", "proxy-authorization"):
        header = world.msg.notes.get(f"auth.{key}")
        if isinstance(header, Header):
            found = credentials.parse(header)
            return 1 if name and found is not None and found.user == name else -1
    world.say(-1, "siputils: no authorized credentials found (error in scripts)")
    return -1


_VECTOR = {
    "value": "icid-value=", "genaddr": "icid-generated-at=", "orig": "orig-ioi=",
    "term": "term-ioi=",
}  # fmt: skip


@variable("pcv", inner=one_of("all", *_VECTOR))
def charging_vector(world: World, inner: str, index: object) -> Value:
    """The P-Charging-Vector of the message, or a part of it; null without `icid-value`.

    5.6.3 shows that of an earlier message where this one has none.
    """
    message = world.msg
    header = None if message.unreadable() else message.first("p-charging-vector")
    if header is None or _VECTOR["value"] not in header.body:
        return None
    if inner == "all":
        return header.body
    _, named, rest = header.body.partition(_VECTOR[inner])
    return (re.split(r"[ ;,\r\n]", rest, maxsplit=1)[0] or None) if named else None


@model("siputils")
def hdr_date_check(world: World, seconds: int) -> int:
    """1 where Date is no older than so many seconds, -4 where it is, -1 without one."""
    header = world.msg.first("date")
    date = None if header is None else email.utils.parsedate(header.body)
    if date is None:
        world.say(-1, "siputils: Date header field is not found")
        return -1
    sent = calendar.timegm((*date[:6], 0, 0, 0))
    return -4 if world.clock.now > sent + seconds else 1


@model("siputils")
def options_reply(world: World) -> int:
    """Answer an OPTIONS without a user in its R-URI; -1 for another request."""
    found = uris.parse(world.msg.uri)
    if world.msg.method != "OPTIONS" or found is None or found.user:
        world.say(-1, "siputils: called for non-OPTIONS request, or ruri contains username")
        return -1
    values = [world.param("siputils", name, default) for name, default in _OPTIONS[1]]
    world.msg.reply_lumps.append(_OPTIONS[0].format(*values))
    result = MODELS["sl", "send_reply"](world, 200, "OK")
    return 1 if isinstance(result, int) and result > 0 else -1
