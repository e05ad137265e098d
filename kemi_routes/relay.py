"""Passing requests on, and what is done in their branches, replies and failures."""

from __future__ import annotations

import KSR

from kemi_routes import ambiguity, connection, identity, media, nat, our_realm, seal, settings
from kemi_routes.outcome import DONE, Outcome

BRANCH_CALLBACK = "ksr_branch_route"
REPLY_CALLBACK = "ksr_onreply_route"
FAILURE_CALLBACK = "ksr_failure_route"


def send() -> Outcome:
    """Send a request to all the branches that `locate` found."""
    KSR.tm.t_on_branch(BRANCH_CALLBACK)
    media.announce()
    return pass_on()


def pass_on() -> Outcome:
    """Relay a request statefully; what can't be sent is answered with the reason.

    Replies: 480 for one of our users whose only connection is gone (TCP, TLS, WebSocket); else,
    from tm, 477 or 478 where the next hop can't be sent to or resolved, and 500.
    """
    connection.keep()
    if not (KSR.is_ACK() or KSR.is_CANCEL()):
        KSR.tm.t_on_reply(REPLY_CALLBACK)
        if KSR.is_INVITE():
            KSR.tm.t_on_failure(FAILURE_CALLBACK)
    if KSR.tm.t_relay() < 0:
        _answer_unsent()
    return DONE


def _answer_unsent() -> None:
    if KSR.is_INVITE():
        media.failed()
    if KSR.pv.is_null("$T(id_index)"):
        KSR.sl.sl_reply_error()
    elif _calls_our_user():
        # a stateless reply would be followed by the one that tm then sends by itself
        KSR.tm.t_reply(480, "Temporarily Unavailable")


def _calls_our_user() -> bool:
    begins = KSR.siputils.has_totag() < 0 and not KSR.is_CANCEL()
    return begins and bool(KSR.is_myself(KSR.pv.gete("$ou")))


def branch() -> None:
    """Each branch goes to the alias of its own binding, with its own side of the media."""
    nat.follow_binding()
    media.branch()


def reply() -> None:
    """Each reply leads the caller to where the callee can be reached."""
    identity.discard_claims()
    our_realm.withhold_challenges()
    aliased = nat.fix_reply()
    seal.exchange(bool(KSR.isflagset(settings.active.flt_caller_ours)), aliased)
    media.reply()


def screen_reply() -> None:
    """Drop a reply to nothing that we have sent: anybody can write a Via that makes it go on. And
    one that the caller could read otherwise than we do.

    A 2xx that comes when its transaction has gone is passed on by RFC 3261 16.7, and so it is here
    in a dialog of ours. A reply with no Via but ours goes nowhere: it is for a ping.
    """
    if _ends_here():
        return
    # before tm has looked: of a reply that is dropped it keeps the transaction until this worker's
    # next request, and may send the answer to that in it
    if not ambiguity.is_clear(ambiguity.head()):
        KSR.set_drop()
    elif KSR.tm.t_check_trans() < 0:
        _screen_late_reply()


def _screen_late_reply() -> None:
    if seal.recorded():
        identity.discard_claims()
        seal.exchange(for_our_user=False, aliased=nat.fix_reply())
    else:
        KSR.set_drop()


def failure() -> None:
    """All branches have failed; a CANCEL by the caller ends here as well."""
    media.failed()


def _ends_here() -> bool:
    # the top Via is null as well where the headers can't be read, and then there may be a second
    return bool(KSR.pv.is_null("$via1(host)") and not KSR.pv.is_null("$via0(host)"))
