"""Messages that the next server could read otherwise than Kamailio does.

Kamailio passes a message on as it came. What it takes for one header, another parser may take for
two, or the other way round: so a header can be smuggled past our checks. RFC 3261 allows white
space before the colon (7.3.1, 25.1) and folded lines (7.3.1), so these go on as they are.
"""

from __future__ import annotations

import KSR

from kemi_routes.outcome import CONTINUE, DONE, Outcome

MAX_SIZE = 32000  # bytes; the longest that Kamailio's transformations take as well


def refuse() -> Outcome:
    """Refuse a request that must not be passed on as it is.

    Replies: 513 (RFC 3261 21.5.7), 400 for an ambiguous one; nothing to an ACK.
    """
    if KSR.pv.getvn("$ml", 0) > MAX_SIZE:
        return _answer(513, "Message Too Large")
    if not is_clear(head()):
        return _answer(400, "Bad Line End Or NUL")
    return CONTINUE


def head() -> str:
    """The message without the empty line and the body."""
    return text("$mb").partition("\r\n\r\n")[0]


def is_clear(head: str) -> bool:
    """Whether all parsers see the same lines: they end with CRLF, and there is no other CR or LF.

    A header that there may be only once Kamailio's own parser refuses to see twice.

    Args:
        head: a message, without the empty line and the body.
    """
    lines = head.count("\r\n")
    return lines == head.count("\r") == head.count("\n") and "\0" not in head


def text(variable: str) -> str:
    """A pseudo-variable, byte for byte where it is no UTF-8.

    Args:
        variable: such as `$mb`; '' where it is null.
    """
    try:
        return KSR.pv.gete(variable)
    except UnicodeDecodeError:
        name = variable.removeprefix("$")
        return bytes.fromhex(KSR.pv.gete(f"$({name}{{s.encode.hexa}})")).decode("latin-1")


def _answer(code: int, reason: str) -> Outcome:
    if not KSR.is_ACK():
        KSR.sl.sl_send_reply(code, reason)
    return DONE
