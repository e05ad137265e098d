"""nathelper's aliases in the R-URI: the way back to a phone behind NAT."""

from __future__ import annotations

from ksr_stub import addresses, uri
from ksr_stub.message import SipMessage
from ksr_stub.models.nathelper import DONE, FAILED, NOTHING_TO_DO, alias_name, host_offset
from ksr_stub.registry import model
from ksr_stub.world import World

# an alias parameter shorter than this is no alias: alias=1~2~3
_SHORTEST_ALIAS = 5


@model("nathelper")
def handle_ruri_alias(world: World) -> int:
    """Send the request to the first alias of the R-URI, and take it away.

    Returns:
        1, 2 where there is no alias, -1 for one that is broken.
    """
    return _follow_alias(world, last=False)


@model("nathelper")
def handle_ruri_alias_mode(world: World, mode: int) -> int:
    """The same with the last alias, if mode is not 0."""
    return _follow_alias(world, last=mode != 0)


def _follow_alias(world: World, last: bool) -> int:
    message = world.msg
    text, name = message.uri, alias_name(world)
    parsed = uri.parse(text)
    if parsed is None:
        return FAILED
    if parsed.scheme not in ("sip", "sips") or not parsed.params:
        return NOTHING_TO_DO
    begin = text.index(f";{parsed.params}", host_offset(text)) + 1
    end = begin + len(parsed.params)
    start, left = _find_alias(text[begin:end], name, last, world.version == "5.6")
    if start is None:
        return NOTHING_TO_DO
    return _use_alias(world, begin + start, name, left)


def _find_alias(params: str, name: str, last: bool, in_5_6: bool) -> tuple[int | None, int]:
    """Where the alias is, and how many characters Kamailio thinks there are from it on."""
    found: int | None = None
    at = 0
    while len(params) - at > len(name) + _SHORTEST_ALIAS - 1:
        if params.startswith(name, at):
            found = at
            if not last:
                return at, len(params) - at
            # 5.6.3 goes on counting behind the name, but reads from before it
            at += len(name) if in_5_6 else 0
        semicolon = params.find(";", at)
        if semicolon < 0:
            break
        at = semicolon + 1
    if found is None:
        return None, 0
    return found, len(params) - (at if in_5_6 else found)


def _use_alias(world: World, start: int, name: str, left: int) -> int:
    message = world.msg
    text = message.uri
    value = start + len(name)
    length = left - len(name)
    stop = value + length if length >= 0 else len(text)
    tilde = text.find("~", value, stop)
    if tilde < 0:
        if length < 0:
            # it reads on behind the URI; `;alias=x;ob` then overruns a buffer
            world.say(-3, "nathelper: 5.6.3 may crash here: handle_ruri_alias_mode")
        return FAILED
    # Kamailio writes the colon into the URI itself, and leaves it there on an error
    text = f"{text[:tilde]}:{text[tilde + 1 :]}"
    second = text.find("~", tilde + 1, stop)
    proto = text[second + 1 : second + 2] if second >= 0 else ""
    number = int(proto) if proto.isdigit() else 0
    ends = second + 2 >= stop and length >= 0
    if (
        second < 0
        or not addresses.proto_name(number)
        or not (ends or text[second + 2 : second + 3] in (";", "?"))
    ):
        _set_uri(message, text)
        return FAILED
    transport = "" if number == 1 else f";transport={addresses.proto_name(number)}"
    message.dst_uri = f"sip:{text[value:second]}{transport}"
    _set_uri(message, text[: start - 1] + text[second + 2 :])
    return DONE


def _set_uri(message: SipMessage, text: str) -> None:
    message.new_uri = text
