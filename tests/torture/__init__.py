"""The torture messages of RFC 4475 and RFC 5118, and the answers that the RFCs want from us.

The files are the archives inside the RFCs, byte for byte.
"""

from __future__ import annotations

import re
from pathlib import Path

RFC4475 = Path(__file__).with_name("rfc4475")
RFC5118 = Path(__file__).with_name("rfc5118")
# The domains of their users.
DOMAINS = "example.test example.com example.net example.org"


def table(text: str) -> dict[str, frozenset[int]]:
    """The answers that each message may have, from lines of statuses and names."""
    rows = (line.split(": ") for line in text.strip().splitlines())
    answers = [(frozenset(map(int, row[0].split())), row[1].split()) for row in rows]
    return {name: statuses for statuses, names in answers for name in names}


# Kamailio's parser refuses these before any route runs (5.6 to 6.1): no routing can answer them.
DROPPED_BY_THE_CORE = frozenset(
    "wsinv intmeth esc02 badinv01 ncl quotbal lwsruri lwsstart badvers insuf multi01 mcl01".split()  # noqa: SIM905
)
RESPONSES = frozenset("unreason noreason scalarlg bigcode bcast".split())  # noqa: SIM905
# With the credentials of the user that they name.
REGISTRATIONS = frozenset("dblreq regbadct cparam01 cparam02 regescrt".split())  # noqa: SIM905
# 404, 407: valid, so routed; the user is none of ours, or it is ours and has to prove it.
# 401 to escnull: no account can have a NUL in its name, it is challenged as any unknown user.
ANSWERS = table("""
404 407: esc01 lwsdisp longreq semiuri transports inv2543 trws
404 407: mpart01 escruri baddate badaspec badbranch invut sdp01
400: clerr scalar02 ltgtruri baddn mismatch01 unksm2
400 501: mismatch02
401: escnull regaut01
416: unkscm novelsc
420: bext01
483: zeromf
200: dblreq regbadct cparam01 cparam02 regescrt
""")
# 407: read without fault, the user that calls is ours. 403: the R-URI is an address of its own,
# not ours. 481: a dialog that is not ours.
IPV6_ANSWERS = table("""
400: ipv6-bad
403: ipv6-good port-ambiguous port-unambiguous
404 480: ipv4-mapped-ipv6
407: ipv6-bug-abnf-3-colons ipv6-correct-abnf-2-colons ipv6-in-sdp mult-ip-in-sdp
407: via-received-param-no-delim
481: mult-ip-in-header via-received-param-with-delim
""")


def as_sent(path: Path) -> bytes:
    """A message of RFC 5118's archive, which has lost its line ends and so its body's length."""
    head, _, body = path.read_bytes().strip().replace(b"\n", b"\r\n").partition(b"\r\n\r\n")
    body += b"\r\n" if body else b""
    length = b"Content-Length: %d" % len(body)
    return re.sub(rb"Content-Length: \d+", length, head) + b"\r\n\r\n" + body
