"""Our seal on the dialogs that we route: a Record-Route parameter that nobody else can make.

A To tag and a Route with our address are all that it takes to look like a dialog, and what belongs
to a dialog is passed on without credentials. So only what comes back with a seal is taken for one.
Each side has a seal of its own, which says whom it may send to: the tag of the other side and, for
strangers, the place where the other side is. No state is kept: every worker, and a server that
shares SERVER_SECRET, can tell.

    seal=FREE           our user: anywhere, as he could begin a dialog with anybody
    seal=BOUND-PLACE    a stranger: to that place, and to bindings of the user whom To names
"""

from __future__ import annotations

import hashlib
import re
import secrets

import KSR

from kemi_routes import identity, patience, place

PARAMETER = "seal"
_SEAL = re.compile(f"{PARAMETER}=[0-9a-f]+(?:-[0-9a-f]+)?", re.IGNORECASE)
_BYTES = 9  # 72 bits: beyond guessing within the life of a dialog, and short on every message
_PLACE_BYTES = 6  # of use to nobody without the other half
# In place of a place; no request goes there.
UNKNOWN = "unknown"
key: bytes = b""


def use(secret: str | None, former: bytes = b"") -> None:
    """Take the key of the seals.

    Args:
        secret: SERVER_SECRET; None where the operator gave none.
        former: the key before a reload, so that a random one stays the same in all workers.
    """
    global key
    key = hashlib.sha256(secret.encode()).digest() if secret else former or secrets.token_bytes(32)


def free(call_id: str, other_tag: str) -> str:
    """The seal of one of our users.

    Args:
        call_id: of the dialog.
        other_tag: the tag of whom he may send to.
    """
    return f"{PARAMETER}={_hash(_BYTES, 'free', call_id, other_tag)}"


def bound(call_id: str, other_tag: str, where: str = "") -> str:
    """The seal of a stranger.

    Args:
        call_id: of the dialog.
        other_tag: the tag of whom he may send to.
        where: the place of whom he may send to; '' for that half of the seal which tells the
            dialog alone.
    """
    dialog = f"{PARAMETER}={_hash(_BYTES, 'bound', call_id, other_tag)}-"
    return dialog + _hash(_PLACE_BYTES, where, call_id, other_tag) if where else dialog


def mark(for_our_user: bool) -> None:
    """Put the seal on the Record-Route of a request that forms a dialog.

    Args:
        for_our_user: who gets the request is one of our users.
    """
    call_id, tag = KSR.pv.gete("$ci"), KSR.pv.gete("$ft")
    seal = free(call_id, tag) if for_our_user else bound(call_id, tag, place.of_caller() or UNKNOWN)
    KSR.rr.add_rr_param(f";{seal}")


def exchange(for_our_user: bool, aliased: bool = False) -> None:
    """In a reply: the caller gets a seal of his own in place of the callee's.

    Args:
        for_our_user: the caller is one of our users.
        aliased: the Contact of the reply gets the alias of the source.
    """
    routes = place.uris(place.bodies("Record-Route"))
    # whatever the callee has made of it: his seal must not reach the caller
    ours = [uri for uri in routes if _SEAL.search(uri) and KSR.is_myself(uri)]
    if not ours:
        return
    call_id, tag = KSR.pv.gete("$ci"), KSR.pv.gete("$tt")
    if for_our_user:
        seal = free(call_id, tag)
    else:
        seal = bound(call_id, tag, place.of_callee(routes, ours[0], aliased) or UNKNOWN)
    for uri in set(ours):
        KSR.textops.replace_hdrs_str(uri, _SEAL.sub(seal, uri), "first")


def holds() -> bool:
    """Whether the Route that led a request here has a seal that lets it go where it is going to.

    A stranger's lets nobody speak in a name of ours. Our user has it too, where he was answered
    after the transaction had gone; then he is where he has registered.
    """
    call_id, tag = KSR.pv.gete("$ci"), KSR.pv.gete("$tt")
    # not by rr.check_route_param, which compiles a regular expression at each call
    seal = _of_dialog(place.bodies("Route").lower(), call_id, tag)
    if "-" not in seal:
        return bool(seal)
    if identity.claims_our_domain() and not _is_at_binding("f", place.of_source()):
        return False
    where = place.of_next_hop()
    if where == place.NOWHERE:
        return False
    return seal == bound(call_id, tag, where) or _is_at_binding("t", where)


def recorded() -> bool:
    """Whether a reply has the seal of its dialog, and goes to where the caller is."""
    call_id, tag = KSR.pv.gete("$ci"), KSR.pv.gete("$ft")
    former = _of_dialog(place.bodies("Record-Route"), call_id, tag)
    return former in (free(call_id, tag), bound(call_id, tag, place.of_reply_target()))


def _of_dialog(routes: str, call_id: str, tag: str) -> str:
    """The seal of a dialog among the Routes or Record-Routes of a message, '' where there is none.

    Args:
        tag: the tag of whom the holder of the seal may send to.
    """
    seals: list[str] = _SEAL.findall(routes)
    if not seals:
        return ""
    whole, half = free(call_id, tag), bound(call_id, tag)
    return next((seal for seal in seals if seal == whole or seal.startswith(half)), "")


def _is_at_binding(side: str, where: str) -> bool:
    """Whether a place is that of a binding of the user in From ("f") or To ("t")."""
    aor, user = KSR.pv.gete(f"${side}u"), KSR.pv.gete(f"${side}U")
    return bool(patience.hold(user, lambda: place.is_bound(aor, where)))


def _hash(size: int, *texts: str) -> str:
    text = "\0".join(texts).encode()
    return hashlib.blake2b(text, key=key, digest_size=size).hexdigest()
