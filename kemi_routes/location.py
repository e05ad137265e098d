"""Where is the called user: the bindings of an address of record (RFC 3261 16.5)."""

from __future__ import annotations

from collections.abc import Iterable

import KSR

from kemi_routes import auth, nat, patience, settings
from kemi_routes.outcome import CONTINUE, Outcome
from kemi_routes.replies import answer

# Return codes of registrar.lookup.
NOT_FOUND = -1
METHOD_NOT_ALLOWED = -2
# auth_db.is_subscriber: match the domain too (1), load no columns (2).
WITH_DOMAIN_ONLY_ASK = 3
NO_SUBSCRIBER = -2

PROFILE = "called"
# usrloc keeps the Allow of a binding as these bits, the first one is 1.
METHODS = (
    *("INVITE", "CANCEL", "ACK", "BYE", "INFO", "REGISTER", "SUBSCRIBE"),
    *("NOTIFY", "MESSAGE", "OPTIONS", "PRACK", "UPDATE", "REFER", "PUBLISH"),
)


def locate() -> Outcome:
    """Turn the R-URI into the bindings of the called user; several are forked to in parallel.

    Replies: 484 without a user part, 405 where no phone takes the method, 480 for a subscriber
    without a binding, 404 for an unknown user, 503 while the database can't tell which.
    """
    if not KSR.is_myself_ruri():
        # one of our users calls a Contact that a transfer gave it (RFC 3515, RFC 3891)
        nat.follow_alias()
        return CONTINUE
    if KSR.pv.is_null("$rU"):
        return answer(484, "Address Incomplete")
    code = patience.hold(
        KSR.pv.gete("$rU"), lambda: int(KSR.registrar.lookup(settings.active.location_table))
    )
    if code is None:
        return auth.unavailable()
    if code > 0:
        return CONTINUE
    if code == METHOD_NOT_ALLOWED:
        return _answer_not_allowed()
    if code != NOT_FOUND:
        return answer(500, "Server Internal Error")
    return _answer_offline()


def allow(bindings: Iterable[int]) -> str:
    """The Allow header's value (RFC 3261 20.5) for phones that take these methods together.

    Args:
        bindings: the methods of each binding, as usrloc's bits.
    """
    together = 0
    for methods in bindings:
        together |= methods
    return ", ".join(name for bit, name in enumerate(METHODS) if together >> bit & 1)


def _answer_not_allowed() -> Outcome:
    KSR.registrar.reg_fetch_contacts(settings.active.location_table, KSR.pv.get("$ru"), PROFILE)
    count = KSR.pv.getvn(f"$ulc({PROFILE}=>count)", 0)
    taken = allow(KSR.pv.getvn(f"$(ulc({PROFILE}=>methods)[{i}])", 0) for i in range(count))
    KSR.hdr.append_to_reply(f"Allow: {taken}\r\n")
    return answer(405, "Method Not Allowed")


def _answer_offline() -> Outcome:
    uri = f"sip:{KSR.pv.gete('$rU')}@{KSR.pv.gete('$rd')}"
    table = settings.active.subscriber_table
    code = patience.ask(
        lambda: int(KSR.auth_db.is_subscriber(uri, table, WITH_DOMAIN_ONLY_ASK)),
        failed=lambda code: code < 0 and code != NO_SUBSCRIBER,
    )
    if code is not None and code > 0:
        return answer(480, "Temporarily Unavailable")
    if code == NO_SUBSCRIBER:
        return answer(404, "Not Found")
    return auth.unavailable()
