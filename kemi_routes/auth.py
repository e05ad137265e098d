"""Who is it: digest authentication against the subscriber table (RFC 3261 22, RFC 2617)."""

from __future__ import annotations

from enum import Enum

import KSR

from kemi_routes import ha1, settings
from kemi_routes.ha1 import Code
from kemi_routes.outcome import CONTINUE, DONE, Outcome

QOP_AUTH = 1
STALE = 16


class Verdict(Enum):
    """What a request with or without credentials is answered."""

    ACCEPT = "accept"
    CHALLENGE = "challenge"
    CHALLENGE_STALE = "challenge, the nonce is stale"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"


def verdict(code: int, nonce_is_good: bool) -> Verdict:
    """What follows from a return code of `auth_check`.

    Args:
        code: what `ha1.check` returned.
        nonce_is_good: whether nonce and header are in order; looked at for code -1 only. Then
            the error can't have been the request's: the database did not answer.
    """
    if code > 0:
        return Verdict.ACCEPT
    if code in (Code.STALE_NONCE, Code.NONCE_REUSED):
        return Verdict.CHALLENGE_STALE
    if code == Code.USER_MISMATCH:
        return Verdict.FORBIDDEN
    if code == Code.NO_DATABASE or (code == Code.ERROR and nonce_is_good):
        return Verdict.UNAVAILABLE
    return Verdict.CHALLENGE


def authenticate() -> Outcome:
    """Let pass who proves to be one of our users, or calls one of them from elsewhere.

    Replies: 401 or 407, 403 for a stranger's request to a stranger and for credentials of
    somebody else, 503 with Retry-After while the database does not answer.
    """
    if KSR.is_REGISTER():
        if not (KSR.is_myself_ruri() and KSR.is_myself_turi() and KSR.is_myself_furi()):
            return _refuse("Not A Domain Of This Server")
        return _check_credentials()
    if KSR.is_myself_furi():
        if _check_credentials() is DONE:
            return DONE
        KSR.auth.consume_credentials()
        return CONTINUE
    if KSR.is_myself_ruri():
        return CONTINUE
    return _refuse("Relaying Denied")


def withhold_credentials() -> None:
    """Keep the credentials for us that a phone repeats inside a dialog (RFC 3261 22.1) from the
    other phone, which could guess the password by them; those for other servers go on."""
    if KSR.hdr.is_present("Proxy-Authorization") > 0:
        realm = f'realm="{KSR.pv.gete("$fd").lower()}"'
        KSR.textops.remove_hf_match("Proxy-Authorization", "in", realm)


def database_answers() -> bool:
    """Ask the database something that it always knows."""
    return bool(KSR.sqlops.sql_query("database", "SELECT 1", "answer") >= 0)


def unavailable() -> Outcome:
    """Answer 503 with Retry-After (RFC 3261 21.5.4)."""
    KSR.hdr.append_to_reply(f"Retry-After: {settings.active.retry_after}\r\n")
    KSR.sl.sl_send_reply(503, "Service Unavailable")
    return DONE


def _check_credentials() -> Outcome:
    realm = KSR.pv.gete("$fd").lower()
    code = ha1.check(realm)
    if code > 0:
        return CONTINUE
    decision = verdict(code, nonce_is_good=code == Code.ERROR and ha1.nonce_is_good(realm))
    if code != Code.NO_CREDENTIALS:
        KSR.notice(
            f"kemi-routes: {KSR.pv.getw('$au')} from {KSR.pv.get('$si')}:{KSR.pv.get('$sp')}"
            f" not authenticated ({code}): {decision.value}\n"
        )
    if decision is Verdict.FORBIDDEN:
        return _refuse("Credentials Of Another User")
    if decision is Verdict.UNAVAILABLE:
        return unavailable()
    stale = STALE if decision is Verdict.CHALLENGE_STALE else 0
    KSR.auth.auth_challenge(realm, QOP_AUTH | stale)
    return DONE


def _refuse(reason: str) -> Outcome:
    KSR.sl.sl_send_reply(403, reason)
    return DONE
