"""REGISTER: one phone is one binding (RFC 3261 10, RFC 3327, RFC 5626)."""

from __future__ import annotations

import re

import KSR

from kemi_routes import settings
from kemi_routes.outcome import CONTINUE, DONE, Outcome

PROFILE = "phone"
_QUOTED = re.compile(r'"[^"]*"')
_ALIAS = re.compile(r";alias=[^;?]*")
_EXPIRES = re.compile(r";\s*expires\s*=\s*(\d+)", re.IGNORECASE)


def register() -> Outcome:
    """Store the bindings of a REGISTER; `save` sends the reply, on failure too."""
    if not KSR.is_REGISTER():
        return CONTINUE
    replace_moved_binding()
    KSR.registrar.save(settings.active.location_table, 0)
    return DONE


def replace_moved_binding() -> None:
    """Remove the binding that this phone had before its NAT changed its port.

    usrloc matches a binding by its Contact, alias included, so a new port would make a second
    binding and calls would also ring whoever holds the old port now. A phone with `+sip.instance`
    is matched by that (RFC 5626, in registrar itself). For others the Call-ID says that it is
    the same phone: a UA keeps it for all its registrations (RFC 3261 10.2).
    A REGISTER with several Contacts says itself which bindings it means.
    """
    contact = KSR.pv.gete("$ct")
    if not is_single(contact) or KSR.pv.get("$hdrc(Contact)") != 1:
        return
    aor = KSR.pv.gete("$tu")
    if KSR.registrar.reg_fetch_contacts(settings.active.location_table, aor, PROFILE) < 0:
        return
    stored = _of_this_call()
    if not stored:
        return
    new = _address_to_store()
    unregisters = is_unregistering(contact, KSR.pv.gete("$hdr(Expires)"))
    for ruid, known in stored:
        if has_moved(known, new, unregisters=unregisters):
            KSR.notice(f"kemi-routes: binding moved from {known} to {new}\n")
            KSR.registrar.unregister_ruid(settings.active.location_table, aor, ruid)


def is_single(contact: str) -> bool:
    """Whether a Contact header is one address without `+sip.instance`, and not `*`."""
    bare = _QUOTED.sub("", contact)
    return bool(bare) and bare != "*" and "," not in bare and "+sip.instance" not in bare


def is_unregistering(contact: str, expires: str) -> bool:
    """Whether a REGISTER removes its Contact: `;expires=0`, else `Expires: 0`.

    Args:
        contact: the Contact header's body.
        expires: the Expires header's body, '' where there is none.
    """
    own = _EXPIRES.search(_QUOTED.sub("", contact.rpartition(">")[2] or contact))
    return (own[1] if own else expires.strip()) in ("0", "00", "000")


def has_moved(known: str, new: str, *, unregisters: bool) -> bool:
    """Whether a stored Contact of the same Call-ID is an earlier place of the same phone.

    Args:
        known: the stored Contact URI.
        new: the Contact URI of this REGISTER as it will be stored.
        unregisters: the REGISTER removes its Contact; then only other aliases of that are meant.
    """
    if unregisters:
        return known != new and _ALIAS.sub("", known) == _ALIAS.sub("", new)
    return known != new


def log_removal() -> None:
    """Log a binding that expired, or whose phone no longer answered its pings."""
    KSR.notice(
        "kemi-routes: binding removed, it expired or its phone did not answer:"
        f" {KSR.pv.getw('$ulc(exp=>aor)')} {KSR.pv.getw('$ulc(exp=>addr)')}\n"
    )


def _of_this_call() -> list[tuple[str, str]]:
    call_id = KSR.pv.get("$ci")
    count = KSR.pv.getvn(f"$ulc({PROFILE}=>count)", 0)
    return [
        (KSR.pv.gete(f"$(ulc({PROFILE}=>ruid)[{i}])"), KSR.pv.gete(f"$(ulc({PROFILE}=>addr)[{i}])"))
        for i in range(count)
        if KSR.pv.get(f"$(ulc({PROFILE}=>callid)[{i}])") == call_id
    ]


def _address_to_store() -> str:
    address: str = KSR.pv.gete("$(ct{nameaddr.uri})")
    if not KSR.isbflagset(settings.active.flb_nated):
        return address
    source, port, proto = KSR.pv.get("$si"), KSR.pv.get("$sp"), KSR.pv.get("$prid")
    host = f"[{source}]" if ":" in source else source
    return f"{_ALIAS.sub('', address)};alias={host}~{port}~{proto}"
