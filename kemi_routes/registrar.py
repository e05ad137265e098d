"""REGISTER: one phone is one binding (RFC 3261 10, RFC 3327, RFC 5626)."""

from __future__ import annotations

from typing import NamedTuple

import KSR

from kemi_routes import auth, connection, contact_policy, contacts, patience, settings
from kemi_routes.contacts import Contact
from kemi_routes.outcome import DONE, Outcome
from kemi_routes.variables import reader

PROFILE = "phone"
_KNOWN = f"$ulc({PROFILE}=>count)"
_asked = reader("$hdr(Expires)", "$hdrc(Contact)", "$(hdr(Contact)[0])", "$tU", "$tu", "$ci")
LONGEST = 2**32 - 1  # seconds (RFC 3261 20.19)


class Binding(NamedTuple):
    """A stored Contact: usrloc's id of it, its URI, and the CSeq of the REGISTER that made it."""

    ruid: str
    uri: str
    cseq: int


def register() -> Outcome:
    """Store the bindings of a REGISTER; `save` sends the reply, on failure too.

    Replies: 400 to a REGISTER that a later one of the same phone has overtaken (RFC 3261 10.3),
    to an Expires of more than 32 bits, which Kamailio would take for a short one, and to a Contact
    that can't be, or that could be read in two ways; 403 to one that leads to somebody else; 503
    while usrloc is stuck with the bindings.
    """
    expires, count, contact, user, aor, call_id = _asked()
    expires = expires.strip()
    if expires.isdigit() and int(expires) > LONGEST:
        KSR.sl.sl_send_reply(400, "Expires Out Of Range")
        return DONE
    headers = [contact] if count == "1" else _contact_headers(int(count))
    try:
        asked = contacts.read(headers, expires)
    except contacts.Malformed:
        KSR.sl.sl_send_reply(400, "Malformed Contact")
        return DONE
    if contact_policy.refuse(asked) is DONE:
        return DONE
    if patience.hold(user, lambda: _store(asked, aor, call_id)) is None:
        return auth.unavailable()
    return DONE


def _store(asked: list[Contact], aor: str, call_id: str) -> int:
    known = _of_this_call(aor, call_id)
    if known and asked and not any(contact.has_instance for contact in asked):
        if any(int(KSR.pv.gete("$cs")) < binding.cseq for binding in known):
            return int(KSR.sl.sl_send_reply(400, "CSeq Out Of Order"))
        _remove_outdated(known, asked, aor)
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


def _contact_headers(count: int) -> list[str]:
    return [KSR.pv.gete(f"$(hdr(Contact)[{i}])") for i in range(count)]


def _of_this_call(aor: str, call_id: str) -> list[Binding]:
    if KSR.registrar.reg_fetch_contacts(settings.active.location_table, aor, PROFILE) < 0:
        return []
    return [
        Binding(
            KSR.pv.gete(f"$(ulc({PROFILE}=>ruid)[{i}])"),
            KSR.pv.gete(f"$(ulc({PROFILE}=>addr)[{i}])"),
            KSR.pv.getvn(f"$(ulc({PROFILE}=>cseq)[{i}])", 0),
        )
        for i in range(KSR.pv.getvn(_KNOWN, 0))
        if KSR.pv.get(f"$(ulc({PROFILE}=>callid)[{i}])") == call_id
    ]


def _remove_outdated(known: list[Binding], asked: list[Contact], aor: str) -> None:
    alias = _alias()
    for binding in known:
        if contacts.is_outdated(binding.uri, asked, alias):
            KSR.notice(
                f"kemi-routes: {binding.uri} is outdated, its phone is at {KSR.pv.get('$su')}\n"
            )
            KSR.registrar.unregister_ruid(settings.active.location_table, aor, binding.ruid)


def _alias() -> str:
    if not KSR.isbflagset(settings.active.flb_nated):
        return ""
    source, port, proto = KSR.pv.get("$si"), KSR.pv.get("$sp"), KSR.pv.get("$prid")
    host = f"[{source}]" if ":" in source else source
    return f";alias={host}~{port}~{proto}"
