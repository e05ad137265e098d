"""A phone that registers as it did before is asked for its password, and nothing else is looked at.

Shared memory keeps, for each address of record, what the last REGISTER that was accepted has said,
and where it came from. The next one is nearly always the same, but for what is new in each: Via,
tags, Call-ID, CSeq, credentials. What all other checks look at is the same then, and so is what
they would find:

- Its domains and its Contact are those that were good, and nothing is to be removed for them.
- A phone that was behind NAT still is: its binding keeps the alias.
- Wrong passwords never ban a phone from the address and port of its binding (bans.py).
- Whom a nonce was given to (digest.py) does not matter: who could send what the phone has said,
  from its address and port, could only prolong the binding that it has.

Whatever says something else goes the whole way. After credentials that are not right so does the
next one.
"""

from __future__ import annotations

import functools

import KSR

from kemi_routes import auth, digest, ha1, nat, patience, registrar, registration, settings
from kemi_routes.claim import OF_REGISTER
from kemi_routes.outcome import CONTINUE, DONE, Outcome
from kemi_routes.registration import Registration
from kemi_routes.variables import BETWEEN, NULL, read_plain, reader, together

TABLE = "renewals"
_NATED = "nated "
# What a phone says each time, and where it is. The protocol, one digit, comes first.
_SAID = (
    *("$prid", "$si", "$sp", "$ou", "$fu", "$tu", "$tt"),
    *("$hdrc(Path)", "$hdrc(Contact)", "$ct", "$hdr(Expires)"),
)
_APART = (
    *(f"$sht({TABLE}=>$tu)", ha1.TRUST, ha1.OWN),
    *("$hdrc(Authorization) $hdrc(Proxy-Authorization)", "$fd"),
)
_ALL, _ALL_SAID = together(*_APART, *_SAID), together(*_SAID)
_ONE_FOR_US = "1 0"
# A Contact with one of these may be several, or could be given no alias.
_NOT_PLAIN = frozenset("*,?")
_PROOF = together("$ou", "$adu", "$aa")
_read_repetition = reader("$tu", "$tU", "$ci", "$cs")


def renew() -> Outcome:
    """Renew the binding of a phone that says what it has said the last time.

    Replies: those of `registrar.save`, or of `auth.registrant`.
    """
    if KSR.hdr.is_present(OF_REGISTER) < 0:
        return CONTINUE
    text = read_plain(_ALL)
    if not text:
        return CONTINUE
    # of these only $fd may have a BETWEEN in it, and then there is one too many in `said` as well
    kept, trust, own, given, realm, said = text.split(BETWEEN, len(_APART))
    mark = str(hash(said))
    nated = kept == _NATED + mark
    if not (nated or kept == mark) or given != _ONE_FOR_US:
        return CONTINUE
    if trust == NULL:
        code = ha1.ask(realm)
    elif own == NULL:
        return CONTINUE
    else:
        code = ha1.compare(realm, own, ha1.CHECK_IDENTITY)
    if code > 0 and _is_meant(KSR.pv.gete(_PROOF)):
        return _store(nated, said[0])
    if code in ha1.USED_UP:
        if (outcome := _repeat(nated, said[0])) is DONE:
            return outcome
    else:
        KSR.htable.sht_rm(TABLE, KSR.pv.gete("$tu"))
        code = ha1.recheck_own(realm, own, code) if trust != NULL else code
    return auth.registrant(registration.read(), code)


def remember(asked: Registration) -> None:
    """Keep what a REGISTER has said that was accepted.

    It is kept of who has one plain Contact, and of a plain address of record: so there is one entry
    for each subscriber at most.
    """
    said = read_plain(_ALL_SAID) if _is_plain(asked) else ""
    if said.count(BETWEEN) == len(_SAID) - 1:
        nated = _NATED if KSR.isbflagset(settings.active.flb_nated) else ""
        KSR.htable.sht_sets(TABLE, asked.claim.to, f"{nated}{hash(said)}")
    else:
        KSR.htable.sht_rm(TABLE, asked.claim.to)


def forget_expired() -> None:
    """Forget the phone whose binding has expired (registrar, `usrloc:contact-expired`)."""
    KSR.htable.sht_rm(TABLE, f"sip:{KSR.pv.gete('$ulc(exp=>aor)')}")


def forget_all() -> None:
    """Look at everybody again: other routes may look at more."""
    KSR.htable.sht_reset(TABLE)


@functools.lru_cache(maxsize=1024)
def _is_meant(proof: str) -> bool:
    """Whether right credentials are also for this request, as `digest.check` says."""
    asked, given, algorithm, *more = proof.split(BETWEEN)
    offered = digest.is_offered(algorithm, settings.active.digest_algorithm)
    return offered and not more and digest.is_for(given, asked, KSR.is_myself)


def _repeat(nated: bool, protocol: str) -> Outcome:
    """Answer once more what usrloc knows as a repetition: it changes nothing."""
    aor, user, call_id, cseq = _read_repetition()
    outcome = patience.hold(
        user,
        lambda: _store(nated, protocol) if registrar.has_stored(aor, call_id, cseq) else CONTINUE,
    )
    return auth.unavailable() if outcome is None else outcome


def _store(nated: bool, protocol: str) -> Outcome:
    if nated:
        nat.alias_binding()
    registrar.save(protocol)
    return DONE


def _is_plain(asked: Registration) -> bool:
    claim = asked.claim
    return (
        (asked.contacts, asked.has_path) == ("1", False)
        and _NOT_PLAIN.isdisjoint(asked.contact)
        and claim.domain == claim.domain.lower()
        and claim.to == claim.sender == f"sip:{claim.credentials.username}@{claim.domain}"
    )
