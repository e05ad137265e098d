"""A running server of one configuration, and who is around. All of them live on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from attrs import frozen

from bench.database import DOMAIN, connect, fill, password, user
from bench.servers import Config, Server
from tests.live.message import Message, host_port
from tests.live.network import Namespace
from tests.live.patience import eventually
from tests.live.phone import Phone
from tests.live.postgres import PostgresServer

FOREIGN = "elsewhere.example"
STRANGER = f"<sip:stranger@{FOREIGN}>;tag=1"
URI = f"sip:{DOMAIN}"
SUBSCRIBERS = 200
ATTEMPTS = 3  # until a request that is lost on the way counts as such
# the last byte of an address; the one before it is another for each probe
PHONE, NEIGHBOUR, ATTACKER, VICTIM = 4, 5, 6, 66
QUIET = 0.7  # seconds without a packet to somebody, until none is expected any more


@frozen
class Finding:
    """What a probe has found: whether the server has withstood, and in a word how."""

    withstood: bool
    words: str


class Scene:
    """One server with subscribers that no probe has used yet."""

    def __init__(self, server: Server, postgres: PostgresServer, host: Namespace) -> None:
        self.server, self.postgres, self._host = server, postgres, host
        self.address = ("127.0.0.1", server.port)
        self._numbers = itertools.count()
        self._probes = 0
        self._phones: list[Phone] = []

    def phone(self, place: int = PHONE) -> Phone:
        """A phone of the next subscriber; it is not registered."""
        number = next(self._numbers)
        return self._made(user(number), DOMAIN, password(number), place)

    def another(self, phone: Phone, place: int) -> Phone:
        """Somebody at another address who says that he is the same user, without his password."""
        return self._made(phone.user, DOMAIN, None, place)

    def stranger(self, place: int = ATTACKER) -> Phone:
        """Somebody with no account here."""
        return self._made("stranger", FOREIGN, None, place)

    def clear(self) -> None:
        """Close all phones; the next probe is about other addresses, which nobody has banned."""
        self._probes += 1
        while self._phones:
            self._phones.pop().close()

    def place(self, host: int) -> str:
        """The address of somebody in this probe."""
        return f"127.0.{self._probes + 1}.{host}"

    def _made(self, name: str, domain: str, secret: str | None, place: int) -> Phone:
        made = Phone(self._host, name, domain, secret, self.address, local=(self.place(place), 0))
        self._phones.append(made)
        return made


@frozen
class Probe:
    """One attack. `attempt` raises AssertionError where it waits for an answer that never comes."""

    group: str
    name: str
    attempt: Callable[[Scene], Finding]

    def run(self, scene: Scene) -> Finding:
        """Attack; nobody who took part stays behind."""
        for _ in range(ATTEMPTS):
            try:
                return self.attempt(scene)
            except AssertionError:
                continue
            finally:
                scene.clear()
        return Finding(False, "no answer")


@contextmanager
def scene_of(config: Config) -> Iterator[Scene]:
    """Start a configuration with a PostgreSQL server of its own."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        fill(postgres.url, SUBSCRIBERS, (9, 9), alias=config.alias)
        with connect(postgres.url) as connection:
            connection.execute("DELETE FROM location WHERE username LIKE 'u0%'")
        host = stack.enter_context(Namespace())
        server = Server(config, postgres.url, 0)
        stack.callback(server.close)
        if config.warm:  # the first worker answers before the last one has its database
            eventually(lambda: "Kamailio is ready" in server.log, "ready server")
        yield Scene(server, postgres, host)


def at(phone: Phone) -> str:
    """Host and port of a phone, for a URI."""
    return host_port(phone.local)


def received(phone: Phone) -> list[Message]:
    """All that has come to a phone."""
    return [message for way, message in phone.log if way == "<"]


def refused(code: int) -> bool:
    """Whether an answer refuses a request; AssertionError where nothing was decided about it."""
    assert 200 <= code < 500, f"answered with {code}"
    return code >= 300


def hears(phone: Phone, timeout: float = QUIET) -> bool:
    """Whether anything comes to a phone."""
    try:
        phone.wait_until(lambda: received(phone) or phone.keepalives or None, timeout, "packet")
    except AssertionError:
        return False
    return True


def status(phone: Phone, request: Message, timeout: float = 5) -> int:
    """The final answer to a request, 0 where there is none."""
    try:
        return phone.start(request).final(timeout).status
    except AssertionError:
        return 0
