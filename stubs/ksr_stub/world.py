"""The World: everything that a Kamailio knows while it runs. A fresh one for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import attrs

from ksr_stub.clock import Clock
from ksr_stub.errors import StubError
from ksr_stub.message import Address, SipMessage, Socket

_Part = TypeVar("_Part")
_Value = TypeVar("_Value")

# Route types, as Kamailio's core has them.
REQUEST, REPLY, FAILURE, BRANCH, ONSEND, EVENT = (
    "request", "onreply", "failure", "branch", "onsend", "event",
)  # fmt: skip


@attrs.frozen
class Sent:
    """A message that left: its bytes, to where, and from which socket."""

    data: bytes
    to: Address
    proto: str
    socket: Socket
    connection: int = 0


@attrs.frozen
class LogLine:
    """A line of the log: level `L_ERR` -1, `L_WARN` 0, `L_NOTICE` 1, `L_INFO` 2, `L_DBG` 3."""

    level: int
    text: str


class Call(NamedTuple):
    """A KSR call that a route made, with what it got."""

    name: str
    arguments: tuple[object, ...]
    result: object
    route: str


@attrs.define(eq=False)
class World:
    """The state behind `import KSR`.

    `version` is `5.6`, `6.0` or `6.1`; `strict` makes faults of the routes fail the test, without
    it the stub does exactly what that version does.
    """

    version: str = "5.6"
    strict: bool = True
    clock: Clock = attrs.Factory(Clock)
    defines: dict[str, str] = attrs.Factory(dict)
    params: dict[tuple[str, str], object] = attrs.Factory(dict)
    environ: dict[str, str] = attrs.Factory(dict)
    sockets: list[Socket] = attrs.Factory(lambda: [Socket("udp", "203.0.113.10", 5060)])
    aliases: set[str] = attrs.Factory(set)
    answers: dict[tuple[str, str], Callable[..., object] | object] = attrs.Factory(dict)
    # those that kamailio.cfg loads; none: all that a script asks for
    modules: set[str] = attrs.Factory(set)

    script: object | None = None
    sent: list[Sent] = attrs.Factory(list)
    log: list[LogLine] = attrs.Factory(list)
    calls: list[Call] = attrs.Factory(list)
    faults: list[StubError] = attrs.Factory(list)

    # the message being routed, and the kind of route it is in
    message: SipMessage | None = None
    route: str = REQUEST
    drop: bool = False
    poisoned: BaseException | None = None
    _parts: dict[type, Any] = attrs.Factory(dict)
    _messages: int = 0

    @property
    def msg(self) -> SipMessage:
        """The message being routed."""
        assert self.message is not None, "no message is being routed"  # noqa: S101
        return self.message

    def part(self, kind: type[_Part]) -> _Part:
        """The state of one model: made on first use, `kind(world)` if it takes the world."""
        if kind not in self._parts:
            make: Any = kind
            self._parts[kind] = make(self) if getattr(kind, "needs_world", False) else make()
        part: _Part = self._parts[kind]
        return part

    def param(self, module: str, name: str, default: _Value) -> _Value:
        """The value of a modparam, as the test or a kamailio.cfg set it."""
        value: Any = self.params.get((module, name), default)
        return value  # type: ignore[no-any-return]

    def say(self, level: int, text: str) -> None:
        """Write a line to the log."""
        self.log.append(LogLine(level, text))

    def fault(self, error: StubError) -> StubError:
        """Remember a fault, for the case that a bare `except:` swallows it; raise the result."""
        self.faults.append(error)
        return error

    def next_message_id(self) -> int:
        """The id of the next message (`$mi`)."""
        self._messages += 1
        return self._messages

    def is_myself(self, host: str, port: int, proto: str = "") -> bool:
        """Whether an address is one of ours: no port matches any, as core's check_self."""
        bare = host.lower().strip("[]")
        if bare in self.aliases:
            return True
        return any(
            (not port or port in (socket.port, socket.advertised_port))
            and (not proto or proto in ("none", socket.proto))
            and bare in (socket.host.lower(), socket.advertised_host.lower())
            for socket in self.sockets
        )

    def log_lines(self, level: int = 3) -> Iterable[str]:
        """The texts that were logged with at most this level."""
        return (line.text for line in self.log if line.level <= level)


_current: World | None = None


def current() -> World:
    """The World that `import KSR` speaks to.

    Raises:
        RuntimeError: outside a test; the pytest fixture `ksr` makes one.
    """
    if _current is None:
        raise RuntimeError("KSR is used outside a test: take the pytest fixture `ksr`")
    return _current


def use(world: World | None) -> World | None:
    """Make a World the current one, and return the former."""
    global _current
    former, _current = _current, world
    for forget in _on_use:
        forget()
    return former


_on_use: list[Callable[[], None]] = []


def when_used(forget: Callable[[], None]) -> Callable[[], None]:
    """Call a function each time that another World is made the current one."""
    _on_use.append(forget)
    return forget
