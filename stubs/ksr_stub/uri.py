"""SIP URIs, as Kamailio's parse_uri takes them apart (RFC 3261 19.1, core/parser/parse_uri.c)."""

from __future__ import annotations

import functools
import re

import attrs
from attrs import frozen

import ksr_stub.world  # a World has messages, and these have URIs

DEFAULT_PORTS = {"tls": 5061, "wss": 443, "ws": 80}
# The values of `transport` that set the protocol; `wss` is none of them in 5.6.
_PROTOCOLS = {"udp", "tcp", "tls", "sctp", "ws"}
_USER_END = re.compile(r"[@:;?\[\]]")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_HOST6 = re.compile(r"\[[^\]\[&@;?]*\]")
# the first character may be any
_URN_HOST = re.compile(r"(?s)[^\[\]:][A-Za-z0-9][A-Za-z0-9.:-]*|\[[^\]\[&@;?]*\]")
_DIGITS = re.compile(r"[0-9]*")
_MAX_PORT = 65535


@frozen
class Uri:
    """The parts of a URI, each as it is written, '' where it is not there.

    `kind` is what Kamailio takes it for: `sip`, `sips`, `tel` (also a sip URI with `user=phone`),
    `tels` (from 6.0 on a sips URI with it) or `urn`; `user_params` are the parameters within the
    user part of such a telephone number. `given` names the parts that are there, be they empty:
    `port`, `password`, `params`, `headers`, `user_params`.
    """

    scheme: str
    user: str
    password: str
    host: str
    port: str
    params: str
    headers: str
    kind: str = "sip"
    user_params: str = ""
    given: frozenset[str] = frozenset()

    @property
    def port_given(self) -> bool:
        """Whether there is a port, or the colon before one."""
        return "port" in self.given

    @property
    def port_number(self) -> int:
        """The port, 0 where there is none."""
        return int(self.port or 0)

    @property
    def effective_port(self) -> int:
        """The port that a request without an explicit one goes to."""
        return self.port_number or DEFAULT_PORTS.get(
            self.proto, 5061 if self.scheme == "sips" else 5060
        )

    @property
    def proto(self) -> str:
        """`udp`, `tcp`, ... of the transport parameter; `tls` for sips, else `udp`."""
        named = (self.param("transport") or "").lower()
        if self.scheme == "sips" and named in ("", "udp", "tcp"):
            return "tls"
        return named or "udp"

    @property
    def parsed_proto(self) -> str:
        """The protocol that parse_uri finds: '' without a transport it knows, also for sips."""
        return next(
            (
                value.lower()
                for value in reversed(self._known("transport"))
                if value.lower() in _PROTOCOLS
            ),
            "",
        )

    @property
    def address(self) -> str:
        """The URI without parameters and headers."""
        user = f"{self.user}{':' + self.password if self.password else ''}@" if self.user else ""
        return f"{self.scheme}:{user}{self.host}{':' + self.port if self.port else ''}"

    def param(self, name: str) -> str | None:
        """The value of a parameter, '' where it has none, None where it is not there."""
        for item in self.params.split(";"):
            key, _, value = item.partition("=")
            if key.strip().lower() == name:
                return value
        return None

    def has_param(self, name: str) -> bool:
        """Whether the parameter is there."""
        return self.param(name) is not None

    def known(self, name: str) -> str:
        """The value of a parameter that parse_uri keeps (transport, ttl, user, method, maddr, lr,
        r2), '' without one; of two the last counts."""
        return (self._known(name) or [""])[-1]

    def _known(self, name: str) -> list[str]:
        items = (item.partition("=") for item in self.params.split(";"))
        return [v for key, _, v in items if key.lower() == name and v and v[0] != ":"]


class _BadUri(Exception):
    """parse_uri gives up."""


def parse(text: str) -> Uri | None:
    """Take a URI apart.

    Returns:
        None where Kamailio refuses it: an unknown scheme, an empty host, a port that is no
        number up to 65535, characters that can't be.
    """
    return _parse(text, text[:5].lower().startswith(("urn:", "sips:")) and _is_6())


def _is_6() -> bool:
    """From 6.0 on a URN has no user, and a sips URI with `user=phone` remains secure."""
    return ksr_stub.world.current().version != "5.6"


@functools.lru_cache(maxsize=4096)
def _parse(text: str, is_6: bool) -> Uri | None:
    scheme, _, _ = text.partition(":")
    kind = scheme.lower()
    if kind not in ("sip", "sips", "tel", "urn"):
        return None
    scan = _Scan(text, kind == "urn")
    try:
        if kind == "urn" and is_6:
            scan.urn_host(len(scheme) + 1)
        else:
            scan.user_part(len(scheme) + 1)
    except _BadUri:
        return None
    stray_at = kind != "tel" and scan.host and not scan.user and scan.host_follows_at()
    return None if len(scan.port or "") > 5 or stray_at else _made(kind, scan, is_6)


def _made(kind: str, scan: _Scan, is_6: bool) -> Uri:
    optional = {"password": scan.password, "port": scan.port, "params": scan.params,
                "headers": scan.headers}  # fmt: skip
    given = frozenset(name for name, text in optional.items() if text is not None)
    found = Uri(
        kind, scan.user, scan.password or "", scan.host, scan.port or "", scan.params or "",
        scan.headers or "", kind, "", given,
    )  # fmt: skip
    if kind == "tel":
        return attrs.evolve(found, user=found.host, host="")
    if kind in ("sip", "sips") and found.known("user") == "phone":
        number, semicolon, params = found.user.partition(";")
        given |= {"user_params"} if semicolon else frozenset()
        phone = "tels" if kind == "sips" and is_6 else "tel"
        return attrs.evolve(found, kind=phone, user=number, user_params=params, given=given)
    return found


class _Scan:
    """One pass over a URI: each method reads the part that begins at an offset."""

    def __init__(self, text: str, urn: bool) -> None:
        self.text, self.urn = text, urn
        self.user = self.host = ""
        self.password: str | None = None
        self.port: str | None = None
        self.params: str | None = None
        self.headers: str | None = None
        self.host_start = 0
        self.found_user = False

    def user_part(self, start: int) -> None:
        first = self.text[start : start + 1]
        if first in ("", "]", ":"):
            raise _BadUri
        if first == "[":
            self.host_part(start)
            return
        self.host_start = start
        end = _USER_END.search(self.text, start + 1)
        if end is None:
            self.host = self.text[start:]
        elif end[0] == "@":
            self._host_behind(end.start(), self.text[start : end.start()], None)
        elif end[0] == ":":
            self._password_or_port(start, end.start())
        else:
            self.host = self.text[start : end.start()]
            self._tail(end.start())

    def urn_host(self, start: int) -> None:
        match = _URN_HOST.match(self.text, start)
        if match is None:
            raise _BadUri
        self.host_start, self.host = start, match[0]
        self._tail(match.end())

    def host_part(self, start: int) -> None:
        match = _HOST6.match(self.text, start) or _HOST.match(self.text, start)
        if match is None:
            raise _BadUri
        self.host_start, self.host = start, match[0]
        if self.text[match.end() : match.end() + 1] == ":":
            self._port(match.end() + 1)
        else:
            self._tail(match.end())

    def host_follows_at(self) -> bool:
        """An `@` without a user."""
        return self.text[self.host_start - 1] == "@" or self.host[0] == "@"

    def _host_behind(self, at: int, user: str, password: str | None) -> None:
        self.user, self.password, self.found_user = user, password, True
        self.host_part(at + 1)

    def _password_or_port(self, start: int, colon: int) -> None:
        digits = self._digits(colon + 1)
        end = colon + 1 + len(digits)
        follows = self.text[end : end + 1]
        if follows in ("", ";", "?"):
            self.host, self.port = self.text[start:colon], digits
            self.found_user = bool(follows)
            self._tail(end)
            return
        close = _USER_END.search(self.text, end)
        if close is not None and close[0] == "@":
            user, password = self.text[start:colon], self.text[colon + 1 : close.start()]
            self._host_behind(close.start(), user, password)
        elif close is None and self.urn:
            self.user, self.host = self.text[start:colon], self.text[colon + 1 :]
        else:
            raise _BadUri

    def _digits(self, start: int) -> str:
        match = _DIGITS.match(self.text, start)
        assert match is not None  # noqa: S101
        if int(match[0] or 0) > _MAX_PORT:
            raise _BadUri
        return match[0]

    def _port(self, start: int) -> None:
        self.port = self._digits(start)
        self._tail(start + len(self.port))

    def _tail(self, start: int) -> None:
        lead = self.text[start : start + 1]
        if lead == ";":
            self._params(start + 1)
        elif lead == "?":
            self._headers(start + 1)
        elif lead:
            raise _BadUri

    def _params(self, start: int) -> None:
        colon = 0
        for at in range(start, len(self.text)):
            char = self.text[at]
            if char == "@":
                self._user_after_all(at, colon)
                return
            if char == ":" and not self.found_user and not colon:
                colon = at
            elif char in ":;?" and colon:
                self.found_user, colon = True, 0
            if char == "?":
                self.params = self.text[start:at]
                self._headers(at + 1)
                return
        self.params = self.text[start:]

    def _headers(self, start: int) -> None:
        colon, semicolon = 0, False
        for at in range(start, len(self.text)):
            char = self.text[at]
            if char == "@":
                self._user_after_all(at, colon)
                return
            if char == ";":
                if self.found_user or colon:
                    raise _BadUri
                semicolon = True
            elif char == ":" and not self.found_user and not colon:
                colon = at
            elif char in ":?" and colon:
                self.found_user, colon = True, 0
        if semicolon:
            raise _BadUri
        self.headers = self.text[start:]

    def _user_after_all(self, at: int, colon: int) -> None:
        """What looked like host and parameters was a user: `sip:alice;day=tuesday@host`."""
        if self.found_user:
            raise _BadUri
        user = self.text[self.host_start : colon or at]
        self.port = self.params = None
        self._host_behind(at, user, self.text[colon + 1 : at] if colon else None)
