"""Generated credentials, right and wrong ones, and the calls of module auth that look at them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import strategies as st

from .calls import Calls

REALM, PASSWORD, SECRET = "example.test", "secret", "a-secret-of-32-characters-or-more"
_HASHES: dict[str, Callable[[bytes], Any]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@attrs.frozen
class Credentials:
    """What a header field says; `nonce` is `now`, `old` or `broken`."""

    header: str
    method: str
    user: str
    realm: str
    password: str
    nonce: str
    algorithm: str
    written_algorithm: str
    qop: str
    nc: str
    left_out: str
    more: str

    def line(self, nonces: dict[str, str]) -> str:
        """The header field."""
        nonce, uri, cnonce = nonces[self.nonce], "sip:example.test", "c0"
        ha1 = self._hash(f"{self.user}:{self.realm}:{self.password}")
        middle = f":{self.nc}:{cnonce}:{self.qop}" if self.qop else ""
        response = self._hash(f"{ha1}:{nonce}{middle}:{self._hash(f'{self.method}:{uri}')}")
        fields = {
            "username": f'"{self.user}"',
            "realm": f'"{self.realm}"',
            "nonce": f'"{nonce}"',
            "uri": f'"{uri}"',
            "response": f'"{response}"',
        }
        if self.qop:
            fields |= {"qop": self.qop, "nc": self.nc, "cnonce": f'"{cnonce}"'}
        if self.written_algorithm:
            fields["algorithm"] = self.written_algorithm
        fields.pop(self.left_out, None)
        text = ", ".join(f"{name}={value}" for name, value in fields.items())
        return f"{self.header}: Digest {text}{self.more}"

    def message(self, nonces: dict[str, str], port: int) -> str:
        """A request with them; `header` '' is none."""
        lines = [f"{self.method} sip:example.test SIP/2.0"]
        lines += [f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKa1;rport"]
        lines += ["From: <sip:alice@example.test>;tag=1", "To: <sip:alice@example.test>"]
        lines += ["Call-ID: c1@x", f"CSeq: 7 {self.method}"]
        lines += [self.line(nonces)] if self.header else []
        return "\r\n".join([*lines, "Content-Length: 0", "", ""])

    def _hash(self, text: str) -> str:
        digest: str = _HASHES[self.algorithm](text.encode("latin-1")).hexdigest()
        return digest


def credentials() -> st.SearchStrategy[Credentials]:
    """Half of them are right in all that matters."""
    good = st.builds(
        Credentials,
        header=st.sampled_from(["Authorization", "Proxy-Authorization"]),
        method=st.sampled_from(["REGISTER", "INVITE", "MESSAGE"]),
        user=st.sampled_from(["alice", "bob"]),
        realm=st.just(REALM),
        password=st.just(PASSWORD),
        nonce=st.just("now"),
        algorithm=st.sampled_from(["MD5", "SHA-256"]),
        written_algorithm=st.sampled_from(["", "MD5", "SHA-256"]),
        qop=st.sampled_from(["", "auth"]),
        nc=st.just("00000001"),
        left_out=st.just(""),
        more=st.just(""),
    )
    any_ = st.builds(
        Credentials,
        header=st.sampled_from(["Authorization", "Proxy-Authorization", ""]),
        method=st.sampled_from(["REGISTER", "INVITE", "ACK", "CANCEL", "BYE", "FOO"]),
        user=st.sampled_from(["alice", "alice@example.test", "sip:alice@example.test", "", "a b"]),
        realm=st.sampled_from([REALM, "Example.TEST", "other", ""]),
        password=st.sampled_from([PASSWORD, "wrong"]),
        nonce=st.sampled_from(["now", "now", "old", "broken", "none"]),
        algorithm=st.sampled_from(["MD5", "SHA-256"]),
        written_algorithm=st.sampled_from(["", "MD5", '"MD5"', "md5", "SHA-256", "MD5-sess", "x"]),
        qop=st.sampled_from(["", "auth", "auth-int", '"auth"', "x"]),
        nc=st.sampled_from(["00000001", "00000002", "1", "x"]),
        left_out=st.sampled_from(
            ["", "", "username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce"]
        ),
        more=st.sampled_from(["", "", ', opaque="x"', ", x=y", ",", ' z="', ", realm=again"]),
    )
    return good | any_


_SEEN = [
    *("$au", "$aU", "$ad", "$ar", "$adu", "$aa", "$adn", "$adc", "$adr", "$ado"),
    *("$Au", "$AU"),
]


def auth_calls() -> Calls:
    """The checks, some of them twice, and what is left of the header field."""
    realms = st.sampled_from([REALM, REALM, REALM, "EXAMPLE.test", "other"])
    passwords = st.sampled_from([PASSWORD, PASSWORD, PASSWORD, "wrong"])
    check = st.builds(
        lambda realm, password, flags, checks: [
            "auth.pv_auth_check",
            realm,
            password,
            flags,
            checks,
        ],
        realms,
        passwords,
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([0, 0, 0, 1, 2, 8, 15]),
    )
    other = st.sampled_from(
        [
            ["auth.consume_credentials"],
            ["auth.auth_challenge", REALM, 0],
            ["auth.auth_challenge", REALM, 1],
            ["auth.auth_challenge", REALM, 16],
            ["siputils.has_totag"],
        ]
    )
    seen: list[list[Any]] = [["pv.get", name] for name in _SEEN]
    after: list[list[Any]] = [["textopsx.msg_apply_changes"], ["pv.get", "$mb"]]
    made = st.lists(check | other, min_size=1, max_size=3)
    return made.map(lambda chosen: [*seen, *chosen, *seen, *after])
