"""KSR.textops: bodies of several parts (modules/textops; RFC 2046 5.1)."""

from __future__ import annotations

import re

from ksr_stub import build, pv
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header
from ksr_stub.models.textops import body_start
from ksr_stub.models.textops_headers import boundary_of, is_multipart
from ksr_stub.registry import model
from ksr_stub.world import World

_TYPE_LINE = re.compile(r"^(?:Content-Type|c)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_DELIMITER = re.compile(r"[^;]*;[ \t]*boundary[ \t]*=[ \t]*(.+)", re.IGNORECASE | re.DOTALL)
_LONGEST_HEADER = 128


@model("textops")
def set_body_multipart_mode(world: World) -> int:
    """Make the body the one part of a multipart/mixed body; 1, -1 without a body."""
    return set_body_multipart(world, "", "", "")


@model("textops")
def set_body_multipart_boundary(world: World, boundary: str) -> int:
    """As set_body_multipart_mode, with a boundary."""
    return set_body_multipart(world, "", "", boundary)


@model("textops")
def set_body_multipart_content(world: World, text: str, kind: str) -> int:
    """Replace the body by a multipart/mixed one with one part."""
    return set_body_multipart(world, text, kind, "")


@model("textops")
def set_body_multipart(world: World, text: str, kind: str, boundary: str) -> int:
    """Replace the body by a multipart/mixed one with one part.

    Args:
        world: its message is changed.
        text: the part, '': what the body is now.
        kind: its type, '': text/plain, or what Content-Type says of the body.
        boundary: '': `unique-boundary-1`.
    Returns:
        1, also where the body is multipart/mixed and there is no text; -1 without a body, or for a
        boundary that is too long or starts with a minus.
    """
    message = world.msg
    header = message.first("content-type")
    converts = header is None or not is_multipart(header)
    if not converts and not text:
        return 1
    if not message.has_empty_line:
        return -1
    message.lumps = [lump for lump in message.lumps if lump.offset <= message.headers_end]
    if message.body:
        message.delete(body_start(world), len(message.body))
    if not text:
        text = message.body
        kind = kind or "text/plain" if header is None else header.body
    part = _part(text, kind or "text/plain", "", boundary or "unique-boundary-1", first=True)
    if not text or not part:
        world.say(0, "textops: no body to be set in the message")
        return -1
    if not _change_headers(world, len(part), boundary or "unique-boundary-1", converts):
        return -1
    message.insert(body_start(world), part)
    _mark(world)
    return 1


def _change_headers(world: World, length: int, boundary: str, converts: bool) -> bool:
    message = world.msg
    counted = ""
    if message.first("content-length") is None:
        counted = f"Content-Length: {length}\r\n"
    if not converts:
        message.insert(message.headers_end, counted)
        return True
    former = message.first("content-type")
    if former is not None:
        message.delete(former.start, former.end - former.start)
    line = f'Content-Type: multipart/mixed;boundary="{boundary}"\r\n'
    if len(line) >= _LONGEST_HEADER:
        world.say(-1, "textops: failed to build new content type")
        message.insert(message.headers_end, counted)
        return False
    message.insert(message.headers_end, f"{line}{counted}Mime-Version: 1.0\r\n")
    return True


def _part(text: str, kind: str, disposition: str, boundary: str, *, first: bool) -> str:
    """A part with the boundary behind it, the first with one before; '' where it can't be."""
    if not text or not kind or boundary.startswith("-"):
        return ""
    lines = [f"--{boundary}\r\n"] if first else []
    lines.append(f"Content-Type: {kind}\r\n")
    if disposition:
        lines.append(f"Content-Disposition: {disposition}\r\n")
    lines += ["\r\n", text]
    if not text.endswith("\r\n\r\n"):
        lines.append("\r\n")
    return "".join([*lines, f"--{boundary}\r\n"])


@model("textops")
def append_body_part(world: World, text: str, kind: str) -> int:
    """Put a part of that type behind the others; 1, -1 where the body is no multipart one."""
    return append_body_part_cd(world, text, kind, "")


@model("textops")
def append_body_part_cd(world: World, text: str, kind: str, disposition: str) -> int:
    """As append_body_part, with a Content-Disposition."""
    message = world.msg
    if not text or not kind or not message.body:
        return -1
    header = message.first("content-type")
    if header is None:
        raise world.fault(_without_type())
    found = _DELIMITER.fullmatch(header.body)
    boundary = "" if found is None else found[1]
    if boundary[:1] in ("'", '"') and boundary:
        boundary = boundary[1:-1] if boundary[-1] == boundary[0] else ""
    part = _part(text, kind, disposition, boundary, first=False)
    if not boundary or not part:
        world.say(-1, "textops: Cannot get boundary. Is body multipart?")
        return -1
    message.insert(len(message.buf), part)
    _mark(world)
    return 1


def _without_type() -> Unpredictable:
    return Unpredictable(
        "without a Content-Type, or with one that has parameters but no boundary, this ends"
        " Kamailio 5.6.3, at the latest when it sends the request"
    )


@model("textops")
def append_body_part_hex(world: World, text: str, kind: str) -> int:
    """As append_body_part, with a text in hexadecimal."""
    return append_body_part_hex_cd(world, text, kind, "")


@model("textops")
def append_body_part_hex_cd(world: World, text: str, kind: str, disposition: str) -> int:
    """As append_body_part_hex, with a Content-Disposition; -1 for what is not hexadecimal."""
    if re.fullmatch(r"(?:[ \t]*[0-9a-fA-F]{2})+[ \t]*", text) is None:
        world.say(-1, f"textops: invalid input hex data [{text}]")
        return -1
    digits = re.sub(r"[ \t]", "", text)
    return append_body_part_cd(world, bytes.fromhex(digits).decode("latin-1"), kind, disposition)


def _boundary(header: Header) -> str | None:
    """What stands between the parts, '' where none is named, None without any parameters."""
    return (boundary_of(header) or "") if ";" in header.body else None


def _mark(world: World) -> None:
    """Let the boundaries be put right; what hangs Kamailio then is refused here."""
    message = world.msg
    header = message.first("content-type")
    if message.is_request and (header is None or _boundary(header) == ""):
        raise world.fault(_without_type())
    build.mark_multipart(message)


def _found(world: World, kind: str, boundary: str) -> tuple[int, int, int, int] | None:
    """Where a part is in the body: its type's line, what follows it, its boundary, the end."""
    body = world.msg.body
    for line in _TYPE_LINE.finditer(body):
        rest = len(body) - line.end()
        if rest <= len(kind) + 2:
            return None
        if body[line.end() : line.end() + len(kind)].lower() != kind.lower():
            continue
        content = line.end() + len(kind) + 2
        if body[content - 2 : content] != "\r\n":
            world.say(-1, "textops: no CRLF found after content type")
            return None
        mark = re.compile(f"(?:^|(?<=\r\n)){re.escape(boundary)}").search(body[content:])
        if mark is None or (body[content:].startswith(boundary) and mark.start()):
            return None
        stop = content + mark.start()
        newline = body.find("\r\n", stop + len(boundary))
        return line.start(), content, stop, len(body) if newline < 0 else newline + 2
    return None


@model("textops")
def remove_body_part(world: World, kind: str) -> int:
    """Take the first part of that type out; 1, -1 where there is none."""
    message = world.msg
    if not message.body:
        return -1
    header = message.first("content-type")
    if header is None:
        raise world.fault(_without_type())
    boundary = _boundary(header)
    found = None if boundary is None else _found(world, kind, boundary)
    if found is None:
        return -1
    message.delete(body_start(world) + found[0], found[3] - found[0])
    _mark(world)
    return 1


@model("textops")
def get_body_part(world: World, kind: str, target: str) -> int:
    """Write what follows the type of the first part of that type to a variable; 1 or -1.

    A body that is not of several parts is written whole.
    """
    return _get(world, kind, target, raw=False)


@model("textops")
def get_body_part_raw(world: World, kind: str, target: str) -> int:
    """As get_body_part, from the line with the type to the boundary behind the part."""
    return _get(world, kind, target, raw=True)


def _get(world: World, kind: str, target: str, *, raw: bool) -> int:
    spec, message = pv.lookup(world, target), world.msg
    if spec is None or not message.body:
        return -1
    header = message.first("content-type")
    if header is None or spec.variable.set is None:
        raise world.fault(_without_type())
    boundary = _boundary(header)
    if boundary is None:
        pv.put(world, target, message.body)
        return 1
    found = _found(world, kind, boundary)
    if found is None:
        return -1
    start, end = (found[0], found[3]) if raw else (found[1], found[2])
    pv.put(world, target, message.body[start:end])
    return 1
