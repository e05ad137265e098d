"""Generated calls of permissions, on the addresses in address.list and the peers below."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .calls import Calls

# source, protocol, pattern of the From URI, of the R-URI, tag, priority
PEERS: list[tuple[str, str, str | None, str | None, str | None, int]] = [
    ("127.0.0.1", "any", "^sip:alice@", None, "alice", 3),
    ("127.0.0.1", "udp", None, "^sip:\\(bob\\|1111\\)@", "bob", 1),
    ("127.0.0.1", "tcp", None, None, "tcp", 0),
    ("1.2.3.4", "udp", "[0-9]", "example", None, 2),
    ("1.2.3.4", "ANY", ":[a-z]*@.*[:;]", None, "last", 4),
    ("127.0.0.1", "none", None, None, "none", 0),
    ("127.0.0.1", "any", "a+b|(", None, "literal", 9),
]
_SOURCES = [
    *("udp:1.2.3.4:5", "udp:10.1.2.3:5060", "udp:127.0.0.2:5", "udp:9.9.9.9:9", "udp:1.2.3.5:1"),
    "tcp:127.0.0.1:77",
]
_HOSTS = [
    *("127.0.0.1", "10.1.2.3", "10.2.3.4", "1.2.3.4", "host.test", "HOST.test", "2001:db8::9"),
    *("[2001:db8::9]", "nonsense", "", "1.2.3.5", "127.0.0.9", "2001:db9::1"),
]
_PORTS = [0, 5, 5060, 1]
_GROUPS = [0, 1, 2, 3, 4, 5, 6, 7, -1]


def permission_calls() -> Calls:
    """Addresses are looked up, and what tag they left."""
    groups, hosts = st.sampled_from(_GROUPS), st.sampled_from(_HOSTS)
    ports = st.sampled_from(_PORTS)
    call = groups.map(lambda group: ["permissions.allow_source_address", group])
    call |= st.builds(
        lambda group, host, port: ["permissions.allow_address", group, host, port],
        groups,
        hosts,
        ports,
    )
    call |= st.builds(
        lambda host, port: ["permissions.allow_address_group", host, port], hosts, ports
    )
    call |= st.sampled_from(["allow_source_address_group", "allow_trusted", "allow_trusted"]).map(
        lambda name: [f"permissions.{name}"]
    )
    call |= st.sampled_from(_SOURCES).map(lambda text: ["corex.set_source_address", text])
    seen: list[list[Any]] = [["pv.get", "$(avp(peer)[*])"]]
    made = st.lists(call, min_size=3, max_size=12)
    return made.map(lambda chosen: [c for one in chosen for c in (one, *seen)])
