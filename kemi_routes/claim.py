"""What a request says of its sender, and where it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import KSR

from kemi_routes.digest import Credentials
from kemi_routes.variables import reader

# The headers that carry credentials (RFC 3261 22.2, 22.3).
OF_REGISTER, OF_OTHERS = "Authorization", "Proxy-Authorization"
_REALM = "$ar"
_CREDENTIALS = ("$aU", _REALM, "$adn", "$adu", "$adr", "$aa")
_REST = (
    *(f"$hdrc({header})" for header in (OF_REGISTER, OF_OTHERS)),
    *("$ou", "$fd", "$fu", "$tu", "$si", "$sp", "$ci"),
)
_GIVEN = len(_CREDENTIALS)
FIELDS = _GIVEN + len(_REST)


class Claim(NamedTuple):
    """What a request says of its sender, and where it came from.

    credentials      the first ones, as module auth reads them; all '' where it can't
    authorizations   how many headers carry some for us
    proxies          how many carry some for a proxy; where there are, these are the first ones
    uri              the R-URI as it came
    domain           of the From URI
    sender, to       the URIs in From and To
    source, port     where it came from
    """

    credentials: Credentials
    authorizations: str
    proxies: str
    uri: str
    domain: str
    sender: str
    to: str
    source: str
    port: str
    call_id: str


def reader_of(*more: str) -> Callable[[], list[str]]:
    """A function that reads what `of` takes, and more variables behind it.

    Args:
        more: as for `variables.reader`.
    """
    read_all, read_rest = reader(*_CREDENTIALS, *_REST, *more), reader(*_REST, *more)

    def read() -> list[str]:
        # of credentials that module auth can't read, each variable would be an error in the log
        return read_all() if KSR.pv.gete(_REALM) else [""] * _GIVEN + read_rest()

    return read


def of(values: list[str]) -> Claim:
    """The claim that these variables make, which may be followed by more."""
    return Claim(Credentials._make(values[:_GIVEN]), *values[_GIVEN:FIELDS])


_read_claim = reader_of()


def read_claim() -> Claim:
    """That of the request that is routed, if it is no REGISTER."""
    return of(_read_claim())
