"""Who guesses passwords, and who sends too much: counted in htables that all workers share.

Phones behind one NAT share an address, and a host with IPv6 has as many as it likes: so nobody is
judged by his address alone, and 64 bits of IPv6 are one. A guess counts for the account at that
address, for the account from everywhere, and, with a limit ten times higher, for the address.
Exempt is the account's own phone: it is where one of its bindings is, or, where it has got another
address, it registers with the Call-ID of one, which nobody else knows.
"""

from __future__ import annotations

import functools
import ipaddress

import KSR

from kemi_routes import settings
from kemi_routes.outcome import CONTINUE, DONE, Outcome

GUESSES, PACES = "guesses", "paces"
PROFILE = "home"
# An address may guess for so many accounts: those behind a NAT mistype their passwords, too.
ACCOUNTS = 10
# Part of MAX_RATE for each registered phone of an address that is over it.
PACE_SHARE = 20
# So many counters at most, whatever comes. Two accounts may share one, so
# fewer would let an attacker who fills many lock out strangers.
_COUNTERS = (1 << 18) - 1


def limit_rate() -> Outcome:
    """Drop what comes from an address that sends too much, but for its registered phones.

    The sender in From may be a lie, but not that one of its bindings is at this address and port.
    """
    if KSR.pike.pike_check_req() > 0:
        return CONTINUE
    source = f"{KSR.pv.get('$si')} {KSR.pv.get('$sp')}"
    allowed = max(1, settings.active.max_rate // PACE_SHARE)
    if _is_home(KSR.pv.gete("$fu"), with_port=True) and _add(PACES, source) <= allowed:
        return CONTINUE
    return DONE


def account_of(username: str, realm: str) -> str:
    """Whose password is tried, however the digest user is written: as `user`, `user@domain` or
    `sip:user@domain`, which are one to auth_db.

    Args:
        username: of the credentials.
        realm: of the credentials.
    Returns:
        `user@domain` in lower case.
    """
    user, _, domain = username.partition("@")
    return f"{user.partition(':')[2] or user}@{domain or realm}".lower()


def refuse_guesses(source: str, account: str, call_id: str) -> Outcome:
    """Refuse credentials of an account, unseen, after too many wrong ones.

    Args:
        source: the IP address that they come from.
        account: as `account_of` gives it.
        call_id: of the request.
    Replies: 403.
    """
    most = settings.active.max_guesses
    network = _network(source)
    of_network, of_account = _count(network), _count(account)
    if not (of_network or of_account):
        return CONTINUE
    uri = f"sip:{account}"
    if _count(f"{network} {account}") >= most:
        banned = not _is_home(uri, with_port=True)
    elif of_account >= most or of_network >= most * ACCOUNTS:
        spent = _count(f"{call_id} {account}") >= most
        banned = not _is_home(uri, with_port=False, call_id="" if spent else call_id)
    else:
        return CONTINUE
    if not banned:
        return CONTINUE
    KSR.sl.sl_send_reply(403, "Too Many Wrong Passwords")
    return DONE


def count_guess(source: str, account: str, call_id: str) -> None:
    """Count a wrong password, or an account that is none; arguments as for `refuse_guesses`."""
    network = _network(source)
    for key in (f"{network} {account}", account, network, f"{call_id} {account}"):
        _add(GUESSES, key)


def is_place_of(binding: str, source: str, port: int | None) -> bool:
    """Whether a binding is at an address.

    Args:
        binding: the URI where it is reached: its alias or received address, or its Contact.
        source: the address, IPv6 without brackets.
        port: None where any will do.
    """
    _, _, alias = binding.partition(";alias=")
    if alias:
        host, at, _ = alias.partition(";")[0].split("~")
    else:
        place = binding.partition(":")[2].partition(";")[0].rpartition("@")[2]
        host, _, at = place.rpartition(":") if not place.endswith("]") else (place, "", "")
        host, at = (host, at) if host else (place, "5060")
    return host.strip("[]") == source and (port is None or int(at or 5060) == port)


@functools.lru_cache(maxsize=1024)
def _network(source: str) -> str:
    """An IPv4 address, or the first half of an IPv6 address: what a provider gives a customer."""
    return source if ":" not in source else ipaddress.ip_address(source).exploded[:19]


def _is_home(uri: str, *, with_port: bool, call_id: str = "") -> bool:
    """Whether a request comes from where a binding is, or has the Call-ID of one."""
    source, port = KSR.pv.get("$si"), KSR.pv.get("$sp") if with_port else None
    table = settings.active.location_table
    if not uri or KSR.registrar.reg_fetch_contacts(table, uri, PROFILE) < 0:
        return False
    for i in range(KSR.pv.getvn(f"$ulc({PROFILE}=>count)", 0)):
        if call_id and KSR.pv.gete(f"$(ulc({PROFILE}=>callid)[{i}])") == call_id:
            return True
        received = KSR.pv.gete(f"$(ulc({PROFILE}=>received)[{i}])")
        address = received or KSR.pv.gete(f"$(ulc({PROFILE}=>addr)[{i}])")
        if is_place_of(address, source, port):
            return True
    return False


def _key(text: str) -> str:
    # the seed of hash() is the same in all workers, and nobody outside knows it
    return str(hash(text) & _COUNTERS)


def _count(text: str) -> int:
    return int(KSR.htable.sht_get(GUESSES, _key(text)) or 0)


def _add(table: str, text: str) -> int:
    return int(KSR.htable.sht_inc(table, _key(text)))
