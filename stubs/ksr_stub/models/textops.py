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
from ksr_stub.registry import model
from ksr_stub.world import World


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


def body_start(world: World) -> int:
    """Where the body begins in the buffer."""
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


@model("textops", unreadable=-1)
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
    return _append(world, pattern, text, body_start(world))


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
    return _replace(world, pattern, text, body_start(world)) if world.msg.body else -1


@model("textops")
def replace_body_all(world: World, pattern: str, text: str) -> int:
    """Replace every match in the body; -1 without one."""
    return _replace_all(world, pattern, text, body_start(world)) if world.msg.body else -1


@model("textops")
def replace_body_atonce(world: World, pattern: str, text: str) -> int:
    """Replace every match in the body; `^` matches at its beginning only once."""
    return replace_body_all(world, pattern, text)


@model("textops", unreadable=-1)
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


@model("textops", unreadable=-1)
def replace_hdrs_str(world: World, key: str, text: str, mode: str) -> int:
    """Replace a text in the headers: the `f`irst or `a`ll (the further ones in the body too)."""
    start, end = world.msg.first_line_end, world.msg.headers_end
    return _replace_str(world, key, text, mode or "a", start, end)


@model("textops")
def replace_body_str(world: World, key: str, text: str, mode: str) -> int:
    """Replace a text in the body: the `f`irst or `a`ll. Returns 1, -1 without a body."""
    if not world.msg.body:
        return -1
    return _replace_str(world, key, text, mode or "a", body_start(world), len(world.msg.buf))


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
def subst_v(world: World, text: str, expression: str, target: str) -> int:
    """Apply `/re/repl/flags` to a text and write what comes of it to a variable; -1 where nothing
    matches (new in 6.0).
    """
    variable = pv.lookup(world, target)
    if variable is None or variable.variable.set is None:
        world.say(-1, f"textops: {target} is no variable that can be written")
        return -1
    try:
        result = pv.subst_expression(world, expression).apply(text)
    except regex.BadRegex as error:
        world.say(-1, f"textops: bad subst re: {error}")
        return -1
    if result is None:
        return -1
    pv.put(world, target, result)
    return 1


@model("textops")
def subst_body(world: World, expression: str) -> int:
    """Apply `/re/repl/flags` to the body; -1 where nothing matches."""
    return _edit(world, expression, body_start(world)) if world.msg.body else -1


@model("textops", unreadable=-1)
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
