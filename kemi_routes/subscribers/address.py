"""The address of record (AoR) of a subscriber (RFC 3261 sections 10 and 25.1)."""

from __future__ import annotations

import ipaddress
import re
from typing import Self

from attrs import frozen

from kemi_routes.subscribers.errors import BadAddress

MAX_PART = 64  # characters: the size of the columns subscriber.username and subscriber.domain

# RFC 3261's unreserved and user-unreserved characters. Left out: `;` `?` `/` and %-escapes, which
# would let one subscriber be written in several ways.
_USER = re.compile(r"[A-Za-z0-9\-_.+!~*'()&=$,]+", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)


@frozen(order=True)
class AoR:
    """One address of record: `user@domain`."""

    user: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `user@domain` or `sip:user@domain`; the domain comes back in lower case.

        Errors: BadAddress, which says what is wrong with it.
        """
        bare = text.strip()
        if bare[:4].lower() == "sip:":
            bare = bare[4:]
        user, at, domain = bare.partition("@")
        if not at:
            raise BadAddress(f"{text!r} is not an address: write it as user@domain")
        _check_user(user)
        return cls(user, parse_domain(domain))

    def __str__(self) -> str:
        return f"{self.user}@{self.domain}"


def _check_user(user: str) -> None:
    if not _USER.fullmatch(user):
        raise BadAddress(
            f"{user!r} cannot be the user part of an address: "
            "use letters, digits and any of - _ . + ! ~ * ' ( ) & = $ ,"
        )
    if len(user) > MAX_PART:
        raise BadAddress(f"the user part has {len(user)} characters: at most {MAX_PART} fit")


def parse_domain(text: str) -> str:
    """Read a host name, an IPv4 address or a bracketed IPv6 address; return it in lower case.

    Errors: BadAddress, which says what is wrong with it.
    """
    domain = text.lower()
    if len(domain) > MAX_PART:
        raise BadAddress(f"the domain has {len(domain)} characters: at most {MAX_PART} fit")
    if not (_HOST_NAME.fullmatch(domain) or _is_address(domain)):
        raise BadAddress(
            f"{text!r} cannot be a domain: use a host name, an IPv4 address "
            "or an IPv6 address in brackets, without a port or parameters"
        )
    return domain


def _is_address(domain: str) -> bool:
    try:
        if domain.startswith("[") and domain.endswith("]"):
            return "%" not in domain and bool(ipaddress.IPv6Address(domain[1:-1]).packed)
        return bool(ipaddress.IPv4Address(domain).packed)
    except ValueError:
        return False
