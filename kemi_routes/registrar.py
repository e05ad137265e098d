"""REGISTER: one phone is one binding (RFC 3261 10, RFC 3327, RFC 5626)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import KSR

from kemi_routes import auth, connection, contact_policy, contacts, patience, settings
from kemi_routes.outcome import CONTINUE, DONE, Outcome
from kemi_routes.registration import UDP, Registration
from kemi_routes.replies import answer
from kemi_routes.variables import reader

PROFILE = "phone"
# Seconds in which a phone may repeat a REGISTER (RFC 3261 17.1.2: timer F); usrloc's cseq_delay.
REPEATED = 32
LONGEST = 2**32 - 1  # seconds (RFC 3261 20.19)


class Binding(NamedTuple):
    """A stored Contact, as `$ulc` names it: usrloc's id of it, its URI, the REGISTER that made it,
    and when that was (Unix time)."""

    ruid: str
    addr: str
    callid: str
    cseq: str
    modified: str


def register(asked: Registration) -> Outcome:
    """Store the bindings of a REGISTER.

    Replies: those of `save`; 400 to a REGISTER that a later one of the same phone has overtaken
    (RFC 3261 10.3), to an Expires of more than 32 bits, which Kamailio would take for a short one,
    and to a Contact that can't be, or that could be read in two ways; 403 to one that leads to
    somebody else; 503 while usrloc is stuck with the bindings.
    """
    expires = asked.expires.strip()
    if expires.isdigit() and int(expires) > LONGEST:
        return answer(400, "Expires Out Of Range")
    outcome = patience.hold(asked.user, lambda: _store(asked))
    return auth.unavailable() if outcome is None else outcome


def save(protocol: str) -> Outcome:
    """Let module registrar do it.

    Args:
        protocol: as in `Registration`.
    Replies: 200 with all bindings; 400 and others, with P-Registrar-Error.
    Returns:
        CONTINUE where it did; the REGISTER has its reply in any case.
    """
    if KSR.registrar.save(settings.active.location_table, 0) < 0:
        return DONE
    if protocol != UDP:
        connection.keep()
    return CONTINUE


def has_stored(aor: str, call_id: str, cseq: str) -> bool:
    """Whether a REGISTER has been here a moment ago: usrloc takes it for a repetition."""
    now = KSR.pv.get("$Ts")
    return any(
        (binding.callid, binding.cseq) == (call_id, cseq) and int(binding.modified) + REPEATED > now
        for binding in _bindings(aor)
    )


def log_removal() -> None:
    """Log a binding that expired, or whose phone no longer answered its pings."""
    KSR.notice(
        "kemi-routes: binding removed, it expired or its phone did not answer:"
        f" {KSR.pv.getw('$ulc(exp=>aor)')} {KSR.pv.getw('$ulc(exp=>addr)')}\n"
    )


def _store(asked: Registration) -> Outcome:
    if _examine(asked, _bindings(asked.claim.to)) is DONE:
        return DONE
    return save(asked.protocol)


def _examine(asked: Registration, bindings: list[Binding]) -> Outcome:
    """Refuse what may not be bound, and remove what the phone has left."""
    try:
        given = contacts.read(asked.all_contacts(), asked.expires.strip())
    except contacts.Malformed:
        return answer(400, "Malformed Contact")
    if contact_policy.refuse(asked, given) is DONE:
        return DONE
    if not given or any(contact.has_instance for contact in given):
        return CONTINUE
    known = [binding for binding in bindings if binding.callid == asked.claim.call_id]
    if any(_has_overtaken(binding, asked) for binding in known):
        return answer(400, "CSeq Out Of Order")
    alias = _alias(asked)
    for binding in known:
        if contacts.is_outdated(binding.addr, given, alias):
            _remove(binding, asked)
    return CONTINUE


def _bindings(aor: str) -> list[Binding]:
    if KSR.registrar.reg_fetch_contacts(settings.active.location_table, aor, PROFILE) < 0:
        return []
    *columns, count = _first()
    return [Binding._make(columns), *(Binding._make(_other(i)()) for i in range(1, int(count)))]


def _columns(index: int) -> list[str]:
    return [f"$(ulc({PROFILE}=>{name})[{index}])" for name in Binding._fields]


_first = reader(*_columns(0), f"$ulc({PROFILE}=>count)")


@functools.lru_cache(maxsize=128)
def _other(index: int) -> Callable[[], list[str]]:
    return reader(*_columns(index))


def _has_overtaken(binding: Binding, asked: Registration) -> bool:
    return binding.callid == asked.claim.call_id and int(asked.cseq) < int(binding.cseq)


def _remove(binding: Binding, asked: Registration) -> None:
    KSR.notice(f"kemi-routes: {binding.addr} is outdated, its phone is at {KSR.pv.get('$su')}\n")
    table = settings.active.location_table
    KSR.registrar.unregister_ruid(table, asked.claim.to, binding.ruid)


def _alias(asked: Registration) -> str:
    """The parameter that tells where a REGISTER from behind NAT came from, '' without NAT."""
    if not KSR.isbflagset(settings.active.flb_nated):
        return ""
    source = asked.claim.source
    host = f"[{source}]" if ":" in source else source
    return f";alias={host}~{asked.claim.port}~{asked.protocol}"
