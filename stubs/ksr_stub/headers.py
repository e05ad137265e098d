"""Which header fields Kamailio's parser takes, and where it gives up (core/parser/msg_parser.c).

When a message comes it is read as far as the fields that every message must have; the rest when
somebody wants it. A field that can't be parsed behind those does not drop the message: all that
wants to read the headers to their end fails then.
"""

from __future__ import annotations

import re

from ksr_stub import tobody, via
from ksr_stub.message import Header, ParseError, SipMessage

_MANDATORY = frozenset({"from", "to", "call-id", "cseq", "via"})
# of a request; of a reply the first one counts
_ONCE = frozenset({"from", "to", "call-id", "cseq", "max-forwards", "content-length"})
_LOOKED_AT = _MANDATORY | _ONCE
# a fold before the method is too much for parse_cseq
_CSEQ = re.compile(r"[^ \t\r\n]+[ \t]+[^ \t\r\n]+[ \t\r\n]*")
_LENGTH = re.compile(r"0*[0-9]{1,10}[ \t\r\n]*")
_LENGTH_MAX = 2**31 - 1


def check(message: SipMessage) -> None:
    """Let the headers end before the first one that can't be parsed.

    Raises:
        ParseError: one that every message must have is not among them; such a message is dropped.
    """
    if not is_complete(message):
        raise ParseError(message.broken or "required headers not found")


def is_complete(message: SipMessage) -> bool:
    """As `check`: whether all that every message must have are there."""
    seen: set[str] = set()
    for place, header in enumerate(message.headers):
        reason = _fault(message, header, seen)
        if reason:
            message.broken = reason
            message.headers, message.body = message.headers[:place], ""
            break
        seen.add(header.key)
    return seen >= _MANDATORY


def _fault(message: SipMessage, header: Header, seen: set[str]) -> str:
    if header.key not in _LOOKED_AT:
        return ""
    if message.is_request and header.key in _ONCE and header.key in seen:
        return f"duplicate {header.name} header field"
    if header.key == "via":
        try:
            via.in_header(message, header)
        except ParseError as error:
            return str(error)
    if header.key == "to" and message.once(tobody.parse, header) is None:
        return "bad to header"
    if header.key == "cseq" and not _CSEQ.fullmatch(header.body):
        return "bad cseq header"
    return "bad content-length header" if _is_bad_length(header) else ""


def _is_bad_length(header: Header) -> bool:
    if header.key != "content-length":
        return False
    return not _LENGTH.fullmatch(header.body) or int(header.body) > _LENGTH_MAX
