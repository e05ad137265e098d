"""Digest credentials as Kamailio reads and checks them (core/parser/digest, RFC 2617)."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping

from attrs import frozen

from ksr_stub.message import Header, ParseError, SipMessage

_SPACE = " \t\r\n"
_VALUE = re.compile(r'"([^"]*)"|([^ \t\r\n,"][^ \t\r\n,]*)')
_SCHEME = re.compile(r"digest[ \t\r\n,]", re.IGNORECASE)
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@frozen
class Credentials:
    """The fields of one Authorization or Proxy-Authorization header, names in lower case."""

    header: Header
    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        """A field, '' where it is not there."""
        return self.fields.get(name, "")

    @property
    def complete(self) -> bool:
        """All that a response can be checked with is there."""
        needed = ["username", "realm", "nonce", "uri", "response"]
        if self.get("qop").strip().lower() in ("auth", "auth-int"):
            needed += ["cnonce", "nc"]
        return all(name in self.fields for name in needed)

    @property
    def user(self) -> str:
        """The user part of `user`, `user@domain` or `sip:user@domain`."""
        whole = self.get("username")
        if len(whole) <= 2:
            return whole
        name = whole.partition("@")[0]
        return name.partition(":")[2] if ":" in name else name

    @property
    def domain(self) -> str:
        """The domain of `user@domain`."""
        whole = self.get("username")
        return whole.partition("@")[2] if len(whole) > 2 else ""

    def answers(self, ha1: str, method: str, algorithm: str) -> bool:
        """Whether the response is what somebody who knows HA1 would answer."""
        auth_int = self.get("qop").strip().lower() == "auth-int"
        a2 = f"{method}:{self.get('uri')}" + (f":{_NO_BODY}" if auth_int else "")
        middle = self.get("nonce")
        if self.get("qop"):
            middle += f":{self.get('nc')}:{self.get('cnonce')}:{self.get('qop')}"
        expected = hashed(f"{ha1}:{middle}:{hashed(a2, algorithm)}", algorithm)
        return self.get("response") == expected


# Kamailio never hashes the body: for auth-int there is nothing it can match.
_NO_BODY = "-" * 32


def hashed(text: str, algorithm: str) -> str:
    """The hexadecimal hash of a Latin-1 text."""
    return HASHES[algorithm](text.encode("latin-1")).hexdigest()


def parse(header: Header) -> Credentials | None:
    """Read a header field; None if it is of another scheme than Digest.

    Raises:
        ParseError: it is broken.
    """
    fields = _fields(header.body)
    return None if fields is None else Credentials(header, fields)


@functools.lru_cache(maxsize=256)
def _fields(body: str) -> Mapping[str, str] | None:
    scheme = _SCHEME.match(body)
    if scheme is None:
        return None
    fields: dict[str, str] = {}
    rest = body[scheme.end() :].lstrip(_SPACE)
    while True:
        # a name that is not known goes up to the next `=`, whatever stands before it
        name, equal, rest = rest.partition("=")
        value = _VALUE.match(rest.lstrip(_SPACE))
        if not equal or value is None:
            raise ParseError(f"bad digest credentials at {name[:30]!r}")
        fields[name.rstrip(_SPACE).lower()] = value[1] if value[1] is not None else value[2]
        _, comma, rest = rest.lstrip(_SPACE)[value.end() :].partition(",")
        rest = rest.lstrip(_SPACE)
        if not comma:
            return fields


def find(message: SipMessage, key: str, realm: str) -> Credentials | None:
    """The first credentials for a realm (without case) in headers of that name.

    Raises:
        ParseError: a header before them is broken.
    """
    for header in message.all(key):
        found = parse(header)
        if found is not None and found.get("realm").lower() == realm.lower():
            return found
    return None
