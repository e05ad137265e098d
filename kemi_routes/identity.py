"""Who a request says that its caller is: in From, where a name of ours takes credentials, and in
other headers, which are believed from trusted peers only (RFC 3325).

Phones show these headers, gateways bill by them, and anybody can write them. Within a trust domain
they say something; from phones and strangers they don't, so they end here.
"""

from __future__ import annotations

import functools
import ipaddress
import re

import KSR

from kemi_routes import ambiguity, place, settings
from kemi_routes.outcome import CONTINUE, Outcome

# `Privacy` is a wish of the caller and stays; `Identity` (RFC 8224) is signed and stays.
CLAIMS = (
    "P-Asserted-Identity",  # RFC 3325
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",  # RFC 5806
    "History-Info",  # RFC 7044
    "P-Access-Network-Info",  # RFC 7315
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Visited-Network-ID",
    "P-Asserted-Service",  # RFC 6050
    "P-Served-User",  # RFC 5502
)
# How lines begin that may be one of them: hardly any message has such a line.
_CLAIM = re.compile(r"\n(?:P-|Remote-Party-ID|Diversion|History-Info)", re.IGNORECASE)


def discard_claims() -> Outcome:
    """Remove what a request, or the reply to one, claims without being a trusted peer's."""
    if settings.active.trusted_peers and is_trusted(KSR.pv.gete("$si")):
        if _wants_privacy():
            # our phones are outside of the trust domain (RFC 3325 7)
            KSR.hdr.remove("P-Asserted-Identity")
        return CONTINUE
    message = ambiguity.text("$mb")
    # '' is one too long to be looked at
    if not message or _CLAIM.search(message):
        for name in CLAIMS:
            KSR.hdr.remove(name)
    return CONTINUE


def claims_our_domain() -> bool:
    """Whether From is in one of our domains, however it is written.

    KSR.is_myself_furi knows a scheme in lower case only, and no dot at the end of a domain.
    """
    if KSR.is_myself(KSR.pv.gete("$fu").lower()):
        return True
    domain = KSR.pv.gete("$fd")
    return domain.endswith(".") and bool(KSR.is_myself(f"sip:{domain.rstrip('.')}"))


@functools.lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Whether an IP address is that of a trusted peer (TRUSTED_PEERS)."""
    peer = ipaddress.ip_address(address.strip("[]"))
    return any(peer in network for network in settings.active.trusted_peers or ())


def _wants_privacy() -> bool:
    wishes = place.bodies("Privacy").lower().replace(",", ";").split(";")
    return "id" in (wish.strip() for wish in wishes)
