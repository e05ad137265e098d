"""What is kept of a password: the two hashes digest authentication needs, never the password."""

from __future__ import annotations

import hashlib
import secrets

from attrs import frozen

from kemi_routes.subscribers.address import AoR
from kemi_routes.subscribers.errors import BadPassword

MAX_PASSWORD = 256  # characters
_GENERATED_BYTES = 18  # 144 random bits: HA1 is a plain hash, a stolen table must not be guessable


@frozen
class Credentials:
    """Values of the columns `ha1` and `ha1b` of Kamailio's subscriber table."""

    ha1: str
    ha1b: str


def credentials(aor: AoR, password: str, algorithm: str = "MD5") -> Credentials:
    """Hash a password for one AoR; the realm is the AoR's domain.

    ha1 is H(A1) of RFC 2617 section 3.2.2.2. ha1b is the same for phones that send user@domain as
    the digest username (auth_db, `calculate_ha1`/`password_column_2`). The algorithm is the one of
    the server's challenges, DIGEST_ALGORITHM: `MD5` or `SHA-256`.
    Errors: BadPassword.
    """
    check_password(password)
    return Credentials(
        ha1=_hash(f"{aor.user}:{aor.domain}:{password}", algorithm),
        ha1b=_hash(f"{aor}:{aor.domain}:{password}", algorithm),
    )


def check_password(password: str) -> None:
    """Refuse what cannot be typed into a phone. Errors: BadPassword, which never shows it."""
    if not password:
        raise BadPassword("the password is empty: give at least one character")
    if len(password) > MAX_PASSWORD:
        raise BadPassword(
            f"the password has {len(password)} characters: at most {MAX_PASSWORD} are allowed"
        )
    if any(character in password for character in "\r\n\0"):
        raise BadPassword("the password holds a line break or a NUL: choose one without")
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise BadPassword(
            "the password is not valid UTF-8: set the terminal to UTF-8 and try again"
        )


def generate_password() -> str:
    """Return a new random password of 24 characters that need no escaping anywhere."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


def _hash(text: str, algorithm: str) -> str:
    name = algorithm.replace("-", "").lower()
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
