"""`ksr`: what a test holds in its hands. It wraps one World."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import attrs

from ksr_stub import loader, script, server, signatures, watch
from ksr_stub.cfg import Config, parse_socket
from ksr_stub.errors import StubError, UnknownFunction
from ksr_stub.message import Address, Socket
from ksr_stub.models import rtimer
from ksr_stub.models.auth_db import Subscribers
from ksr_stub.models.rtpengine import RtpEngine
from ksr_stub.models.sqlops import Sql
from ksr_stub.models.usrloc import Usrloc
from ksr_stub.phone import PROTO_WITH_CONNECTION, Phone
from ksr_stub.sending import Hosts
from ksr_stub.text import to_python
from ksr_stub.traffic import Message, Result, render, stub_text
from ksr_stub.world import World

DEFAULT_SOURCE = ("203.0.113.7", 40123)


@attrs.define(eq=False)
class TestClock:
    """The time of the World; it stands still until the test moves it."""

    __test__ = False

    _ksr: Ksr

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._ksr.world.clock.now

    def advance(self, seconds: float) -> Result:
        """Let time pass: bindings expire, timers fire, phones answer what reaches them."""
        return self._ksr._advance(seconds)


@attrs.define(eq=False)
class Ksr:
    """A Kamailio for one test.

    `world` is all its state; the rest is shorthand for it.
    """

    world: World = attrs.Factory(World)
    results: list[Result] = attrs.Factory(list)
    phones: list[Phone] = attrs.Factory(list)
    _script: loader.Script | None = None
    _delivered: int = 0
    _delivering: bool = False
    _connections: int = 0

    # Before the first message

    def define(self, **values: object) -> None:
        """Set `#!define`s, as kamailio.cfg would."""
        self.world.defines.update({name: str(value) for name, value in values.items()})

    def param(self, module: str, name: str, value: object) -> None:
        """Set a module parameter, as `modparam(module, name, value)` does."""
        config = Config(params=self.world.params)
        config.add_param(module, name, value)

    def config(self, path: str | Path, env: Mapping[str, str] | None = None) -> None:
        """Read defines, modules, their parameters, sockets and aliases from a kamailio.cfg.

        Args:
            path: the file; what it imports is read too.
            env: the environment that `#!trydefenv` reads; the real one is not looked at.
        Raises:
            ConfigError: a line that would stop Kamailio, or that is not understood.
        """
        world = self.world
        world.environ.update(env or {})
        config = Config(world.environ, world.defines, world.params)
        config.read(Path(path))
        if config.sockets:
            world.sockets[:] = config.sockets
        world.aliases.update(config.aliases)
        world.modules.update(config.modules)

    def listen(self, *sockets: str, advertise: str = "") -> None:
        """The server's sockets, e.g. `udp:203.0.113.10:5060`; what else was there is gone."""
        self.world.sockets[:] = [parse_socket(text, advertise) for text in sockets]

    def serve(self, *domains: str) -> None:
        """Domains that are ours, as `alias=` makes them."""
        self.world.aliases.update(domain.lower() for domain in domains)

    def load(self, module: str | Path | ModuleType, *, library: Sequence[str] = ()) -> ModuleType:
        """Load a KEMI script as Kamailio does at start: import, mod_init, child_init.

        Args:
            module: its path, or a module.
            library: packages and modules of the script with no state but in globals, in dicts,
                lists and sets there, and in functools caches: each test gets the same ones as
                they were when they were imported.
        Raises:
            whatever the script raises at import or in mod_init; the WrongReturn or MissingCallback
            where Kamailio refuses to start.
        """
        self.unload()
        self._script = loader.load(module, library)
        script.load(self.world, self._script.module)
        return self._script.module

    def unload(self) -> None:
        """Forget the script."""
        if self._script is not None:
            self._script.unload()
            self._script = None

    def answer(self, name: str, value: Callable[..., object] | object) -> None:
        """Let the test answer a KSR function instead of its model.

        Args:
            name: as in `KSR.<name>`, e.g. `rtpengine.rtpengine_offer`.
            value: what it returns, or a callable that gets its arguments.
        Raises:
            UnknownFunction: this version has no such function.
        """
        key = self._key(name)
        if callable(value):
            answer = value
            self.world.answers[key] = lambda *args: stub_text(answer(*map(_python, args)))
        else:
            self.world.answers[key] = stub_text(value)

    # Messages

    def receive(
        self,
        data: bytes,
        source: tuple[str, int] = DEFAULT_SOURCE,
        proto: str = "udp",
        *,
        socket: Socket | None = None,
        connection: int = 0,
    ) -> Result:
        """Let Kamailio receive a message, route it, and deliver what it sends to the phones.

        Args:
            data: the bytes; see `ksr_stub.builders`.
            source: the address and port that it comes from.
            proto: `udp`, `tcp`, `tls`, `ws` or `wss`.
            socket: the socket it comes in at; default: the first one of that protocol.
            connection: the id of the connection, for all but UDP.
        Returns:
            What this message led to; what the phones then did is in `results`.
        Raises:
            TypeError: data are no bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(
                f"receive takes the bytes of a message, not {type(data).__name__}:"
                " build them with ksr_stub.builders, or encode the text"
            )
        address = Address(*source)
        return self._watched(
            lambda: server.receive(self.world, data, address, proto, socket, connection),
            data,
            source,
        )

    def run_timer(self, name: str) -> Result:
        """Let a timer of module rtimer run once; time alone does not.

        Args:
            name: as in `modparam("rtimer", "timer", "name=...")`.
        Raises:
            ValueError: there is none of this name.
        """
        return self._watched(
            lambda: rtimer.run(self.world, name), f"(timer {name})".encode(), ("timer", 0)
        )

    def phone(
        self,
        user: str,
        password: str | None = None,
        *,
        source: tuple[str, int],
        private: tuple[str, int] | None = None,
        domain: str | None = None,
        proto: str = "udp",
    ) -> Phone:
        """A phone at an address; see `ksr_stub.phone.Phone`.

        Args:
            user: the user part of its address of record.
            password: None: it does not answer challenges.
            source: address and port that Kamailio sees.
            private: what the phone believes to have, behind NAT.
            domain: default: the first domain of SIP_DOMAIN, else that of `serve`.
            proto: `udp`, `tcp`, `tls`, `ws` or `wss`.
        """
        connection = 0
        if proto in PROTO_WITH_CONNECTION:
            self._connections += 1
            connection = self._connections
        where = domain or self._domain()
        phone = Phone(self, user, password, where, source, private, proto, connection)
        self.phones.append(phone)
        return phone

    # What is inside

    @property
    def clock(self) -> TestClock:
        """The time."""
        return TestClock(self)

    @property
    def subscribers(self) -> Subscribers:
        """The subscriber table: `add("1111@example.test", "password")`."""
        return self.world.part(Subscribers)

    @property
    def location(self) -> Usrloc:
        """usrloc's bindings."""
        return self.world.part(Usrloc)

    @property
    def dns(self) -> Hosts:
        """The names that can be resolved: `add("gw.test", "192.0.2.1")`, `add_service(...)`."""
        return self.world.part(Hosts)

    @property
    def rtpengine(self) -> RtpEngine:
        """The media relay: what it was asked, and whether it answers (`alive`)."""
        return self.world.part(RtpEngine)

    @property
    def sql(self) -> Sql:
        """The database behind sqlops."""
        return self.world.part(Sql)

    def lose_database(self, *, lost: bool = True) -> None:
        """Take the database away from auth_db and sqlops; `lost=False` gives it back."""
        self.subscribers.unavailable = self.sql.unavailable = lost

    @property
    def sent(self) -> list[Message]:
        """Everything that Kamailio has sent."""
        return [Message.of(one) for one in self.world.sent]

    @property
    def log(self) -> list[str]:
        """The log, one text a line."""
        return [line.text for line in self.world.log]

    @property
    def steps(self) -> list[str]:
        """The steps of all messages so far."""
        return [step for result in self.results for step in result.steps]

    # For the plugin

    def swallowed_faults(self) -> list[StubError]:
        """Faults that a bare `except:` of the script has hidden from the test."""
        files = self._script.files if self._script is not None else set()
        return [fault for fault in self.world.faults if _was_swallowed(fault, files)]

    def report(self) -> str:
        """All exchanges for a person, the last ones whole."""
        shown = [render(result) for result in self.results[-6:]]
        hidden = len(self.results) - len(shown)
        head = [f"({hidden} earlier messages are not shown)"] if hidden > 0 else []
        seen = {id(line) for result in self.results for line in result.log}
        rest = [line for line in self.world.log if id(line) not in seen]
        tail = ["--- log outside of messages", *(f"    {line.text}" for line in rest)]
        return "\n\n".join([*head, *shown, *(["\n".join(tail)] if rest else [])])

    # Inside

    def _watched(self, act: Callable[[], object], data: bytes, source: tuple[str, int]) -> Result:
        world = self.world
        calls, sent, log = len(world.calls), len(world.sent), len(world.log)
        result = Result(data, source, [], [], [], [])
        self.results.append(result)
        try:
            if self._script is None:
                act()
            else:
                with watch.watching(result.steps):
                    act()
        except BaseException as error:
            result.error = error
            raise
        finally:
            result.calls = world.calls[calls:]
            result.sent = [Message.of(one) for one in world.sent[sent:]]
            result.log = world.log[log:]
        self._deliver()
        return result

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._delivered < len(self.world.sent):
                one = self.world.sent[self._delivered]
                self._delivered += 1
                message = Message.of(one)
                for phone in self.phones:
                    if phone.is_at(one.to, one.proto, one.connection):
                        phone.take(message)
        finally:
            self._delivering = False

    def _advance(self, seconds: float) -> Result:
        clock = self.world.clock
        until = clock.now + seconds

        def pass_time() -> None:
            while (due := clock.next_due()) is not None and due < until:
                clock.advance(max(0.0, due - clock.now))
                self._deliver()
            clock.advance(until - clock.now)

        return self._watched(pass_time, f"({seconds} s pass)".encode(), ("clock", 0))

    def _domain(self) -> str:
        given = self.world.defines.get("SIP_DOMAIN", "").strip('"').split()
        named = sorted(self.world.aliases)
        return (given or named or [self.world.sockets[0].host])[0]

    def _key(self, name: str) -> tuple[str, str]:
        namespace, _, function = name.removeprefix("KSR.").rpartition(".")
        known = signatures.load(self.world.version)
        if (namespace, function) not in known:
            all_names = [".".join(part for part in key if part) for key in known]
            near = difflib.get_close_matches(name, all_names)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UnknownFunction(f"Kamailio {self.world.version} has no KSR.{name}{hint}")
        return namespace, function


def _python(value: object) -> object:
    return to_python(value) if isinstance(value, str) else value


def _was_swallowed(fault: StubError, files: set[str]) -> bool:
    frames = traceback.extract_tb(fault.__traceback__)
    if not frames:
        return True
    stub = str(Path(__file__).resolve().parent)
    return frames[0].filename in files or str(Path(frames[0].filename)).startswith(stub)
