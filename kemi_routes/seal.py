"""Our seal on the dialogs that we route: a Record-Route parameter that nobody else can make.

A To tag and a Route with our address are all that it takes to look like a dialog, and what belongs
to a dialog is passed on without credentials. So only what comes back with the seal of its own
Call-ID and caller is taken for one. No state is kept: every worker, and a server that shares
SERVER_SECRET, can tell.
"""

from __future__ import annotations

import hashlib
import secrets

import KSR

PARAMETER = "seal"
_BYTES = 9  # 72 bits: beyond guessing within the life of a dialog, and short on every message
key: bytes = b""


def use(secret: str | None, former: bytes = b"") -> None:
    """Take the key of the seals.

    Args:
        secret: SERVER_SECRET; None where the operator gave none.
        former: the key before a reload, so that a random one stays the same in all workers.
    """
    global key
    key = hashlib.sha256(secret.encode()).digest() if secret else former or secrets.token_bytes(32)


def of(call_id: str, caller_tag: str) -> str:
    """The seal of a dialog.

    Args:
        call_id: its Call-ID.
        caller_tag: the tag of the side that sent the request which formed it.
    """
    text = f"{call_id}\0{caller_tag}".encode()
    return hashlib.blake2b(text, key=key, digest_size=_BYTES).hexdigest()


def mark() -> None:
    """Put the seal on the Record-Route of a request that forms a dialog."""
    KSR.rr.add_rr_param(f";{PARAMETER}={of(KSR.pv.gete('$ci'), KSR.pv.gete('$ft'))}")


def holds() -> bool:
    """Whether the Route that led a request here has the seal of its dialog, from either side."""
    call_id = KSR.pv.gete("$ci")
    either = "|".join(of(call_id, KSR.pv.gete(tag)) for tag in ("$ft", "$tt"))
    return bool(KSR.rr.check_route_param(f"{PARAMETER}=({either})") > 0)


def recorded() -> bool:
    """Whether a reply has the seal of its dialog in a Record-Route."""
    seal = of(KSR.pv.gete("$ci"), KSR.pv.gete("$ft"))
    return f"{PARAMETER}={seal}" in KSR.pv.gete("$(hdr(Record-Route)[*])")
