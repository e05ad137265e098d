"""Where a phone may be called: at the address that it registers from.

A binding is an order to send every call to a place. A phone that could name any place would aim us
at whomever it likes, so the place is the one that the REGISTER came from: as its alias, or because
its Contact says the same. CONTACT_ELSEWHERE believes what phones say.
"""

from __future__ import annotations

import functools
import ipaddress
import re

import KSR

from kemi_routes import identity, place, settings
from kemi_routes.contacts import Contact
from kemi_routes.outcome import CONTINUE, Outcome
from kemi_routes.registration import Registration
from kemi_routes.replies import answer
from kemi_routes.variables import NULL

_URI = re.compile(
    r"sips?:(?:[^@]*@)?(?P<host>\[[^\]]*\]|[^@:;?]+)(?::(?P<port>\d+))?(?:[;?][^@]*)?",
    re.IGNORECASE,
)
_ALIAS = re.compile(r";alias=([^;?]*)", re.IGNORECASE)


def refuse(asked: Registration, given: list[Contact]) -> Outcome:
    """Refuse to bind what leads to somebody else.

    Replies: 400 for an impossible Contact, 403 for one or a Path at another address.

    Args:
        asked: the REGISTER.
        given: its Contacts; what is to be removed may be anywhere.
    """
    contacts = [contact for contact in given if not contact.removes]
    if not contacts:
        return CONTINUE
    believed = settings.active.contact_elsewhere
    nated = KSR.isbflagset(settings.active.flb_nated)  # and then there is no Path
    for contact in contacts:
        if reason := fault(contact.uri):
            return answer(400, reason)
        if not believed and _leads_away(contact.uri, asked, nated, len(given) == 1):
            return answer(403, "Contact At Another Address")
        if contact.has_received and not (believed or identity.is_trusted(asked.claim.source)):
            # a proxy says so where the phone is, and usrloc believes it more than the source
            return answer(403, "Contact At Another Address")
    if asked.has_path and not (believed or nated) and _path_leads_away(asked.claim.source):
        return answer(403, "Path Of Another Address")
    return CONTINUE


def needs_alias(asked: Registration) -> bool:
    """Whether the first Contact of a REGISTER names another address than the one it comes from."""
    if settings.active.contact_elsewhere or asked.contact == NULL:
        return False
    uri = KSR.pv.gete("$(ct{nameaddr.uri})")
    host = host_of(uri)
    return bool(host) and (host != asked.claim.source or ";alias=" in uri)


def takes_alias(asked: Registration) -> bool:
    """Whether nathelper can give the Contact an alias: it would put that behind the headers of a
    URI, where it is no parameter."""
    return "?" not in asked.contact


def fault(uri: str) -> str:
    """What makes a Contact impossible, '' for a good one.

    Args:
        uri: of a Contact that is to be bound.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        return "Contact Is No SIP URI"
    host, port = found.groups()
    if port and not 0 < int(port) < 65536:
        return "Contact Has An Impossible Port"
    if _is_nobodys(host):
        return "Contact Has An Impossible Address"
    before, *aliases = uri.lower().split(";alias=")
    # one, among the parameters: in the user or in headers Kamailio would not follow it
    if len(aliases) > 1 or (aliases and ("?" in before or "@" in aliases[0])):
        return "Contact Has An Impossible Alias"
    return ""


@functools.lru_cache(maxsize=256)
def _is_nobodys(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    # 240.0.0.0/4 with 255.255.255.255; no such range is in use in IPv6
    reserved = address.version == 4 and address.is_reserved
    return address.is_unspecified or address.is_multicast or reserved


def host_of(uri: str) -> str:
    """The host of a URI in lower case without brackets, '' where it has none."""
    found = _URI.fullmatch(uri)
    return found["host"].strip("[]").lower() if found else ""


def _leads_away(uri: str, asked: Registration, nated: bool, alone: bool) -> bool:
    alias, source = _ALIAS.search(uri), asked.claim.source
    if nated:
        # Calls go to the alias, else to the source as `received`. nathelper replaces one alias: of
        # several Contacts, on Kamailio 5.6 that of the last.
        if alias is None or (alone and takes_alias(asked)):
            return False
        return alias[1].partition("~")[0].strip("[]") != source
    if asked.has_path:
        return False
    # without NAT nobody follows an alias
    return alias is not None or host_of(uri) != source or bool(KSR.is_myself(uri))


def _path_leads_away(source: str) -> bool:
    path = place.bodies("Path")
    # a display name may have a URI in it, and is nothing that a proxy needs
    first = next(iter(place.uris(path)), "") if path.startswith("<") else ""
    if host_of(first) == source and not KSR.is_myself(first):
        return False
    return not identity.is_trusted(source)
