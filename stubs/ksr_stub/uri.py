"""SIP URIs, as Kamailio's parse_uri takes them apart (RFC 3261 19.1)."""

from __future__ import annotations

import re

from attrs import frozen

_SCHEMES = {"sip", "sips", "tel", "tels", "urn"}
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[^:;?@\[\]\s<>\"]+")
DEFAULT_PORTS = {"tls": 5061, "wss": 443, "ws": 80}


@frozen
class Uri:
    """The parts of a URI, each as it is written, '' where it is not there."""

    scheme: str
    user: str
    password: str
    host: str
    port: str
    params: str
    headers: str

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


def parse(text: str) -> Uri | None:
    """Take a URI apart.

    Returns:
        None where Kamailio refuses it: an unknown scheme, an empty host, a port that is no
        number up to 65535.
    """
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in _SCHEMES or not rest:
        return None
    if scheme in ("tel", "tels", "urn"):
        number, _, params = rest.partition(";")
        return Uri(scheme, number, "", "", "", params, "")
    return _parse_sip(scheme, rest)


def _parse_sip(scheme: str, rest: str) -> Uri | None:
    userinfo, at, hostpart = (
        rest.rpartition("@") if "@" in rest.partition("?")[0] else ("", "", rest)
    )
    if at and not userinfo:
        return None
    user, _, password = userinfo.partition(":")
    match = _HOST.match(hostpart)
    if match is None:
        return None
    tail, port = hostpart[match.end() :], ""
    if tail.startswith(":"):
        digits = re.match(r":(\d{1,5})(?=[;?]|$)", tail)
        if digits is None or int(digits[1]) > 65535:
            return None
        port, tail = digits[1], tail[digits.end() :]
    if tail and tail[0] not in ";?":
        return None
    params, _, headers = tail.partition("?")
    return Uri(scheme, user, password, match[0], port, params.removeprefix(";"), headers)
