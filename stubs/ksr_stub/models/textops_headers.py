"""KSR.textops: taking out header fields, setting bodies, looking at them (modules/textops)."""

from __future__ import annotations

import re

from ksr_stub.message import Header
from ksr_stub.models import hdr
from ksr_stub.models.textops import body_start, compiled, headers_named
from ksr_stub.pv.values import parse_int
from ksr_stub.registry import model
from ksr_stub.world import World

_SPACE = " \t\r\n"
_TYPES = ("text", "message", "application", "multipart", "*")
_SUBTYPES = (
    "plain", "cpim", "sdp", "cpl+xml", "pidf+xml", "rlmi+xml", "related", "lpidf+xml",
    "xpidf+xml", "watcherinfo+xml", "external-body", "vnd-microsoft-roaming-presence-pidf+xml",
    "cpim-pidf+xml", "mixed", "isup", "*",
)  # fmt: skip
_PRIVACY = ("critical", "header", "history", "id", "none", "session", "user")


@model("textops", unreadable=-1)
def remove_hf(world: World, name: str) -> int:
    """Take out every header field of a name. Returns 1, also without one."""
    return hdr.remove(world, name)


@model("textops", unreadable=-1)
def is_present_hf(world: World, name: str) -> int:
    """1 where there is a header field of the name, -1 where not."""
    return 1 if headers_named(world, name) else -1


def _delete(world: World, fields: list[Header]) -> int:
    for header in fields:
        world.msg.delete(header.start, header.end - header.start)
    return 1 if fields else -1


@model("textops")
def remove_hf_re(world: World, pattern: str) -> int:
    """Take out the header fields whose names match; -1 where none does."""
    return remove_hf_exp(world, pattern, "$^")


@model("textops", unreadable=-1)
def remove_hf_exp(world: World, pattern: str, skip: str) -> int:
    """Take out the header fields whose names match one pattern and not another."""
    found, kept = compiled(world, pattern), compiled(world, skip)
    if found is None or kept is None:
        return -1
    return _delete(
        world,
        [
            header
            for header in world.msg.headers
            if found.search(header.name.rstrip(" \t"))
            and not kept.search(header.name.rstrip(" \t"))
        ],
    )


@model("textops", unreadable=-1)
def is_present_hf_re(world: World, pattern: str) -> int:
    """1 where a header's name matches, -1 where none does."""
    found = compiled(world, pattern)
    names = (header.name.rstrip(" \t") for header in world.msg.headers)
    return 1 if found is not None and any(found.search(name) for name in names) else -1


@model("textops", unreadable=-1)
def remove_hf_idx(world: World, name: str, index: int) -> int:
    """Take out one header field by its place, -1 the last; 2 where there are not so many."""
    fields = headers_named(world, name)
    if fields is None:
        return -1
    if index >= len(fields):
        return 2
    if index >= -len(fields):
        _delete(world, [fields[index]])
    return 1


@model("textops", unreadable=-1)
def remove_hf_match(world: World, name: str, operator: str, text: str) -> int:
    """Take out the header fields that are `eq`, `ne`, have `in` them or match (`re`) a text.

    Returns 1, -2 where none is, -1 for a bad name, operator or pattern.
    """
    fields, operator = headers_named(world, name), operator.lower()
    if fields is None or operator not in ("eq", "ne", "in", "re"):
        return -1
    pattern = compiled(world, text) if operator == "re" else None
    if operator == "re" and pattern is None:
        return -1
    chosen = [one for one in fields if _is_match(one.body, operator, text, pattern)]
    return _delete(world, chosen) if chosen else -2


def _is_match(body: str, operator: str, text: str, pattern: re.Pattern[str] | None) -> bool:
    if operator in ("eq", "ne"):
        return (body == text) == (operator == "eq")
    if pattern is not None:
        return pattern.search(body) is not None
    return text in body and bool(text)


def _length(world: World) -> int:
    header = world.msg.first("content-length")
    return 0 if header is None else parse_int(header.body.strip(_SPACE)) or 0


@model("textops")
def has_body(world: World) -> int:
    """1 where Content-Length is there and not 0, else -1: the body itself is not looked at."""
    return 1 if _length(world) else -1


def _mime(text: str) -> tuple[str, str] | None:
    """Type and subtype; what Kamailio does not know is all the same `?`."""
    match = re.fullmatch(r"\s*([^\s/;,]+)\s*/\s*([^\s/;,]+)\s*(;[^,]*)?", text, re.DOTALL)
    if match is None:
        return None
    kind, subtype = match[1].lower(), match[2].lower()
    return kind if kind in _TYPES else "?", subtype if subtype in _SUBTYPES else "?"


@model("textops")
def has_body_type(world: World, kind: str) -> int:
    """1 where there is a body of this type, else -1; no Content-Type is application/sdp.

    Types that Kamailio does not know are all equal.
    """
    if not kind:
        return has_body(world)
    wanted = _mime(kind)
    if wanted is None or not _length(world):
        return -1
    header = world.msg.first("content-type")
    there = ("application", "sdp") if header is None else _mime(header.body)
    return 1 if there == wanted else -1


@model("textops", unreadable=-1)
def set_body(world: World, body: str, kind: str) -> int:
    """Send another body with this Content-Type; -1 where one of them is empty."""
    if not body or not kind:
        world.say(-1, "textops: invalid body or content-type parameter")
        return -1
    message = world.msg
    start = body_start(world)
    message.lumps[:] = [lump for lump in message.lumps if lump.offset < start]
    length = _length(world)
    if length > len(message.body):
        world.say(-1, f"textops: invalid content length: {length}")
        return -1
    if length:
        message.delete(start, length)
    inserted = "" if message.first("content-length") else f"Content-Length: {len(body)}\r\n"
    header = message.first("content-type")
    if header is None or header.body != kind:
        if header is not None:
            message.delete(header.start, header.end - header.start)
        inserted = f"Content-Type: {kind}\r\n{inserted}"
    message.insert(message.headers_end, inserted)
    message.insert(start, body)
    return 1


@model("textops")
def set_reply_body(world: World, body: str, kind: str) -> int:
    """Put a body with this Content-Type into every reply that we make."""
    if not body or not kind:
        world.say(-1, "textops: invalid body or content-type parameter")
        return -1
    world.msg.reply_lumps.append(f"Content-Type: {kind}\r\n")
    world.msg.reply_body = ("", body)
    return 1


def is_multipart(header: Header) -> bool:
    """Whether a Content-Type is multipart/mixed."""
    return _mime(header.body) == ("multipart", "mixed")


def boundary_of(header: Header) -> str | None:
    """What stands between the parts that a Content-Type tells of, with its `--`."""
    found = re.search(r";\s*boundary\s*=\s*(?:\"([^\"]*)\"|([^\s;]+))", header.body, re.I)
    return None if found is None else f"--{found[1] or found[2]}"


@model("textops", unreadable=-1)
def filter_body(world: World, kind: str) -> int:
    """Leave only the part of this type of a multipart/mixed body; -1 where there is none."""
    header, body = world.msg.first("content-type"), world.msg.body
    if header is None or not body or not is_multipart(header):
        world.say(0, "textops: body not multipart")
        return -1
    boundary = boundary_of(header)
    if boundary is None:
        return -1
    mark = re.escape(boundary)
    wanted = re.escape(kind)
    part = re.search(
        rf"^(?:Content-Type|c)[ \t]*:[ \t]*{wanted}\r\n[\r\n]*", body, re.IGNORECASE | re.MULTILINE
    )
    if part is None:
        return -1
    end = re.search(rf"\r\n(?={mark})", body[part.end() :])
    start = body_start(world)
    world.msg.delete(start, part.end())
    if end is None:
        world.say(-1, "textops: boundary not found after content")
        return -1
    cut = part.end() + end.start()
    world.msg.delete(start + cut, len(body) - cut)
    return 1


@model("textops")
def is_audio_on_hold(world: World) -> int:
    """2 where the audio is on hold by sendonly or inactive, 1 by c=0.0.0.0, else -1."""
    header = world.msg.first("content-type")
    if header is None or _mime(header.body) != ("application", "sdp"):
        return -1
    session, *streams = re.split(r"^(?=m=)", world.msg.body, flags=re.MULTILINE)
    held = _on_hold(session)
    audio = [stream for stream in streams if stream.startswith("m=audio")]
    return next((_on_hold(stream) or held for stream in audio if _on_hold(stream) or held), -1)


def _on_hold(part: str) -> int:
    if re.search(r"^a=(sendonly|inactive)\s*$", part, re.MULTILINE):
        return 2
    return 1 if re.search(r"^c=IN IP4 0\.0\.0\.0\s*$", part, re.MULTILINE) else 0


@model("textops")
def is_privacy(world: World, value: str) -> int:
    """1 where Privacy has the value, -1 where not; none counts only if it is alone."""
    header = world.msg.first("privacy")
    if header is None or value.lower() not in _PRIVACY:
        return -1
    values = [one for one in re.split(r"[; \t\r\n]+", header.body.lower()) if one]
    bad = any(one not in _PRIVACY for one in values)
    if bad or not values or ("none" in values and len(values) > 1):
        return -1
    return 1 if value.lower() in values else -1
