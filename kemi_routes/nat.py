"""Phones behind NAT: see them, remember their public address, and find them again.

The public address and port of a phone travel in its Contact as `;alias=ip~port~transport`
(nathelper). Whoever sends to that Contact through us reaches the hole that the phone opened.
"""

from __future__ import annotations

import KSR

from kemi_routes import contact_policy, place, seal, settings
from kemi_routes.outcome import CONTINUE, Outcome
from kemi_routes.registration import Registration

# nat_uac_test on a reply: its Via is ours, only the Contact tells (bit 1: it is private).
PRIVATE_CONTACT = 1
REDIRECTION = 300
# is_first_hop_mode: our Record-Route may have a name (ADVERTISE), not only an address.
HOST_NAMES_TOO = 1
_NATED = ";nat=yes"


def find_registrant(asked: Registration) -> Outcome:
    """Give the Contact of a REGISTER from behind NAT its alias.

    A REGISTER with a Path has passed an edge proxy that knows the phone better than we can
    (RFC 3327).
    """
    if not asked.has_path and (_is_nated() or contact_policy.needs_alias(asked)):
        # without one, `received` leads to the phone as well
        alias_binding(with_alias=contact_policy.takes_alias(asked))
    return CONTINUE


def alias_binding(*, with_alias: bool = True) -> None:
    """Give the Contact of a REGISTER its alias, and mark the binding: its phone is behind NAT."""
    if with_alias:
        KSR.nathelper.set_contact_alias_trim()
    # pings go to the received address of a binding; its Contact's host is private
    KSR.nathelper.fix_nated_register()
    KSR.setbflag(settings.active.flb_nated)


def find_caller() -> Outcome:
    """Give the Contact of a phone behind NAT its alias, at the first hop only."""
    if KSR.siputils.is_first_hop() > 0 and _set_alias(_is_nated()):
        KSR.setflag(settings.active.flt_caller_nated)
    return CONTINUE


def follow_alias() -> None:
    """Send a request to the alias in its R-URI, unless a Route says otherwise."""
    if not KSR.isdsturiset():
        KSR.nathelper.handle_ruri_alias()
        _keep_to_open_connections()


def follow_binding() -> None:
    """In a branch: send to the alias of a binding that we found behind NAT."""
    if not KSR.isbflagset(settings.active.flb_nated):
        return
    KSR.nathelper.handle_ruri_alias()
    _keep_to_open_connections()
    if not KSR.isflagset(settings.active.flt_caller_nated):
        KSR.rr.add_rr_param(_NATED)


def fix_reply() -> bool:
    """Give the Contact in a phone's reply its alias; in a 3xx it is somebody else's address.

    Returns:
        Whether it has got one.
    """
    if KSR.pv.getvn("$rs", 0) >= REDIRECTION or KSR.is_myself_suri():
        return False
    if KSR.siputils.is_first_hop_mode(HOST_NAMES_TOO) < 0:
        return False
    nated = (
        KSR.isbflagset(settings.active.flb_nated) or KSR.nathelper.nat_uac_test(PRIVATE_CONTACT) > 0
    )
    return _set_alias(nated)


def mark_dialog() -> None:
    """Let in-dialog requests know that the caller is behind NAT."""
    if KSR.isflagset(settings.active.flt_caller_nated):
        KSR.rr.add_rr_param(_NATED)


def remember_dialog() -> None:
    """In-dialog: the Record-Route says that a phone behind NAT takes part."""
    if any(_NATED in uri and seal.PARAMETER in uri for uri in place.uris(place.bodies("Route"))):
        KSR.setbflag(settings.active.flb_nated)


def _is_nated() -> bool:
    return bool(KSR.nathelper.nat_uac_test(settings.active.nat_test) > 0)


def _set_alias(nated: bool) -> bool:
    """Give a Contact the alias of its source; one that it brings is not what we have seen."""
    brought = KSR.pv.gete("$ct").count(";alias=")
    if brought > 1 or (brought and not nated):
        KSR.textops.replace_hdrs_str(";alias=", ";no-alias=", "all")
        return False
    if nated:
        KSR.nathelper.set_contact_alias_trim()
    return nated


def _keep_to_open_connections() -> None:
    # Behind NAT the phone's own connection is the only one: a new one would never arrive.
    if KSR.pv.gete("$du").find(";transport=") > 0:
        KSR.set_forward_no_connect()
