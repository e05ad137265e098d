"""What every request has to pass first, and what happens when a step fails."""

from __future__ import annotations

import functools
import re

import KSR

from kemi_routes import ambiguity
from kemi_routes.outcome import CONTINUE, DONE, Outcome

MAX_FORWARDS = 10
# Bits of the sanity module: R-URI version and scheme, required headers, CSeq method and value,
# Content-Length, Expires, Proxy-Require, URIs parse, digest, duplicate tags.
SANITY_MESSAGE = 17895 | 512
# What follows the body in a datagram is to be ignored (RFC 3261 18.3). Only a REGISTER ends here:
# relayed over TCP, what follows would be the next request.
SANITY_REGISTER = SANITY_MESSAGE & ~128
SANITY_URIS = 7
SCHEMES = frozenset({"sip", "sips", "tel", "tels", "urn"})
_SCHEME = re.compile(r"\S+ ([A-Za-z][A-Za-z0-9+.-]*):")
# They exist inside a dialog only: without a To tag they belong to nothing.
DIALOG_METHODS = frozenset({"BYE", "PRACK", "UPDATE"})
SCANNERS = (
    *("friendly-scanner", "friendly-request", "sipvicious", "sipcli", "sip-scan", "sipscan"),
    *("sundayddr", "vaxsipuseragent", "pplsip"),
)


def screen() -> Outcome:
    """Refuse what no server should route, and answer keepalives.

    Replies: 483 (RFC 3261 16.3), 400, 416 and 420 from the sanity module, 200 to a keepalive.
    """
    if drop_scanner() is DONE:
        return DONE
    if KSR.maxfwd.process_maxfwd(MAX_FORWARDS) < 0:
        KSR.sl.sl_send_reply(483, "Too Many Hops")
        return DONE
    if KSR.sanity.sanity_check(SANITY_MESSAGE, SANITY_URIS) < 0:
        return _refuse_malformed()
    if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.pv.is_null("$rU"):
        KSR.sl.sl_send_reply(200, "Keepalive")
        return DONE
    return CONTINUE


def screen_register() -> Outcome:
    """The same for a REGISTER: it goes no further, so nobody counts its hops.

    Replies: 400, 416 and 420 from the sanity module.
    """
    if KSR.sanity.sanity_check(SANITY_REGISTER, SANITY_URIS) < 0:
        return _refuse_malformed()
    return CONTINUE


def drop_scanner() -> Outcome:
    """Leave without an answer what says that it is a scanner."""
    return DONE if is_scanner(ambiguity.text("$ua")) else CONTINUE


# phones have few names, and who sends many fills 128 places, with 8 MB at most
@functools.lru_cache(maxsize=128)
def is_scanner(agent: str) -> bool:
    """Whether a User-Agent is one of those that only look for servers to attack."""
    return any(name in agent.lower() for name in SCANNERS)


def outside_dialog() -> Outcome:
    """Answer requests that make no sense without a dialog (RFC 3261 12.2.2: 481)."""
    if KSR.is_ACK():
        return DONE
    if KSR.pv.gete("$rm") in DIALOG_METHODS:
        KSR.sl.sl_send_reply(481, "Call/Transaction Does Not Exist")
        return DONE
    return CONTINUE


def fault(step: str, error: Exception) -> None:
    """Log a step that failed, and answer the request where nobody has yet.

    Args:
        step: the step or callback, as `module.function`.
        error: what it raised; bytes that are no text (RFC 3261 7) are answered with 400,
            everything else with 500.
    """
    cause = error.__cause__ or error
    KSR.err(f"kemi-routes: {step} failed: {cause!r} Call-ID={_call_id()}\n")
    if KSR.is_ACK() or KSR.siputils.is_reply() > 0 or not KSR.pv.is_null("$T(id_index)"):
        return
    if is_no_text(cause):
        KSR.sl.sl_send_reply(400, "Bad Request (not UTF-8)")
    else:
        KSR.sl.sl_send_reply(500, "Server Internal Error")


def is_no_text(cause: BaseException) -> bool:
    """Whether an error says that a header has bytes which no header may have: no UTF-8, or a NUL
    (RFC 3261 25.1), which Python hands to no function of Kamailio."""
    return isinstance(cause, UnicodeDecodeError) or cause.args == ("embedded null character",)


def _refuse_malformed() -> Outcome:
    # sanity answers 400 to a scheme that Kamailio can't parse; RFC 3261 8.2.2.1 wants 416
    named = _SCHEME.match(KSR.pv.getw("$(mb{line.at,0})"))
    if named and named[1].lower() not in SCHEMES:
        KSR.sl.sl_send_reply(416, "Unsupported URI Scheme")
    else:
        KSR.sanity.sanity_reply()
    return DONE


def _call_id() -> str:
    try:
        return str(KSR.pv.getw("$ci")).replace("\0", "\\0")
    except UnicodeDecodeError:
        return str(KSR.pv.getw("$(ci{s.encode.hexa})"))
