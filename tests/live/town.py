"""A server with a public address and the homes around it, shared by the tests of one file.

A test takes users, phones and NATs of its own from the town, so the tests do not see each other's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .call import Call
from .homes import PRIVATE
from .message import Address, Message, address_uri, parameter
from .network import SERVER, SERVER6, Namespace, Nat, Network
from .patience import eventually
from .phone import Phone
from .requirement import require
from .server import LAUNCHER, Server

SOCKETS = " ".join(
    f"{kind}:{host}:{port}"
    for host in (SERVER, f"[{SERVER6}]")
    for kind, port in (("udp", 5060), ("tcp", 5060), ("tls", 5061))
)


class Town:
    """`server` on 203.0.113.10 and [2001:db8:113::10], and the `network` to put phones into."""

    def __init__(self, network: Network, host: Namespace, settings: Mapping[str, str]) -> None:
        self.network = network
        self.server = Server(host, SOCKETS, settings)
        self._numbers = itertools.count(1001)
        self._public = itertools.count(100)

    def user(self) -> str:
        """The number of a user who has no phone yet."""
        return str(next(self._numbers))

    def nat(self) -> Nat:
        """The router of another home."""
        return self.network.nat(f"home{next(self._numbers)}")

    def phone_at_home(
        self,
        user: str | None = None,
        nat: Nat | None = None,
        transport: str = "udp",
        contact: str | None = None,
        address: str = PRIVATE,
    ) -> Phone:
        """A phone on 192.168.0.103:5060, the only one behind its NAT unless that is given."""
        host = self.network.host_behind(nat or self.nat(), address)
        return self.server.phone(host, user or self.user(), transport, contact=contact)

    def public_host(self) -> Namespace:
        """A host with no NAT, on IPv4 and IPv6."""
        number = next(self._public)
        return self.network.public_host(f"203.0.113.{number}", f"2001:db8:113::{number}")

    def public_phone(
        self,
        user: str | None = None,
        transport: str = "udp",
        contact: str | None = None,
        ipv6: bool = False,
    ) -> Phone:
        """A phone with no NAT, on port 5060 of its host."""
        host = self.public_host()
        address = f"2001:db8:113::{host.address.rpartition('.')[2]}" if ipv6 else host.address
        local: Address = (address, 5060)
        return self.server.phone(host, user or self.user(), transport, local, contact)

    def caller(self) -> Phone:
        """A public phone that only calls: it has not registered."""
        return self.public_phone()


@contextmanager
def open_town(settings: Mapping[str, str] | None = None) -> Iterator[Town]:
    """A town whose server has these settings; all of it is gone at the end."""
    require("root", "ip", "nft", "kamailio", LAUNCHER)
    with Network() as network:
        yield Town(network, network.server_host(), settings or {})


def contacts(response: Message) -> list[str]:
    """The Contact URIs that a 200 to REGISTER lists."""
    return [address_uri(value) for value in response.all("Contact")]


def source_seen(response: Message) -> Address:
    """Where the server says our request came from (RFC 3581)."""
    via = response["Via"]
    return parameter(via, "received"), int(parameter(via, "rport"))


def rings(caller: Phone, phones: list[Phone], user: str) -> None:
    """Call a user, and see each of these phones ring and stop ringing when the caller gives up."""
    call = caller.invite(user)
    ringing = [phone.expect_request("INVITE") for phone in phones]
    for invite in ringing:
        invite.reply(180)
    # a phone whose 180 crosses the CANCEL may be passed over by tm
    eventually(lambda: rung(call) == len(phones), "180 from each phone")
    call.cancel().wait_for(200)
    for phone, invite in zip(phones, ringing, strict=True):
        phone.expect_request("CANCEL").reply(200)
        invite.reply(487)
        phone.expect_request("ACK")
    call.wait_for(487)


def rung(call: Call) -> int:
    """How many phones the caller has heard ring."""
    return [response.status for response in call.invite.responses].count(180)
