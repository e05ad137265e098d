"""Requests that belong to something that already exists: CANCEL, in-dialog, retransmissions."""

from __future__ import annotations

import KSR

from kemi_routes import ambiguity, guard, media, nat, our_realm, relay, seal
from kemi_routes.outcome import CONTINUE, DONE, Outcome

# Methods whose dialog goes on through us (RFC 3261 16.6: record-route what forms a dialog).
DIALOG_FORMING = "ISF"
# loose_route_mode: an R-URI with an address of ours is no sign of a strict router (RFC 2543). A
# phone in somebody's private network may well have the private address of this server.
LOOSE_ROUTERS_ONLY = 1


def cancel() -> Outcome:
    """Pass a CANCEL on to the branches of its INVITE, or answer 481 (RFC 3261 9.2)."""
    if not KSR.is_CANCEL():
        return CONTINUE
    if ambiguity.refuse() is DONE:
        return DONE  # tm passes its Reason on (RFC 3326)
    if KSR.tm.t_check_trans() > 0:
        relay.pass_on()
    else:
        KSR.sl.sl_send_reply(481, "Call/Transaction Does Not Exist")
    return DONE


def within() -> Outcome:
    """Pass a request inside a dialog along its route set (RFC 3261 16.12), following aliases.

    Replies: 481 where the dialog is none that we have routed, or where it has no such other side.
    """
    if KSR.siputils.has_totag() < 0:
        return guard.outside_dialog()
    if _follow_route() and seal.holds():
        if ambiguity.refuse() is DONE:
            return DONE
        our_realm.withhold_credentials()
        nat.remember_dialog()
        media.within_dialog()
        if KSR.is_NOTIFY():
            # it may come before the 2xx to SUBSCRIBE, and then is what makes the dialog (RFC 6665)
            _stay_on_path(for_our_user=False)
        relay.pass_on()
    elif KSR.is_ACK():
        # tm takes the ACK to a final reply of ours or of a branch; no other goes anywhere
        KSR.tm.t_check_trans()
    else:
        KSR.sl.sl_send_reply(481, "Call/Transaction Does Not Exist")
    return DONE


def refuse_tag() -> Outcome:
    """Refuse a REGISTER with a To tag: it can't be part of a dialog (RFC 3261 10.2).

    Replies: 481.
    """
    if KSR.siputils.has_totag() < 0:
        return CONTINUE
    KSR.sl.sl_send_reply(481, "Call/Transaction Does Not Exist")
    return DONE


def absorb_retransmission() -> Outcome:
    """Let tm answer what it has answered or passed on before."""
    if KSR.tmx.t_precheck_trans() > 0:
        KSR.tm.t_check_trans()
        return DONE
    return DONE if KSR.tm.t_check_trans() == 0 else CONTINUE


def record_route() -> Outcome:
    """Stay on the path of the dialog that the request forms, and forget preloaded Routes."""
    KSR.hdr.remove("Route")
    if KSR.is_method_in(DIALOG_FORMING):
        _stay_on_path(for_our_user=bool(KSR.is_myself_ruri()))
    return CONTINUE


def _follow_route() -> bool:
    if KSR.rr.loose_route_mode(LOOSE_ROUTERS_ONLY) < 0:
        return False
    nat.follow_alias()
    return True


def _stay_on_path(for_our_user: bool) -> None:
    nat.mark_dialog()
    seal.mark(for_our_user)
    KSR.rr.record_route()
