"""Our realm: nobody but us asks for its passwords, and nobody else sees what phones answer.

Who is called could answer 401 or 407 in our name. The phone of the caller would tell him what its
password makes of a nonce of his choice, by which he can guess it at home (RFC 2617 4.9).
"""

from __future__ import annotations

import re

import KSR

CHALLENGES = ("WWW-Authenticate", "Proxy-Authenticate")
CREDENTIALS = ("Authorization", "Proxy-Authorization")
CHALLENGED = (401, 407)
# Whatever a phone might take for the realm: quoted or not, escaped, folded, or the second one.
_REALM = re.compile(r'realm\s*=\s*(?:"((?:[^"\\]|\\.)*)|([^\s",]+))', re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"[a-z0-9._:\[\]-]+", re.IGNORECASE)


def withhold_challenges() -> None:
    """Remove what asks for passwords of our users from a reply; challenges of others go on.

    The status stays: a 401 or 407 that challenges nobody ends the request.
    """
    if KSR.pv.getvn("$rs", 0) in CHALLENGED:
        for name in CHALLENGES:
            _remove_ours(name)


def withhold_credentials() -> None:
    """Remove credentials for us from a request, which phones repeat within a dialog (RFC 3261
    22.1); those for other servers go on."""
    for name in CREDENTIALS:
        _remove_ours(name)


def is_ours(value: str) -> bool:
    """Whether a challenge or credentials are for a realm of this server.

    Args:
        value: of the header.
    """
    named = (found[1] or found[2] or "" for found in _REALM.finditer(value))
    return any(_is_our_host(re.sub(r"\\(.)", r"\1", realm)) for realm in named)


def _is_our_host(realm: str) -> bool:
    host = realm.strip()
    return bool(_HOST.fullmatch(host) and KSR.is_myself(f"sip:{host}"))


def _remove_ours(name: str) -> None:
    for i in range(KSR.pv.getvn(f"$hdrc({name})", 0)):
        # as hexadecimal digits: a header need not be text; '' is one too long to be looked at
        digits = KSR.pv.gete(f"$(hdr({name})[{i}]{{s.encode.hexa}})")
        if not digits or is_ours(bytes.fromhex(digits).decode("latin-1")):
            KSR.textops.remove_hf_idx(name, i)
