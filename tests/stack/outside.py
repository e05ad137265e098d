"""Two phones, 1111 at home and 2222 in the office, each behind a NAT of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.live.call import Call
from tests.live.conversation import answer, hang_up, ring
from tests.live.media import RtpStream, media_address
from tests.live.message import Address
from tests.live.network import Namespace, Nat, Network
from tests.live.phone import Phone

from .stack import Stack

PRIVATE = "192.168.0.103"
# Of the networks for benchmarks (RFC 2544): the machine's own internet may need those of examples.
INTERNET = "198.18.77"
HOMES = {"1111": "home", "2222": "office"}
PACKETS = 50


class Outside:
    """The homes in a network, and the subscribers of a stack."""

    def __init__(self, network: Network, stack: Stack) -> None:
        self.network, self.stack = network, stack
        self._homes = {
            user: _home(network, name, f"{INTERNET}.{number}")
            for number, (user, name) in enumerate(HOMES.items(), 20)
        }
        self.passwords: dict[str, str] = {}

    def router(self, user: str) -> Nat:
        """The router of a user's home."""
        return self._homes[user][0]

    def password(self, aor: str) -> str:
        """The password of a subscriber, who is added if new, as the README says."""
        if aor not in self.passwords:
            add = ("kemi-routes", "subscriber", "add", aor, "--generate")
            self.passwords[aor] = self.stack.exec("kamailio", *add).strip()
        return self.passwords[aor]

    def remove(self, aor: str) -> None:
        """Remove a subscriber, if there is one."""
        if self.passwords.pop(aor, None):
            self.stack.exec("kamailio", "kemi-routes", "subscriber", "rm", aor)

    def phone(
        self,
        user: str,
        transport: str = "udp",
        domain: str | None = None,
        server: Address | None = None,
    ) -> Phone:
        """The phone of a user, not registered yet."""
        host, port = server or self.stack.sip
        where = (host, 5061 if transport == "tls" else port)
        domain = domain or host
        secret = self.password(f"{user}@{domain}")
        return Phone(self._homes[user][1], user, domain, secret, where, transport)

    @contextmanager
    def phones(
        self, transport: str = "udp", domain: str | None = None, server: Address | None = None
    ) -> Iterator[tuple[Phone, Phone]]:
        """Both phones, registered; afterwards they are gone from here and from the server."""
        pair = [self.phone(user, transport, domain, server) for user in self._homes]
        try:
            for phone in pair:
                final = phone.register(timeout=15)
                assert final.status == 200, final
                bound = self.stack.bindings(f"{phone.user}@{phone.domain}")
                assert len(bound) == 1, f"{bound}: those of an earlier test have come back"
            yield pair[0], pair[1]
        finally:
            for phone in pair:
                self.stack.forget(f"{phone.user}@{phone.domain}")
                phone.close()
            for nat, _ in self._homes.values():
                nat.rebind()


def talk(caller: Phone, callee: Phone) -> tuple[tuple[Call, Call], tuple[RtpStream, RtpStream]]:
    """A confirmed call, and its two voices, which hear each other through the relay."""
    voices = RtpStream(caller.host), RtpStream(callee.host)
    call, incoming = ring(caller, callee, voices[0].sdp())
    ends = answer(call, incoming, voices[1].sdp())
    voices[0].remote = media_address(call.wait_for(200).body)
    voices[1].remote = media_address(incoming.message.body)
    heard = RtpStream.exchange(*voices, packets=PACKETS)
    assert min(heard) >= PACKETS, f"they heard {heard} packets of each other"
    return ends, voices


def call_and_hang_up(caller: Phone, callee: Phone) -> set[str]:
    """A call with voice in both directions; the hosts that the voices were sent to."""
    ends, voices = talk(caller, callee)
    hang_up(*ends)
    return {voice.remote[0] for voice in voices if voice.remote}


def is_written(stack: Stack, phone: Phone) -> bool:
    """Whether the binding that a phone has now is in the database: it is written behind."""
    bound = stack.bindings(f"{phone.user}@{phone.domain}")
    return bool(bound) and bound == _contacts_in_database(stack, phone)


def _contacts_in_database(stack: Stack, phone: Phone) -> list[str]:
    """The contacts that the database has for a phone's user."""
    rows = stack.sql("SELECT username, contact FROM location").splitlines()
    return [row.partition("|")[2] for row in rows if row.startswith(f"{phone.user}|")]


def _home(network: Network, name: str, public: str) -> tuple[Nat, Namespace]:
    nat = network.nat(name, public)
    return nat, network.host_behind(nat, PRIVATE)
