"""Who is it: digest authentication against the subscriber table (RFC 3261 22, RFC 2617).

Module auth looks at a nonce once a request: it counts the use, so a second look at the same
credentials finds a nonce that has been used. A phone that sends nc may use its nonce again (with
the next nc) as long as NONCE_EXPIRES lasts; one that sends none gets a new nonce every time.
"""

from __future__ import annotations

import functools
from enum import Enum

import KSR

from kemi_routes import ambiguity, bans, digest, guard, ha1, identity, our_realm, settings
from kemi_routes.claim import OF_OTHERS, OF_REGISTER, Claim, read_claim
from kemi_routes.digest import Credentials
from kemi_routes.ha1 import Code
from kemi_routes.outcome import CONTINUE, DONE, Outcome
from kemi_routes.registration import Registration
from kemi_routes.replies import answer
from kemi_routes.variables import BETWEEN, NULL, read_plain, together

QOP_AUTH = 1
STALE = 16
UNCHECKED = 0  # no code of module auth
_DOMAINS = ("$fd", "$td", "$rd")
_NEWCOMER = together(f"$hdrc({OF_REGISTER})", "$tt", "$ua", *_DOMAINS)
# The htable of accepted REGISTERs; its entries live as long as a phone may repeat one (timer F).
ACCEPTED = "accepted"
MAX_LOGGED = 64
_INT = (1 << 31) - 1  # what an htable keeps of a number


class Verdict(Enum):
    """What a request with or without credentials is answered."""

    ACCEPT = "accept"
    CHALLENGE = "challenge"
    CHALLENGE_STALE = "challenge, the nonce is stale"
    FORBIDDEN = "forbidden"
    MALFORMED = "malformed"
    UNAVAILABLE = "unavailable"


def verdict(code: int, nonce_is_good: bool) -> Verdict:
    """What follows from a return code of `auth_check`.

    Args:
        code: what `ha1.check` returned.
        nonce_is_good: whether nonce and header are in order; looked at for code -1 only. Then
            the error can't have been the request's: the database did not answer.
    """
    if code > 0:
        return Verdict.ACCEPT
    if code in ha1.USED_UP:
        return Verdict.CHALLENGE_STALE
    if code == Code.USER_MISMATCH:
        return Verdict.FORBIDDEN
    if code == Code.NO_DATABASE or (code == Code.ERROR and nonce_is_good):
        return Verdict.UNAVAILABLE
    return Verdict.CHALLENGE


def challenge_newcomer() -> Outcome:
    """Ask a phone that registers for its credentials, before anything else is read.

    Replies: 401. Whoever does not get it is looked at further.
    """
    newcomer = read_plain(_NEWCOMER)  # a User-Agent need not be text
    realm = _realm_of(newcomer) if newcomer else ""
    return _challenge(realm) if realm else CONTINUE


# phones have few names and our domains are few
@functools.lru_cache(maxsize=256)
def _realm_of(newcomer: str) -> str:
    """The realm of a phone that is to be challenged; '' where that is not plain to see."""
    given, tag, agent, *domains = newcomer.split(BETWEEN)
    if (given, tag) != ("0", NULL) or len(domains) != len(_DOMAINS) or guard.is_scanner(agent):
        return ""
    ours = all(KSR.is_myself(f"sip:{domain}") for domain in domains)
    return domains[0].lower() if ours else ""


def registrant(asked: Registration, code: int = UNCHECKED) -> Outcome:
    """Let a REGISTER pass that comes from one of our users.

    Args:
        code: what `ha1` has returned for its credentials, if it was asked before.
    Replies: 401, 403 for credentials of somebody else, 400 for credentials that don't belong to
    the request, 503 with Retry-After while the database does not answer.
    """
    if not (KSR.is_myself_ruri() and KSR.is_myself_furi() and KSR.is_myself_turi()):
        return answer(403, "Not A Domain Of This Server")
    return _check_credentials(asked.claim, registers=True, code=code)


def caller() -> Outcome:
    """Let pass who proves to be one of our users, or calls one of them from elsewhere.

    Replies: 407, 403 for a stranger's request to a stranger, else as those to a REGISTER.
    """
    if identity.claims_our_domain():
        if _check_credentials(read_claim(), registers=False) is DONE:
            return DONE
        KSR.setflag(settings.active.flt_caller_ours)
        our_realm.withhold_credentials()
        return CONTINUE
    if KSR.is_myself_ruri():
        return CONTINUE
    return answer(403, "Relaying Denied")


def unavailable() -> Outcome:
    """Answer 503 with Retry-After (RFC 3261 21.5.4)."""
    KSR.hdr.append_to_reply(f"Retry-After: {settings.active.retry_after}\r\n")
    return answer(503, "Service Unavailable")


def _check_credentials(claim: Claim, *, registers: bool, code: int = UNCHECKED) -> Outcome:
    realm = claim.domain.lower()
    given = None
    try:
        given = _given(claim, registers, realm)
        if given is None:
            return _challenge(realm)
        digest.check(given, claim.uri, KSR.is_myself, settings.active.digest_algorithm)
    except digest.Malformed as error:
        _log(Verdict.MALFORMED, 0, (given or claim.credentials).username or "somebody")
        return answer(400, str(error))
    account = bans.account_of(given.username, realm)
    if bans.refuse_guesses(claim.source, account, claim.call_id) is DONE:
        return DONE
    if code == UNCHECKED:
        code = _check_password(claim, realm, given, registers)
    if code > 0:
        if registers:
            _remember_register(claim)
        return CONTINUE
    if code in ha1.USED_UP and registers and _is_repeated_register(claim):
        return CONTINUE
    if code in (Code.WRONG_PASSWORD, Code.UNKNOWN_USER):
        bans.count_guess(claim.source, account, claim.call_id)
    return _answer(code, realm, given.username)


def _given(claim: Claim, registers: bool, realm: str) -> Credentials | None:
    """The credentials for a realm: the first ones, which are those that module auth checks."""
    if registers:
        header, count = OF_REGISTER, claim.authorizations
        # those of a proxy are read first, but do not count here
        alone = (count, claim.proxies) == ("1", "0")
    else:
        header, count = OF_OTHERS, claim.proxies
        alone = count == "1"
    if alone and claim.credentials.realm.lower() == realm:
        return claim.credentials
    for i in range(int(count)):
        given = digest.read(KSR.pv.gete(f"$(hdr({header})[{i}])"))
        if given is not None and given.realm.lower() == realm:
            return given
    return None


def _check_password(claim: Claim, realm: str, given: Credentials, registers: bool) -> int:
    secret = settings.active.server_secret
    # without a secret no nonce is used twice, and module auth looks at what it is bound to
    if secret and not digest.is_bound(given.nonce, claim.call_id, claim.source, secret):
        return Code.STALE_NONCE
    speaks_for_itself = not registers or claim.to == claim.sender
    own = claim.sender if speaks_for_itself else ""
    return ha1.check(realm, given.username, own, registers)


def _answer(code: int, realm: str, user: str) -> Outcome:
    decision = verdict(code, nonce_is_good=code == Code.ERROR and ha1.nonce_is_good(realm))
    _log(decision, code, user)
    if decision is Verdict.FORBIDDEN:
        return answer(403, "Credentials Of Another User")
    if decision is Verdict.UNAVAILABLE:
        return unavailable()
    return _challenge(realm, STALE if decision is Verdict.CHALLENGE_STALE else 0)


def _challenge(realm: str, stale: int = 0) -> Outcome:
    KSR.auth.auth_challenge(realm, QOP_AUTH | stale)
    return DONE


def _log(decision: Verdict, code: int, user: str) -> None:
    # a name may hold a NUL, which no KSR function takes, or a line of its own for the log
    shown = ascii(user)[1:-1][:MAX_LOGGED]
    KSR.notice(
        f"kemi-routes: {shown} from {KSR.pv.get('$si')}:{KSR.pv.get('$sp')}"
        f" not authenticated ({code}): {decision.value}\n"
    )


def _remember_register(claim: Claim) -> None:
    # tm absorbs the retransmissions of what is relayed, but `save` answers without a transaction
    KSR.htable.sht_seti(ACCEPTED, _repeater(claim), _fingerprint())


def _is_repeated_register(claim: Claim) -> bool:
    """Whether the phone has not heard our answer: the same bytes from the same address and port."""
    return bool(KSR.htable.sht_get(ACCEPTED, _repeater(claim)) == _fingerprint())


def _repeater(claim: Claim) -> str:
    return f"{claim.source} {claim.port} {claim.call_id}"


def _fingerprint() -> int:
    # nobody outside knows the seed of hash(), which is the same in all workers
    return hash(ambiguity.text("$mb")) & _INT
