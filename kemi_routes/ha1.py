"""HA1 in shared memory: who is registered, or has proved who he is, does so without the database.

Four tables of the module htable, the same for all workers: `ha1` and `ha1b` by user@domain, as the
columns they come from; `unknown`, who is no subscriber; and `revocation`, whose one value the
listener renews while it sees what changes in the database. Without that value nothing here counts.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable
from enum import IntEnum

import KSR

from kemi_routes import digest, patience, settings
from kemi_routes.variables import reader

COLUMNS = ("ha1", "ha1b")
# Their number bounds the memory for unknown users, however many are tried.
SLOTS = 4096
# htable counts whole seconds and keeps a value for up to one more: this is at most 2 s.
MOMENT = 1
DAY = 86400

HA1_INPUT = 1
HEXADECIMAL = "0123456789abcdef"
# auth_check, pv_auth_check: the digest user is the user in From, and in a REGISTER in To as well.
CHECK_IDENTITY = 1
# auth_db.is_subscriber: match the domain too; load the columns of load_credentials.
WITH_DOMAIN = 1
NO_ROW = -2
# Random, because who knows an HA1 could answer a challenge with it.
NOBODYS = secrets.token_hex(16)


class Code(IntEnum):
    """Return codes of auth_check and pv_auth_check (Kamailio's auth module), and one of ours."""

    OK = 1
    ERROR = -1
    WRONG_PASSWORD = -2
    UNKNOWN_USER = -3
    STALE_NONCE = -4
    NO_CREDENTIALS = -5
    NONCE_REUSED = -6
    USER_MISMATCH = -8
    NO_DATABASE = -100


USED_UP = (Code.STALE_NONCE, Code.NONCE_REUSED)
# As variables: what `_trust` reads, and what is kept of the user in From.
TRUST, OWN = "$sht(revocation=>trust)", "$sht(ha1=>$fU@$fd)"
_read_loaded = reader("$aU", *(f"$avp({column})" for column in COLUMNS))


def check(realm: str, username: str, own: str, registers: bool) -> int:
    """Check the credentials of a request, with the database where memory can't tell.

    Args:
        realm: the domain in From, in lower case.
        username: of the credentials for this realm, as the phone gave it.
        own: the URI in From, '' in a REGISTER for another To.
        registers: the request is a REGISTER.
    Returns:
        1 or a negative return code of `auth_check`; `NO_DATABASE` where only the database knows
        and does not answer. Its ERROR may also mean that.
    """
    trust = _trust() if settings.active.credentials_cache else ""
    column, key = _kept_as(realm, username, own, registers) if trust else ("", "")
    if not column:
        return _ask_database(realm, username)
    kept = str(KSR.htable.sht_gete(column, key))
    if kept:
        code = compare(realm, kept)
        return code if code != Code.WRONG_PASSWORD else _recheck(column, key, realm, kept)
    if KSR.htable.sht_get("unknown", _slot(key)) == key:
        code = compare(realm, NOBODYS)
        return Code.UNKNOWN_USER if code in (Code.OK, Code.WRONG_PASSWORD) else code
    code = _ask_database(realm, username)
    if code > 0:
        _keep(column, key, trust)
    elif code == Code.UNKNOWN_USER:
        KSR.htable.sht_setxs("unknown", _slot(key), key, MOMENT)
    return code


def ask(realm: str) -> int:
    """Check the credentials of a request that has no others with the database, and keep nothing.

    Args:
        realm: the domain in From, in lower case.
    Returns:
        As `check`.
    """
    code = _auth_check(realm)
    if code <= 0:
        return code
    username, *hashes = _read_loaded()
    return code if _is_hash(hashes["@" in username]) else Code.WRONG_PASSWORD


def compare(realm: str, ha1: str, checks: int = 0) -> int:
    """Check the credentials of a request with an HA1, and ask nobody.

    Args:
        realm: the domain in From, in lower case.
        ha1: such as the value of OWN.
        checks: CHECK_IDENTITY or 0.
    Returns:
        1 or a negative return code of `pv_auth_check`.
    """
    return int(KSR.auth.pv_auth_check(realm, ha1, HA1_INPUT, checks))


def recheck_own(realm: str, kept: str, code: int) -> int:
    """Ask the database before a wrong password is refused.

    Args:
        code: what `compare` has returned for the value of OWN.
    Returns:
        As `check`.
    """
    if code != Code.WRONG_PASSWORD:
        return code
    user = KSR.pv.gete("$fU")
    if KSR.pv.gete("$aU") != user:
        # its HA1 is another one, and the nonce is used up by now
        return Code.STALE_NONCE
    return _recheck("ha1", f"{user}@{realm}", realm, kept)


def probe() -> None:
    """While the database is away: ask for a subscriber that there can't be, in a process that has
    nothing else to do."""
    table = settings.active.subscriber_table
    nobody = "sip:nobody@invalid"
    patience.probe(lambda: bool(KSR.auth_db.is_subscriber(nobody, table, WITH_DOMAIN) == NO_ROW))


def nonce_is_good(realm: str) -> bool:
    """Whether nonce and header were in order, after a check that ended in ERROR: the same checks
    without any password. A good nonce is used up by the first check, so this one finds that."""
    return compare(realm, NOBODYS) in (Code.WRONG_PASSWORD, *USED_UP)


def trust(keep: int, generation: int, lasts: int) -> None:
    """Let the workers use what is kept here; for the listener.

    Args:
        keep: seconds for which they keep what they read from the database from now on; 0: they
            keep nothing new.
        generation: another number after each revocation.
        lasts: seconds (and up to one more) after which they stop by themselves.
    """
    KSR.htable.sht_setxs("revocation", "trust", f"{keep} {generation}", lasts)


def distrust() -> None:
    """Let the workers ask the database from now on."""
    KSR.htable.sht_rm("revocation", "trust")


def load(subscribers: Iterable[tuple[str, str]], keep: int) -> bool:
    """Keep credentials ahead of their use; for the listener.

    Args:
        subscribers: user@domain, as it stands in the database, and HA1.
        keep: seconds.
    Returns:
        Whether there was room for all.
    """
    return all(
        KSR.htable.sht_setxs("ha1", key, ha1, keep) > 0 for key, ha1 in subscribers if _is_hash(ha1)
    )


def begin_outage(now: int) -> int:
    """When the outage began that goes on now, in seconds of the same clock as `now`."""
    began = KSR.htable.sht_get("revocation", "outage")
    if began is None:
        KSR.htable.sht_seti("revocation", "outage", now)
        return now
    return int(began)


def end_outage() -> None:
    """The database answers."""
    KSR.htable.sht_rm("revocation", "outage")


def forget(keys: Iterable[str]) -> None:
    """Forget subscribers, by user@domain as it stands in the database."""
    for key in keys:
        for column in COLUMNS:
            KSR.htable.sht_rm(column, key)


def forget_all() -> None:
    """Forget everybody."""
    for column in COLUMNS:
        KSR.htable.sht_reset(column)


def _trust() -> str:
    """What `trust` said a moment ago; '' while nothing kept here may be used."""
    return str(KSR.htable.sht_gete("revocation", "trust"))


def _kept_as(realm: str, username: str, own: str, registers: bool) -> tuple[str, str]:
    """Table and key for the plain case, that a phone speaks for its own address; else ''.

    What is compared later is the HA1 of the user in From: nobody but he can answer with it.
    """
    key = f"{username}@{realm}"
    if own == f"sip:{key}":
        return "ha1", key
    return _kept_otherwise(realm, username, registers)


def _kept_otherwise(realm: str, username: str, registers: bool) -> tuple[str, str]:
    """The same where the URI in From has more than user and domain, or the domain is in capitals,
    or the phone gives its whole address as digest user."""
    user = KSR.pv.gete("$fU")
    if registers and (KSR.pv.get("$tU"), KSR.pv.get("$td")) != (user, KSR.pv.get("$fd")):
        return "", ""
    key = f"{user}@{realm}"
    if username == user:
        return "ha1", key
    return ("ha1b", key) if username == key else ("", "")


def _ask_database(realm: str, username: str) -> int:
    code = _auth_check(realm)
    if code > 0 and not _is_hash(_loaded("ha1b" if "@" in username else "ha1")):
        return Code.WRONG_PASSWORD
    return code


def _auth_check(realm: str) -> int:
    table = settings.active.subscriber_table
    code = patience.ask(
        lambda: int(KSR.auth_db.auth_check(realm, table, CHECK_IDENTITY)),
        failed=lambda code: code == Code.ERROR,
    )
    return Code.NO_DATABASE if code is None else code


def _loaded(column: str) -> str:
    """What the last query of auth_db has found in a column."""
    return str(KSR.pv.gete(f"$avp({column})"))


def _is_hash(text: str) -> bool:
    # auth_db takes any text for a hash: that of who has blocked a subscriber is no secret
    length = digest.LENGTHS[settings.active.digest_algorithm]
    return len(text) == length and not text.strip(HEXADECIMAL)


def _recheck(column: str, key: str, realm: str, kept: str) -> int:
    """Ask the database whether the password has changed, before a wrong one is refused."""
    table = settings.active.subscriber_table
    code = patience.ask(
        lambda: int(KSR.auth_db.is_subscriber(f"sip:{key}", table, WITH_DOMAIN)),
        failed=lambda code: code < 0 and code != NO_ROW,
    )
    if code == NO_ROW:
        forget([key])
        return Code.UNKNOWN_USER
    if code is None or code < 0:
        return Code.NO_DATABASE
    fresh = _loaded(column)
    if fresh == kept or not _is_hash(fresh):
        return Code.WRONG_PASSWORD
    forget([key])
    # The nonce is used up by now, so this says STALE_NONCE or NONCE_REUSED: the phone tries again.
    return compare(realm, fresh)


def _keep(column: str, key: str, trust: str) -> None:
    """Keep the HA1 that auth_check has just read, unless something was revoked meanwhile.

    The listener first changes the generation and then removes: it either removes what is written
    here, or is seen below.
    """
    lasts = int(trust.partition(" ")[0])
    if not lasts:
        return
    KSR.htable.sht_setxs(column, key, _loaded(column), lasts)
    if _trust() != trust:
        KSR.htable.sht_rm(column, key)


def _slot(key: str) -> str:
    return str(zlib.crc32(key.encode()) % SLOTS)
