"""KSR.sanity: refusing malformed requests, with the replies that it sends (modules/sanity)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ksr_stub import contacts, methods, tobody, via
from ksr_stub import uri as uris
from ksr_stub.message import ParseError
from ksr_stub.pv.values import parse_int
from ksr_stub.pv.variables.auth import credentials
from ksr_stub.registry import MODELS, model
from ksr_stub.world import World

_DEFAULT_CHECKS = 0b101111100111
_DEFAULT_URI_CHECKS = 0b111
_NO_REPLY = "sanity.noreply"
_PENDING = "sanity.pending"
_UINT = 4294967296
_DIGITS = re.compile(r"[0-9]{0,10}")


class _Failed(Exception):
    """A check failed; code 0: without a reply."""

    def __init__(self, code: int = 0, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@model("sanity")
def sanity_check_defaults(world: World) -> int:
    """The checks of the modparams default_checks and uri_checks."""
    checks = world.param("sanity", "default_checks", _DEFAULT_CHECKS)
    return sanity_check(world, checks, world.param("sanity", "uri_checks", _DEFAULT_URI_CHECKS))


@model("sanity")
def sanity_check(world: World, checks: int, uri_checks: int) -> int:
    """Check a message.

    Args:
        world: its message is checked.
        checks: 1 SIP version, 2 R-URI scheme, 4 required headers, 32 CSeq method, 64 CSeq value,
            128 Content-Length, 256 Expires, 512 Proxy-Require, 1024 URIs, 2048 digest,
            4096 duplicate tags, 8192 authorization, 16384 Via.
        uri_checks: of 1024: 1 R-URI, 2 From, 4 To, 8 Contact.
    Returns:
        1; -1 where a check failed: the reply is sent, for ACK and replies there is none.
    """
    try:
        for bit, check in _CHECKS:
            if checks & bit:
                check(world)
        if checks & 1024:
            _uris(world, uri_checks)
        for bit, check in _LATE_CHECKS:
            if checks & bit:
                check(world)
    except _Failed as failure:
        _reply(world, failure)
        return -1
    return 1


@model("sanity")
def sanity_reply(world: World) -> int:
    """Send the reply that a check kept back, with modparam noreply=1; 500 without one."""
    message = world.msg
    if not message.is_request or message.method == "ACK" or not _kept_back(world):
        return 1
    if message.notes.get(_NO_REPLY):
        return 1
    pending = message.notes.get(_PENDING, (500, "Server Sanity Failure"))
    assert isinstance(pending, tuple)  # noqa: S101
    return 1 if _send(world, *pending) else -1


def _kept_back(world: World) -> bool:
    return bool(world.param("sanity", "noreply", 0))


def _send(world: World, code: int, reason: str) -> bool:
    result = MODELS["sl", "send_reply"](world, code, reason)
    return isinstance(result, int) and result > 0


def _reply(world: World, failure: _Failed) -> None:
    message = world.msg
    if not failure.code:
        message.notes[_NO_REPLY] = True
    if not message.is_request or message.method == "ACK" or not failure.code:
        return
    if _kept_back(world):
        message.notes[_PENDING] = (failure.code, failure.reason)
    else:
        _send(world, failure.code, failure.reason)


def _version(world: World) -> None:
    message = world.msg
    line = message.buf[: message.first_line_end].rstrip()
    if not message.is_request:  # 5.6 looks at the reason phrase of a reply
        raise _Failed
    if line.rpartition("/")[2] != "2.0":
        raise _Failed(505, "Version Not Supported (R-URI)")


def _scheme(world: World) -> None:
    if not world.msg.is_request or uris.parse(world.msg.uri) is None:
        world.say(0, f"sanity: failed to parse request uri [{world.msg.uri}]")
        raise _Failed(400, "Bad Request URI")


def _parsed(world: World, key: str = "") -> None:
    """Where a header field can't be parsed Kamailio can't reply either."""
    if world.msg.unreadable(key):
        raise _Failed


def _required(world: World) -> None:
    _parsed(world)
    if any(len(list(world.msg.all(name))) != 1 for name in ("from", "to", "call-id", "cseq")):
        raise _Failed


def _via(world: World) -> None:
    try:
        via.all_of(world.msg)
    except ParseError:
        raise _Failed from None


def _cseq_method(world: World) -> None:
    number, method = methods.cseq(world.msg)
    if not number:
        raise _Failed
    if method != world.msg.method:
        raise _Failed(400, "CSeq method does not match request method")


def _is_uint(text: str) -> bool:
    return _DIGITS.fullmatch(text) is not None and int(text or 0) <= _UINT


def _cseq_value(world: World) -> None:
    number, _ = methods.cseq(world.msg)
    if not number:
        raise _Failed
    if not _is_uint(number):
        raise _Failed(400, "CSeq number is illegal")


def _length(world: World) -> None:
    _parsed(world, "content-length")
    header = world.msg.first("content-length")
    if header is None:
        world.say(0, "sanity: content length header missing in request")
        return
    if not world.msg.has_empty_line:
        raise _Failed(400, "Content-Length Body Failure")
    if parse_int(header.body.strip(" \t\r\n")) != len(world.msg.body):
        raise _Failed(400, "Content-Length mis-match")


def _expires(world: World) -> None:
    _parsed(world, "expires")
    header = world.msg.first("expires")
    if header is None:
        return
    text = header.body.strip(" \t\r\n")
    if not text:
        raise _Failed(400, "Bad Expires Header")
    if not _is_uint(text):
        raise _Failed(400, "Expires value is illegal")


def _proxy_require(world: World) -> None:
    _parsed(world, "proxy-require")
    header = world.msg.first("proxy-require")
    if header is None:
        return
    if not header.body.strip(" \t\r\n"):
        raise _Failed(400, "Bad Proxy Require Header")
    supported = {one.strip() for one in world.param("sanity", "proxy_require", "").split(",")}
    for tag in (one.strip(" \t\r\n") for one in header.body.split(",")):
        if tag not in supported:
            world.msg.reply_lumps.append(f"Unsupported: {tag}\r\n")
            raise _Failed(420, "Bad Proxy Require Extension")


def _uris(world: World, checks: int) -> None:
    message = world.msg
    if checks & 1 and uris.parse(message.uri) is None:
        raise _Failed(400, "Bad Request URI")
    for bit, key, reason in ((2, "from", "Invalid From Header"), (4, "to", "Ivalid To Header")):
        body = tobody.of(message, key)
        if checks & bit and (body is None or uris.parse(body.uri) is None):
            raise _Failed(400, reason)
    if checks & 8:
        _contacts(world)


def _contacts(world: World) -> None:
    _parsed(world)
    try:
        found = contacts.all_of(world.msg)
    except ParseError:
        raise _Failed(400, "Bad Contact Header") from None
    first = world.msg.first("contact")
    if found and found[0].header is first and uris.parse(found[0].uri) is None:
        raise _Failed(400, "Bad Contact URI")


def _digest_only(world: World) -> bool:
    """Whether the credentials are digest ones.

    Raises:
        _Failed: they are incomplete.
    """
    _parsed(world)
    header = world.msg.first("authorization") or world.msg.first("proxy-authorization")
    if header is None:
        return True
    if not header.body.lower().startswith("digest"):
        return False
    fields = credentials(world.msg)
    if fields is None:
        raise _Failed(400, "Bad Auth Header")
    needed = ["username", "realm", "nonce", "uri", "response"]
    needed += ["cnonce", "nc"] if fields.get("qop") else []
    if any(name not in fields.fields for name in needed):
        raise _Failed(400, "Bad Auth Credentials")
    for name, shown in (("username", "User"), ("nonce", "Nonce"), ("response", "Response")):
        if not fields.get(name):
            raise _Failed(400, f"Auth Empty {shown}")
    return True


def _digest(world: World) -> None:
    if not _digest_only(world):
        raise _Failed


def _authorization(world: World) -> None:
    _digest_only(world)


def _duplicate_tags(world: World) -> None:
    for key, reason in (("from", "Many From Tag Params"), ("to", "Many To Tag Params")):
        body = tobody.of(world.msg, key)
        if body is None:
            raise _Failed
        if len([name for name, _ in body.params if name.lower() == "tag"]) > 1:
            raise _Failed(400, reason)


_CHECKS: tuple[tuple[int, Callable[[World], None]], ...] = (
    (1, _version), (2, _scheme), (4, _required), (16384, _via), (32, _cseq_method),
    (64, _cseq_value), (128, _length), (256, _expires), (512, _proxy_require),
)  # fmt: skip
_LATE_CHECKS: tuple[tuple[int, Callable[[World], None]], ...] = (
    (2048, _digest), (8192, _authorization), (4096, _duplicate_tags),
)  # fmt: skip
