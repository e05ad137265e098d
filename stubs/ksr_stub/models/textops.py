"""KSR.textops: searching and replacing text, header fields and bodies (modules/textops).

Every regular expression of KEMI is extended, without case, and matches within lines. Edits are
lumps: a second one still sees the message as it came.
"""

from __future__ import annotations

import re

from ksr_stub import pv, regex, ruri
from ksr_stub import uri as uris
from ksr_stub.message import Header
from ksr_stub.models import hdr
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


def compiled(world: World, pattern: str, *, newline: bool = True) -> re.Pattern[str] | None:
    """A pattern as KEMI compiles it; None, and a line in the log, for a bad one."""
    try:
        return regex.compiled(pattern, ignore_case=True, newline=newline)
    except regex.BadRegex as error:
        world.say(-1, f"textops: failed to compile regex: {error}")
        return None


def headers_named(world: World, name: str) -> list[Header] | None:
    """The header fields of a name, None for what can be no name."""
    if not name or not hdr.valid_name(world, name):
        return None
    return hdr.named(world.msg, name)


def _body_start(world: World) -> int:
    return len(world.msg.buf) - len(world.msg.body)


# searching


@model("textops")
def search(world: World, pattern: str) -> int:
    """1 where the message has the pattern, -1 where not; 1 for an empty pattern."""
    found = compiled(world, pattern) if pattern else None
    if not pattern:
        return 1
    return 1 if found is not None and found.search(world.msg.buf) else -1


@model("textops")
def search_body(world: World, pattern: str) -> int:
    """1 where the body has the pattern, -1 where not or without a body."""
    if not pattern:
        return 1
    found = compiled(world, pattern)
    return 1 if found is not None and world.msg.body and found.search(world.msg.body) else -1


@model("textops")
def search_str(world: World, text: str, pattern: str) -> int:
    """1 where the text has the pattern, -1 where not; 2 without a pattern, -2 without a text."""
    if not pattern:
        return 2
    found = compiled(world, pattern) if text else None
    if found is None:
        return -2
    return 1 if found.search(text) else -1


@model("textops")
def search_hf(world: World, name: str, pattern: str, flags: str) -> int:
    """1 where a header field has the pattern: any one, with `f` the first, with `l` the last."""
    fields = headers_named(world, name) if pattern else None
    found = compiled(world, pattern) if fields is not None else None
    if found is None or not fields:
        return -1
    chosen = {"f": fields[:1], "l": fields[-1:]}.get(flags[:1], fields)
    return 1 if any(found.search(one.body) for one in chosen) else -1


@model("textops")
def search_append(world: World, pattern: str, text: str) -> int:
    """Put text behind the first match in headers or body; -1 without one."""
    return _append(world, pattern, text, world.msg.first_line_end)


@model("textops")
def search_append_body(world: World, pattern: str, text: str) -> int:
    """Put text behind the first match in the body; -1 without one."""
    found = compiled(world, pattern)
    if found is None or not world.msg.body:
        return -1
    return _append(world, pattern, text, _body_start(world))


def _append(world: World, pattern: str, text: str, start: int) -> int:
    found = compiled(world, pattern)
    match = None if found is None else found.search(world.msg.buf[start:])
    if match is None:
        return -1
    world.msg.insert(start + match.end(), text)
    return 1


# replacing


def _replace(world: World, pattern: str, text: str, start: int, end: int | None = None) -> int:
    found = compiled(world, pattern)
    match = None if found is None else found.search(world.msg.buf[start:end])
    if match is None:
        return -1
    world.msg.replace(start + match.start(), match.end() - match.start(), text)
    return 1


def _replace_all(world: World, pattern: str, text: str, start: int, end: int | None = None) -> int:
    found = compiled(world, pattern)
    if found is None:
        return -1
    buf, at, result = world.msg.buf[start:end], 0, -1
    while at < len(buf):
        match = found.search(buf, at)
        if match is None:
            break
        if match.end() == match.start():
            world.say(-1, "textops: matched string is empty... invalid regexp?")
            return -1
        world.msg.replace(start + match.start(), match.end() - match.start(), text)
        at, result = match.end(), 1
    return result


@model("textops")
def replace(world: World, pattern: str, text: str) -> int:
    """Replace the first match in headers or body; -1 without one."""
    return _replace(world, pattern, text, world.msg.first_line_end)


@model("textops")
def replace_all(world: World, pattern: str, text: str) -> int:
    """Replace every match in headers and body; -1 without one, or where one is empty."""
    return _replace_all(world, pattern, text, world.msg.first_line_end)


@model("textops")
def replace_body(world: World, pattern: str, text: str) -> int:
    """Replace the first match in the body; -1 without one."""
    return _replace(world, pattern, text, _body_start(world)) if world.msg.body else -1


@model("textops")
def replace_body_all(world: World, pattern: str, text: str) -> int:
    """Replace every match in the body; -1 without one."""
    return _replace_all(world, pattern, text, _body_start(world)) if world.msg.body else -1


@model("textops")
def replace_body_atonce(world: World, pattern: str, text: str) -> int:
    """Replace every match in the body; `^` matches at its beginning only once."""
    return replace_body_all(world, pattern, text)


@model("textops")
def replace_hdrs(world: World, pattern: str, text: str) -> int:
    """Replace the first match in the headers; -1 without one."""
    return _replace(world, pattern, text, world.msg.first_line_end, world.msg.headers_end)


def _replace_str(world: World, key: str, text: str, mode: str, start: int, end: int) -> int:
    at = world.msg.buf.find(key, start, end) if key else -1
    while at >= 0:
        world.msg.replace(at, len(key), text)
        if mode[:1] in ("f", "F", ""):
            break
        at = world.msg.buf.find(key, at + len(key))
    return 1


@model("textops")
def replace_str(world: World, key: str, text: str, mode: str) -> int:
    """Replace a text in headers or body: the `f`irst or `a`ll. Returns 1, also without one."""
    start, end = world.msg.first_line_end, len(world.msg.buf)
    return _replace_str(world, key, text, mode or "a", start, end)


@model("textops")
def replace_hdrs_str(world: World, key: str, text: str, mode: str) -> int:
    """Replace a text in the headers: the `f`irst or `a`ll (the further ones in the body too)."""
    start, end = world.msg.first_line_end, world.msg.headers_end
    return _replace_str(world, key, text, mode or "a", start, end)


@model("textops")
def replace_body_str(world: World, key: str, text: str, mode: str) -> int:
    """Replace a text in the body: the `f`irst or `a`ll. Returns 1, -1 without a body."""
    if not world.msg.body:
        return -1
    return _replace_str(world, key, text, mode or "a", _body_start(world), len(world.msg.buf))


# subst


def _subst(world: World, expression: str) -> regex.Subst | None:
    try:
        return pv.subst_expression(world, expression)
    except regex.BadRegex as error:
        world.say(-1, f"textops: cannot compile subst expression: {error}")
        return None


def _replaced(world: World, subst: regex.Subst, text: str) -> list[regex.Replaced]:
    try:
        return subst.run(text)
    except regex.BadRegex as error:
        world.say(-1, f"textops: subst_run failed: {error}")
        return []


def _edit(world: World, expression: str, start: int, end: int | None = None) -> int:
    parsed = _subst(world, expression)
    found = [] if parsed is None else _replaced(world, parsed, world.msg.buf[start:end])
    for one in found:
        world.msg.replace(start + one.offset, one.length, one.text)
    return 1 if found else -1


@model("textops")
def subst(world: World, expression: str) -> int:
    """Apply `/re/repl/flags` to headers and body; -1 where nothing matches."""
    return _edit(world, expression, world.msg.first_line_end)


@model("textops")
def subst_body(world: World, expression: str) -> int:
    """Apply `/re/repl/flags` to the body; -1 where nothing matches."""
    return _edit(world, expression, _body_start(world)) if world.msg.body else -1


@model("textops")
def subst_hf(world: World, name: str, expression: str, flags: str) -> int:
    """Apply `/re/repl/flags` to header fields: `a`ll, the `f`irst or the `l`ast."""
    fields = headers_named(world, name) if expression else None
    if not fields or _subst(world, expression) is None:
        return -1
    chosen = {"f": fields[:1], "l": fields[-1:]}.get(flags[:1], fields)
    results = [
        _edit(world, expression, one.body_start, one.body_start + len(one.body)) for one in chosen
    ]
    return max(results)


def _substituted(world: World, expression: str, text: str) -> str | None:
    parsed = _subst(world, expression) if expression else None
    try:
        return None if parsed is None else parsed.apply(text)
    except regex.BadRegex as error:
        world.say(-1, f"textops: subst_run failed: {error}")
        return None


@model("textops")
def subst_uri(world: World, expression: str) -> int:
    """Apply `/re/repl/flags` to the R-URI; -1 where nothing matches."""
    result = _substituted(world, expression, world.msg.uri)
    if result is None:
        return -1
    world.msg.new_uri = result
    return 1


@model("textops")
def subst_user(world: World, expression: str) -> int:
    """Apply `/re/repl/flags` to the user of the R-URI; -1 where nothing matches."""
    parsed = uris.parse(world.msg.uri)
    result = None if parsed is None else _substituted(world, expression, parsed.user)
    return 1 if result is not None and ruri.rewrite(world, user=result) else -1


# header fields


@model("textops")
def remove_hf(world: World, name: str) -> int:
    """Take out every header field of a name. Returns 1, also without one."""
    return hdr.remove(world, name)


@model("textops")
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


@model("textops")
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


@model("textops")
def is_present_hf_re(world: World, pattern: str) -> int:
    """1 where a header's name matches, -1 where none does."""
    found = compiled(world, pattern)
    names = (header.name.rstrip(" \t") for header in world.msg.headers)
    return 1 if found is not None and any(found.search(name) for name in names) else -1


@model("textops")
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


@model("textops")
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


# bodies


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


@model("textops")
def set_body(world: World, body: str, kind: str) -> int:
    """Send another body with this Content-Type; -1 where one of them is empty."""
    if not body or not kind:
        world.say(-1, "textops: invalid body or content-type parameter")
        return -1
    message = world.msg
    start = _body_start(world)
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
    world.msg.reply_body = (kind, body)
    return 1


@model("textops")
def filter_body(world: World, kind: str) -> int:
    """Leave only the part of this type of a multipart/mixed body; -1 where there is none."""
    header, body = world.msg.first("content-type"), world.msg.body
    if header is None or not body or _mime(header.body) != ("multipart", "mixed"):
        world.say(0, "textops: body not multipart")
        return -1
    boundary = re.search(r";\s*boundary\s*=\s*(?:\"([^\"]*)\"|([^\s;]+))", header.body, re.I)
    if boundary is None:
        return -1
    mark = re.escape("--" + (boundary[1] or boundary[2]))
    wanted = re.escape(kind)
    part = re.search(
        rf"^(?:Content-Type|c)[ \t]*:[ \t]*{wanted}\r\n[\r\n]*", body, re.IGNORECASE | re.MULTILINE
    )
    if part is None:
        return -1
    end = re.search(rf"\r\n(?={mark})", body[part.end() :])
    start = _body_start(world)
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


# texts


def _order(one: str, other: str) -> int:
    return 1 if one == other else -1 if one > other else -2


@model("textops")
def cmp_str(world: World, one: str, other: str) -> int:
    """1 for equal texts, -1 where the first is greater, -2 where it is less."""
    return _order(one, other)


@model("textops")
def cmp_istr(world: World, one: str, other: str) -> int:
    """As cmp_str, without case."""
    return _order(one.lower(), other.lower())


@model("textops")
def starts_with(world: World, text: str, start: str) -> int:
    """1 where the text starts so, else -1 or -2."""
    return -1 if len(text) < len(start) else _order(text[: len(start)], start)


@model("textops")
def ends_with(world: World, text: str, end: str) -> int:
    """1 where the text ends so, else -1 or -2."""
    return -1 if len(text) < len(end) else _order(text[len(text) - len(end) :], end)


@model("textops")
def str_find(world: World, text: str, part: str) -> int:
    """Where a part begins in the text, counted from 1; -1 where it is not there."""
    if not part:
        return len(text) + 1
    return text.find(part) + 1 or -1


@model("textops")
def str_ifind(world: World, text: str, part: str) -> int:
    """As str_find, without case."""
    return text.lower().find(part.lower()) + 1 or -1


def _items(text: str, separator: str) -> list[str]:
    items = [item.strip(_SPACE) for item in text.split(separator[0])]
    return items if items[-1] else items[:-1]


@model("textops")
def in_list(world: World, item: str, text: str, separator: str) -> int:
    """1 where a list has the item, else -1; white space around items does not count."""
    if not item or not text or not separator:
        return -1
    return 1 if item in _items(text, separator) else -1


@model("textops")
def in_list_prefix(world: World, item: str, text: str, separator: str) -> int:
    """1 where the item starts with something of the list, else -1."""
    if not item or not text or not separator:
        return -1
    return 1 if any(one and item.startswith(one) for one in _items(text, separator)) else -1


@model("textops")
def regex_substring(
    world: World, text: str, pattern: str, index: int, count: int, target: str
) -> int:
    """Write a group of a match to a variable.

    Returns:
        1; -2 where the text does not match; -1 for a bad index, pattern or variable, or where the
        group is empty.
    """
    variable = pv.lookup(world, target)
    if index > count - 1 or variable is None or variable.variable.set is None:
        return -1
    try:
        match = regex.compiled(pattern, newline=False).search(text)
    except regex.BadRegex as error:
        world.say(-1, f"textops: {error}")
        return -1
    if match is None:
        return -2
    group = match[index] if 0 <= index <= match.re.groups else None
    if not group:
        return -1
    pv.put(world, target, group)
    return 1
