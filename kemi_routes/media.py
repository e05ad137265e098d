"""Media through rtpengine, where one is configured: offer, answer and delete by direction.

rtpengine_manage is not used: on a refused re-INVITE, and on one busy branch of a forked call, it
deletes the session that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

import KSR

from kemi_routes import settings

# port-latching: a refused re-INVITE with another port (a fax) must not move the relay's
# own. via-branch: each phone of a forked call has its own offer, and its early answer stays apart.
ALWAYS = "replace-origin replace-session-connection port-latching via-branch=auto-next"
_ICE = {"keep": "", "force": " ICE=force", "remove": " ICE=remove"}
# where the request of a transaction has arrived, for a reply that is an offer
_ARRIVED = "$avp(kemi_arrived)"


def flags(ice: str, *, has_ice: bool) -> str:
    """The flags of an offer or answer.

    Args:
        ice: `keep`, `force` or `remove`: what becomes of ICE candidates.
        has_ice: the SDP has candidates. Where they are kept the relay adds itself with a low
            priority: media would not match the SDP's address otherwise (RFC 8839 4.2.5).
    """
    return ALWAYS + (" ICE=optional" if ice == "keep" and has_ice else _ICE[ice])


def announce() -> None:
    """Before a request has branches: let its replies know whether it has the offer."""
    if settings.active.rtpengine is None or not KSR.is_method_in("IU"):
        return
    if _has_sdp():
        KSR.setflag(settings.active.flt_sdp_offered)
    elif settings.active.rtp_interface is not None:
        KSR.pv.sets(_ARRIVED, KSR.pv.gete("$Ri"))


def branch() -> None:
    """A branch of a new call: its phone may be in another network than the caller."""
    offer(_direction(_leaves_from()) if settings.active.rtp_interface else "")


def offer(more: str = "") -> None:
    """A request that leaves for a phone: its SDP is an offer, in ACK and PRACK an answer.

    Args:
        more: flags for the two sides of a new call; within a dialog rtpengine knows its networks.
    """
    if settings.active.rtpengine is None or not _has_sdp():
        return
    if KSR.is_method_in("IU"):
        _check(int(KSR.rtpengine.rtpengine_offer(_flags() + more)))
    elif KSR.is_method_in("AE"):
        _check(int(KSR.rtpengine.rtpengine_answer(_flags())))


def within_dialog() -> None:
    """A request inside a dialog: BYE ends the media session, others may carry SDP."""
    if settings.active.rtpengine is not None and KSR.is_BYE():
        KSR.rtpengine.rtpengine_delete0()
    else:
        announce()
        offer()


def reply() -> None:
    """SDP in a reply answers the request's offer, or is the offer itself (RFC 3261 13.2.1)."""
    if settings.active.rtpengine is None or not _has_sdp():
        return
    if KSR.isflagset(settings.active.flt_sdp_offered):
        _check(int(KSR.rtpengine.rtpengine_answer(_flags())))
    else:
        more = _direction(KSR.pv.gete(_ARRIVED)) if settings.active.rtp_interface else ""
        _check(int(KSR.rtpengine.rtpengine_offer(_flags() + more)))


def failed() -> None:
    """A call that never began needs no media session."""
    if settings.active.rtpengine is not None and KSR.siputils.has_totag() < 0:
        KSR.rtpengine.rtpengine_delete0()


def _flags() -> str:
    return flags(settings.active.media_ice, has_ice=KSR.textops.search_body("a=ice-ufrag:") > 0)


def direction(interfaces: Mapping[str, str], *sides: str) -> str:
    """The flags that name rtpengine's interfaces towards both sides.

    Args:
        interfaces: their names by address.
        sides: our address that the offer has reached, and the one that it leaves from.
    Returns:
        The flags; "" where one of the two is unknown, and rtpengine takes its first.
    """
    names = [interfaces.get(address.strip("[]")) for address in sides]
    return "".join(f" direction={name}" for name in names) if all(names) else ""


def _direction(leaves: str) -> str:
    return direction(settings.active.rtp_interface or {}, KSR.pv.gete("$Ri"), leaves)


def _leaves_from() -> str:
    # the socket on which the phone has registered, such as udp:192.0.2.1:5060
    return str(KSR.pv.gete("$fs")).partition(":")[2].rpartition(":")[0]


def _has_sdp() -> bool:
    return bool(KSR.textops.has_body_type("application/sdp") > 0)


def _check(code: int) -> None:
    if code < 0:
        KSR.warn("kemi-routes: rtpengine did not answer, the call goes on without it\n")
