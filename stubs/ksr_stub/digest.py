"""The client's side of digest authentication (RFC 2617, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import re

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def fields(value: str) -> dict[str, str]:
    """The fields of a challenge or of credentials, names in lower case."""
    _, _, rest = value.strip().partition(" ")
    return {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(rest)}


def credentials(
    challenge: str,
    method: str,
    uri: str,
    user: str,
    password: str,
    *,
    body: bytes = b"",
    nc: int = 1,
    cnonce: str = "c0ffee01",
) -> str:
    """The value of an Authorization or Proxy-Authorization header.

    Args:
        challenge: the value of WWW-Authenticate or Proxy-Authenticate.
        method: of the request.
        uri: its R-URI.
        user: the user part, as it is in From.
        password: in clear.
        body: of the request, for qop=auth-int.
        nc: how often this nonce has been used.
        cnonce: the client's nonce.
    Raises:
        ValueError: the challenge wants an algorithm other than MD5 and SHA-256.
    """
    asked = fields(challenge)
    algorithm = asked.get("algorithm", "MD5")
    if algorithm.upper() not in _HASHES:
        raise ValueError(f"the challenge wants {algorithm}; MD5 and SHA-256 are known")

    def hashed(text: str) -> str:
        return _HASHES[algorithm.upper()](text.encode()).hexdigest()

    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
    qops = [word.strip() for word in asked.get("qop", "").split(",") if word.strip()]
    qop = "auth" if "auth" in qops else (qops[0] if qops else "")
    ha1 = hashed(f"{user}:{realm}:{password}")
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 += f":{_HASHES[algorithm.upper()](body).hexdigest()}"
    middle = f"{nonce}:{nc:08x}:{cnonce}:{qop}" if qop else nonce
    response = hashed(f"{ha1}:{middle}:{hashed(a2)}")
    value = (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}",'
        f' response="{response}", algorithm={algorithm}'
    )
    if qop:
        value += f', qop={qop}, nc={nc:08x}, cnonce="{cnonce}"'
    if "opaque" in asked:
        value += f', opaque="{asked["opaque"]}"'
    return value
