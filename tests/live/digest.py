"""Digest authentication as a phone does it."""

from __future__ import annotations

import hashlib
import re
import secrets


def credentials(
    challenge: str, method: str, uri: str, user: str, password: str, nc: int = 1
) -> str:
    """The value of (Proxy-)Authorization for a challenge: with its algorithm, MD5 or SHA-256, and
    qop=auth if offered (RFC 2617, RFC 7616). `nc` says how often the nonce has been used."""
    realm, nonce = quoted(challenge, "realm"), quoted(challenge, "nonce")
    algorithm = "SHA-256" if "SHA-256" in challenge else "MD5"
    hashed = sha256 if algorithm == "SHA-256" else md5
    ha1, ha2 = hashed(f"{user}:{realm}:{password}"), hashed(f"{method}:{uri}")
    value = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}"'
    if opaque := quoted(challenge, "opaque"):
        value += f', opaque="{opaque}"'
    value += f", algorithm={algorithm}"
    if "qop" not in challenge:
        return f'{value}, response="{hashed(f"{ha1}:{nonce}:{ha2}")}"'
    cnonce = secrets.token_hex(4)
    response = hashed(f"{ha1}:{nonce}:{nc:08x}:{cnonce}:auth:{ha2}")
    return f'{value}, qop=auth, nc={nc:08x}, cnonce="{cnonce}", response="{response}"'


def quoted(value: str, name: str) -> str:
    """A `name="value"` of a challenge, '' where it has none."""
    found = re.search(rf"\b{name}\s*=\s*\"([^\"]*)\"", value, re.IGNORECASE)
    return found[1] if found else ""


def md5(text: str) -> str:
    """MD5 as SIP's digest authentication writes it."""
    return hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def sha256(text: str) -> str:
    """The same for SHA-256 (RFC 8760)."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
