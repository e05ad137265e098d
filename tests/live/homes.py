"""Private networks that all use 192.168.0.0/24, each behind its own NAT, and the server between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .message import Address, Message, parameter
from .network import Namespace, Nat, Network
from .phone import Phone
from .requirement import require
from .server import LAUNCHER, Server

PRIVATE = "192.168.0.103"


class Homes:
    """The phones' places: `phone("home", "1111")` is behind the NAT of that name, made when it is
    first asked for. In every home the phone has the same private address, 192.168.0.103; another
    one in the same home needs another."""

    def __init__(self, network: Network, server: Server) -> None:
        self.network, self.server = network, server
        self._nats: dict[str, Nat] = {}
        self._hosts: dict[str, Namespace] = {}

    def nat(self, home: str) -> Nat:
        """The router of a home."""
        if home not in self._nats:
            self._nats[home] = self.network.nat(home)
        return self._nats[home]

    def host(self, home: str, address: str = PRIVATE) -> Namespace:
        """The host with a private address in a home."""
        place = f"{home} {address}"
        if place not in self._hosts:
            self._hosts[place] = self.network.host_behind(self.nat(home), address)
        return self._hosts[place]

    def public_host(self, address: str, address6: str | None = None) -> Namespace:
        """A host with no NAT, made when it is first asked for."""
        if address not in self._hosts:
            self._hosts[address] = self.network.public_host(address, address6)
        return self._hosts[address]

    @contextmanager
    def phone(
        self, home: str, user: str, transport: str = "udp", address: str = PRIVATE
    ) -> Iterator[Phone]:
        """A registered phone in a home; afterwards it has no binding, no socket and no hole in its
        NAT: what the server still repeats for it does not reach the phone of the next test."""
        try:
            made = self.server.phone(self.host(home, address), user, transport)
            with registered(self.server, made) as phone:
                yield phone
        finally:
            self.nat(home).rebind()


@contextmanager
def two_homes(settings: Mapping[str, str] | None = None) -> Iterator[Homes]:
    """A network with the server on its public address and these settings."""
    require("root", "ip", "nft", "kamailio", LAUNCHER)
    with Network() as network:
        yield Homes(network, Server(network.server_host(), settings=settings))


@contextmanager
def registered(server: Server, phone: Phone) -> Iterator[Phone]:
    """Register a phone; afterwards remove the bindings of its user and close its socket."""
    try:
        answer = phone.register(timeout=15)
        assert answer.status == 200, f"{phone} is not registered:\n{answer}"
        yield phone
    finally:
        server.kamcmd("ul.rm", "location", f"{phone.user}@{phone.domain}")
        phone.close()


def public_address(phone: Phone) -> Address:
    """Where the server sees a phone now: received and rport of its last own Via that came back."""
    for direction, message in reversed(phone.log):
        if direction == "<" and not message.is_request and parameter(message["Via"], "rport"):
            return parameter(message["Via"], "received"), int(parameter(message["Via"], "rport"))
    raise AssertionError(f"{phone} has had no response")


def alias(message: Message) -> Address:
    """The public address that the alias in the Contact of a message names."""
    host, port, _ = parameter(message["Contact"], "alias").split("~")
    return host, int(port)
