"""What digest credentials say before anybody looks at the password (RFC 2617 3.2.2, RFC 7616).

Module auth checks nonce, nonce count and response. It never compares the `uri` with the request,
ignores `algorithm`, and forgets to whom a nonce was given as soon as there is an `nc`: so that is
here.
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import re
import socket
from collections.abc import Callable
from typing import NamedTuple

# Read as module auth reads, which knows no escapes within quotes, and no letters and white space
# but those of ASCII.
_SCHEME = re.compile(r"digest[\s,]\s*", re.IGNORECASE | re.ASCII)
_FIELD = re.compile(r'([^\s=",]+)\s*=\s*(?:"([^"]*)"|([^\s",][^\s,]*))\s*(?:,\s*|$)', re.ASCII)
# It takes `realXXXXe` for the nonce and `noncXXXXonse` for the response: its parser falls through.
_MISREAD = re.compile("real(?!m$)|nonc(?!e$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_URI = re.compile(
    r"(?P<scheme>sips?):(?P<user>[^@]*@)?(?P<host>\[[^\]]*\]|[^:;?]*)(?::(?P<port>\d+))?(?:[;?].*)?",
    re.IGNORECASE | re.DOTALL,
)
LENGTHS = {"MD5": 32, "SHA-256": 64}  # hexadecimal digits of a hash
_HASHES = {name: re.compile(f"[0-9a-fA-F]{{{length}}}") for name, length in LENGTHS.items()}
_NONCE_LENGTH = 60  # base64 of 45 bytes, see `is_bound`
_BOUND, _BOUND_LENGTH = 32, 21  # in it the bytes 24 to 39, but for their last two bits
_MAX_USERNAME = 64 + len("@") + 64  # characters: the columns username and domain


class Malformed(ValueError):
    """Credentials that nobody can read, or that don't belong to their request; says why."""


class Credentials(NamedTuple):
    """What credentials say of themselves, '' for what they don't say."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str


def read(header: str) -> Credentials | None:
    """What an Authorization or Proxy-Authorization header says.

    Args:
        header: its body.
    Returns:
        None for another scheme than Digest.
    Raises:
        Malformed: where it can be read in more than one way, or in none.
    """
    scheme = _SCHEME.match(header)
    if scheme is None:
        return None
    if _CONTROL.search(header):
        raise Malformed("Malformed Credentials")
    fields: dict[str, str] = {}
    at = scheme.end()
    while at < len(header):
        field = _FIELD.match(header, at)
        name = field[1].lower() if field else ""
        if field is None or name in fields or _MISREAD.match(name):
            raise Malformed("Malformed Credentials")
        fields[name] = field[2] if field[2] is not None else field[3]
        at = field.end()
    return Credentials._make(fields.get(name, "") for name in Credentials._fields)


def check(
    given: Credentials, uri: str, is_ours: Callable[[str], bool], algorithm: str = "MD5"
) -> None:
    """Hold credentials against the request that they came with.

    Args:
        given: as `read` returns them.
        uri: the R-URI of the request.
        is_ours: whether a URI is one of this server, as `KSR.is_myself` says.
        algorithm: the one of the challenge; credentials that name none mean MD5 (RFC 7616 3.4).
    Raises:
        Malformed: a field is missing or impossible, the algorithm is not the one of the challenge,
            or the `uri` is another one (RFC 2617 3.2.2.5: 400).
    """
    if not all(given[:-1]):
        raise Malformed("Incomplete Credentials")
    if len(given.username) > _MAX_USERNAME:
        raise Malformed("Username Too Long")
    if not given.username.isprintable():
        raise Malformed("Malformed Credentials")
    if not is_offered(given.algorithm, algorithm):
        raise Malformed("Digest Algorithm Was Not Offered")
    if not _HASHES[algorithm].fullmatch(given.response):
        raise Malformed(f"Digest Response Is No {algorithm}")
    if not is_for(given.uri, uri, is_ours):
        raise Malformed("Digest URI Is Not The Request-URI")


def is_offered(given: str, algorithm: str) -> bool:
    """Whether the `algorithm` of credentials is the one of the challenge; '' means MD5."""
    return (given.upper() or "MD5") == algorithm


def is_for(given: str, asked: str, is_ours: Callable[[str], bool]) -> bool:
    """Whether the `uri` of credentials is the R-URI, or only our own address: SIPp gives that for
    whatever it asks us.

    Args:
        is_ours: whether a URI is one of this server, as `KSR.is_myself` says.
    """
    if is_same_uri(given, asked):
        return True
    return "@" not in given and is_ours(given) and is_ours(asked)


def is_same_uri(given: str, asked: str) -> bool:
    """Whether the `uri` of credentials is the R-URI, as far as real phones take that seriously.

    They may leave out the port, leave out or add parameters and headers, and write host and scheme
    in another letter case.
    """
    if given == asked:
        return True
    one, other = _URI.fullmatch(given), _URI.fullmatch(asked)
    if one is None or other is None:
        return False
    if one["port"] and other["port"] and one["port"] != other["port"]:
        return False
    return _place(one) == _place(other)


def _place(uri: re.Match[str]) -> tuple[str, str | None, str]:
    return uri["scheme"].lower(), uri["user"], uri["host"].lower()


def is_bound(nonce: str, call_id: str, source: str, secret: str) -> bool:
    """Whether a nonce was given to this address for this Call-ID.

    A nonce is the base64 of: expiry (4 bytes), issue (4), MD5 of these, MD5 of what it is bound
    to, number (5). What it is bound to are the parts of the request that `auth_checks_register`
    and `auth_checks_no_dlg` name, with the second half of the secret (module auth).

    Args:
        nonce: of the credentials.
        call_id: of the request.
        source: the IP address that the request came from.
        secret: SERVER_SECRET.
    """
    bound = hashlib.md5(call_id.encode() + _bound_to(source, secret), usedforsecurity=False)
    # letter by letter: no other text than ours is read as ours
    ours = binascii.b2a_base64(bound.digest()).decode()[:_BOUND_LENGTH]
    return len(nonce) == _NONCE_LENGTH and nonce.startswith(ours, _BOUND)


@functools.lru_cache(maxsize=1024)
def _bound_to(source: str, secret: str) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in source else socket.AF_INET, source)
    key = secret.encode()
    return packed + key[(len(key) + 1) // 2 :]
