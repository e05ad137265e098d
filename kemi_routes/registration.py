"""What a REGISTER says (RFC 3261 10.2), read once for all its steps."""

from __future__ import annotations

from typing import NamedTuple

import KSR

from kemi_routes import claim
from kemi_routes.claim import Claim

UDP = "1"  # a protocol, as Kamailio numbers them


class Registration(NamedTuple):
    """What a REGISTER says.

    expires        the Expires header's body, NULL without
    user           of the To URI
    protocol       that it came by, as a number: UDP is 1, TCP 2, TLS 3, WebSocket 5 and 6
    paths          how many Path headers there are (RFC 3327)
    contacts       how many Contact headers there are
    contact        the first one's body, NULL without
    """

    claim: Claim
    expires: str
    user: str
    cseq: str
    protocol: str
    paths: str
    contacts: str
    contact: str

    @property
    def has_path(self) -> bool:
        """Whether it has passed a proxy that wants to stay on the path."""
        return self.paths != "0"

    def all_contacts(self) -> list[str]:
        """The bodies of all Contact headers."""
        return [KSR.pv.gete(f"$(hdr(Contact)[{i}])") for i in range(int(self.contacts))]


_read = claim.reader_of(
    *("$hdr(Expires)", "$tU", "$cs", "$prid"),
    *("$hdrc(Path)", "$hdrc(Contact)", "$(hdr(Contact)[0])"),
)


def read() -> Registration:
    """That of the REGISTER that is routed; UnicodeDecodeError where it is no UTF-8."""
    values = _read()
    return Registration(claim.of(values), *values[claim.FIELDS :])
