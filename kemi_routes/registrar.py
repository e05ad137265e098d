"""REGISTER: one phone is one binding (RFC 3261 10, RFC 3327, RFC 5626)."""

from __future__ import annotations

import re
from typing import NamedTuple

import KSR

from kemi_routes import auth, connection, contact_policy, patience, settings
from kemi_routes.outcome import DONE, Outcome

PROFILE = "phone"
LONGEST = 2**32 - 1  # seconds (RFC 3261 20.19)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_VALUE = re.compile(r"(?:<[^>]*>|[^,<])+")
_BRACKETED = re.compile(r"<([^>]*)>(.*)", re.DOTALL)
_ALIAS = re.compile(r";alias=[^;?]*")
_EXPIRES = re.compile(r";\s*expires\s*=\s*(\d+)", re.IGNORECASE)
_RECEIVED = re.compile(r";\s*received\b", re.IGNORECASE)


class Contact(NamedTuple):
    """A Contact of a REGISTER: its URI, whether it is to be removed, and whether it has the
    parameter `received`, which usrloc takes for the address to send to."""

    uri: str
    removes: bool
    has_received: bool = False


class Binding(NamedTuple):
    """A stored Contact: usrloc's id of it, its URI, and the CSeq of the REGISTER that made it."""

    ruid: str
    uri: str
    cseq: int


def register() -> Outcome:
    """Store the bindings of a REGISTER; `save` sends the reply, on failure too.

    Replies: 400 to a REGISTER that a later one of the same phone has overtaken (RFC 3261 10.3),
    to an Expires of more than 32 bits, which Kamailio would take for a short one, and to a Contact
    that can't be; 403 to one that leads to somebody else; 503 while usrloc is stuck with the
    bindings.
    """
    expires = KSR.pv.gete("$hdr(Expires)").strip()
    if expires.isdigit() and int(expires) > LONGEST:
        KSR.sl.sl_send_reply(400, "Expires Out Of Range")
        return DONE
    headers = _contact_headers()
    to_bind = [contact for contact in all_contacts(headers, expires) if not contact.removes]
    received = any(contact.has_received for contact in to_bind)
    if contact_policy.refuse([contact.uri for contact in to_bind], received) is DONE:
        return DONE
    if patience.hold(KSR.pv.gete("$tU"), lambda: _store(headers, expires)) is None:
        return auth.unavailable()
    return DONE


def asked_contacts(headers: list[str], expires: str) -> list[Contact]:
    """The Contacts of a REGISTER that are matched by Call-ID.

    A phone with `+sip.instance` is matched by that (RFC 5626), in registrar itself.

    Args:
        headers: the bodies of the Contact headers.
        expires: the Expires header's body, '' where there is none.
    Returns:
        [] for a query, for `*`, and where one of them has a `+sip.instance`.
    """
    if any("+sip.instance" in _QUOTED.sub("", header) for header in headers):
        return []
    return all_contacts(headers, expires)


def all_contacts(headers: list[str], expires: str) -> list[Contact]:
    """All Contacts of a REGISTER.

    Args:
        headers: the bodies of the Contact headers.
        expires: the Expires header's body, '' where there is none.
    Returns:
        [] for a query and for `*`.
    """
    bare = [_QUOTED.sub("", header) for header in headers]
    if any(header.strip() == "*" for header in bare):
        return []
    return [
        _contact(value.strip(), expires.strip())
        for header in bare
        for value in _VALUE.findall(header)
        if value.strip()
    ]


def is_outdated(known: str, contacts: list[Contact], alias: str) -> bool:
    """Whether a stored Contact of the same Call-ID is no longer a place of the phone.

    usrloc matches a binding by its URI, alias included, so a new port of the NAT would make a
    second binding and calls would also ring whoever holds the old port now. The Call-ID says that
    it is the same phone: a UA keeps it for all its registrations (RFC 3261 10.2). A REGISTER
    with several Contacts says itself which ones it means, but of their aliases it knows nothing.

    Args:
        known: the stored URI.
        contacts: those of the REGISTER.
        alias: the parameter that tells where the REGISTER came from, '' without NAT.
    """
    place = _ALIAS.sub("", known)
    asked = [contact for contact in contacts if _ALIAS.sub("", contact.uri) == place]
    if len(contacts) == 1:
        uri = contacts[0].uri
        new = _ALIAS.sub("", uri) + alias if alias and "?" not in uri else uri
        return known != new and (bool(asked) or not contacts[0].removes)
    # only one of several Contacts gets the alias
    return bool(asked) and (asked[0].removes or known not in (asked[0].uri, place + alias))


def _store(headers: list[str], expires: str) -> int:
    known = _of_this_call()
    contacts = asked_contacts(headers, expires) if known else []
    if contacts:
        if any(int(KSR.pv.gete("$cs")) < binding.cseq for binding in known):
            return int(KSR.sl.sl_send_reply(400, "CSeq Out Of Order"))
        _remove_outdated(known, contacts)
    code = int(KSR.registrar.save(settings.active.location_table, 0))
    if code > 0:
        connection.keep()
    return code


def log_removal() -> None:
    """Log a binding that expired, or whose phone no longer answered its pings."""
    KSR.notice(
        "kemi-routes: binding removed, it expired or its phone did not answer:"
        f" {KSR.pv.getw('$ulc(exp=>aor)')} {KSR.pv.getw('$ulc(exp=>addr)')}\n"
    )


def _contact_headers() -> list[str]:
    return [KSR.pv.gete(f"$(hdr(Contact)[{i}])") for i in range(KSR.pv.getvn("$hdrc(Contact)", 0))]


def _contact(value: str, expires: str) -> Contact:
    bracketed = _BRACKETED.search(value)
    uri, _, parameters = value.partition(";")
    if bracketed:
        uri, parameters = bracketed[1], bracketed[2]
    own = _EXPIRES.search(f";{parameters}")
    lasts = own[1] if own else expires
    removes = lasts.isdigit() and int(lasts) == 0
    return Contact(uri.strip(), removes, bool(_RECEIVED.search(f";{parameters}")))


def _of_this_call() -> list[Binding]:
    table, aor = settings.active.location_table, KSR.pv.gete("$tu")
    if KSR.registrar.reg_fetch_contacts(table, aor, PROFILE) < 0:
        return []
    call_id = KSR.pv.get("$ci")
    return [
        Binding(
            KSR.pv.gete(f"$(ulc({PROFILE}=>ruid)[{i}])"),
            KSR.pv.gete(f"$(ulc({PROFILE}=>addr)[{i}])"),
            KSR.pv.getvn(f"$(ulc({PROFILE}=>cseq)[{i}])", 0),
        )
        for i in range(KSR.pv.getvn(f"$ulc({PROFILE}=>count)", 0))
        if KSR.pv.get(f"$(ulc({PROFILE}=>callid)[{i}])") == call_id
    ]


def _remove_outdated(known: list[Binding], contacts: list[Contact]) -> None:
    alias = _alias()
    for binding in known:
        if is_outdated(binding.uri, contacts, alias):
            KSR.notice(
                f"kemi-routes: {binding.uri} is outdated, its phone is at {KSR.pv.get('$su')}\n"
            )
            KSR.registrar.unregister_ruid(
                settings.active.location_table, KSR.pv.gete("$tu"), binding.ruid
            )


def _alias() -> str:
    if not KSR.isbflagset(settings.active.flb_nated):
        return ""
    source, port, proto = KSR.pv.get("$si"), KSR.pv.get("$sp"), KSR.pv.get("$prid")
    host = f"[{source}]" if ":" in source else source
    return f";alias={host}~{port}~{proto}"
