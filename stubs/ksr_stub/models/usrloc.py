"""usrloc: the bindings of each address of record (Kamailio module usrloc). It has no functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import attrs

from ksr_stub.hashing import core_hash
from ksr_stub.message import Socket
from ksr_stub.world import World

CONTACT_ONLY, CONTACT_CALL_ID, CONTACT_PATH, CALL_ID_ONLY = 0, 1, 2, 3
# What match() says about a Contact that is there.
FOUND, NOT_FOUND, OUT_OF_ORDER, RETRANSMISSION = 0, 1, -1, -2
_KEEPALIVE_GRACE = 10
_EXPIRED = 10


@attrs.define(eq=False)
class Info:
    """What a REGISTER says about one Contact (ucontact_info)."""

    call_id: str
    cseq: int
    expires: int = 0
    q: int = -1
    received: str = ""
    path: str | None = None
    user_agent: str = "n/a"
    methods: int = 0xFFFFFFFF
    cflags: int = 0
    flags: int = 0
    socket: Socket | None = None
    connection: int = -1
    instance: str = ""
    reg_id: int = 0
    ruid: str = ""
    uri: str = ""


@attrs.define(eq=False)
class Binding:
    """A stored Contact. `expires` is in seconds since the epoch, 0 for one that stays."""

    aor: str
    uri: str
    call_id: str
    cseq: int
    expires: int
    q: int
    received: str
    path: str
    user_agent: str
    methods: int
    cflags: int
    flags: int
    socket: Socket | None
    connection: int
    instance: str
    reg_id: int
    ruid: str
    last_modified: int
    last_keepalive: int
    table: str = "location"

    def is_valid(self, now: int) -> bool:
        """Whether it has not expired."""
        return self.expires > now or self.expires == 0


# Modules that want to know of a binding that the timer removes.
ON_EXPIRED: list[Callable[[World, Binding], None]] = []
# Modules that start a timer over all bindings.
ON_START: list[Callable[[World, Usrloc], None]] = []


@attrs.define(eq=False)
class Usrloc:
    """All bindings: `tables[table][aor]`, each list in the order that lookup forks in."""

    needs_world = True

    world: World
    tables: dict[str, dict[str, list[Binding]]] = attrs.Factory(dict)
    lost_connections: set[int] = attrs.Factory(set)
    _numbers: itertools.count[int] = attrs.field(init=False, factory=lambda: itertools.count(1))
    _started: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """The timer runs from the start."""
        self._started = self.now
        self.world.clock.after(self._interval, self._tick)
        for start in ON_START:
            start(self.world, self)

    @property
    def now(self) -> int:
        """Seconds since the epoch, whole ones as time() gives."""
        return int(self.world.clock.now)

    @property
    def _interval(self) -> int:
        return max(1, self.world.param("usrloc", "timer_interval", 60))

    def bindings(self, aor: str, table: str = "location") -> list[Binding]:
        """The bindings of an address of record, `user@domain` or `user` without use_domain."""
        return self.tables.get(table, {}).get(aor.lower(), [])

    def all(self, table: str = "location") -> list[Binding]:
        """Every binding."""
        return [one for found in self.tables.get(table, {}).values() for one in found]

    def knows(self, table: str) -> bool:
        """Whether the table is there: under KEMI only those that are preloaded."""
        given: str | tuple[str, ...] = self.world.param("usrloc", "preload", ())
        return table in ((given,) if isinstance(given, str) else given)

    def record(self, table: str, aor: str) -> list[Binding] | None:
        """The bindings of an address of record; None where it has no record."""
        return self.tables.get(table, {}).get(aor)

    def new_record(self, table: str, aor: str) -> list[Binding]:
        """An empty record."""
        return self.tables.setdefault(table, {}).setdefault(aor, [])

    def release(self, table: str, aor: str) -> None:
        """Forget a record without bindings."""
        if not self.tables.get(table, {}).get(aor, True):
            del self.tables[table][aor]

    def remove_record(self, table: str, aor: str) -> None:
        """Remove all bindings of an address of record."""
        self.tables.get(table, {}).pop(aor, None)

    def next_ruid(self) -> str:
        """A new id of a binding."""
        return f"uloc-{self._started:x}-1-{next(self._numbers):x}"

    def by_ruid(self, table: str, ruid: str) -> Binding | None:
        """The binding with that id."""
        return next((one for one in self.all(table) if one.ruid == ruid), None)

    def remove(self, binding: Binding) -> None:
        """Remove one binding."""
        found = self.tables.get(binding.table, {}).get(binding.aor, [])
        if binding in found:
            found.remove(binding)

    def insert(self, table: str, aor: str, uri: str, info: Info) -> Binding:
        """Add a binding: before the first one with a smaller q."""
        binding = Binding(
            aor, uri, info.call_id, info.cseq, info.expires, info.q, info.received,
            info.path or "", info.user_agent, info.methods, info.cflags, info.flags, info.socket,
            info.connection, info.instance, info.reg_id, info.ruid, self.now, self.now, table,
        )  # fmt: skip
        record = self.new_record(table, aor)
        at = 0
        if not self.world.param("usrloc", "desc_time_order", 0):
            at = next((i for i, one in enumerate(record) if one.q < info.q), len(record))
        record.insert(at, binding)
        return binding

    def update(self, binding: Binding, info: Info) -> None:
        """Take over what a REGISTER says; the URI only for a phone with an instance."""
        if info.instance and info.uri:
            binding.uri = info.uri
        binding.call_id, binding.cseq = info.call_id, info.cseq
        binding.user_agent, binding.received = info.user_agent, info.received
        binding.path, binding.socket = info.path or "", info.socket
        binding.expires, binding.q, binding.methods = info.expires, info.q, info.methods
        binding.flags, binding.cflags = info.flags, info.cflags
        binding.connection = info.connection
        binding.last_modified = binding.last_keepalive = self.now
        self._place(self.tables[binding.table][binding.aor], binding)

    def _place(self, record: list[Binding], binding: Binding) -> None:
        at = record.index(binding)
        if self.world.param("usrloc", "desc_time_order", 0):
            record.insert(0, record.pop(at))
            return
        # insert() puts the greatest q first, but an update expects the smallest there
        before = record[at - 1].q if at else binding.q
        behind = record[at + 1].q if at + 1 < len(record) else binding.q
        if binding.q <= before and binding.q >= behind:
            return
        record.pop(at)
        to = next((i for i, one in enumerate(record) if one.q >= binding.q), len(record))
        record.insert(to, binding)

    def match(self, record: list[Binding], uri: str, info: Info) -> tuple[int, Binding | None]:
        """Find the binding that a Contact is about: by its instance, else by matching_mode."""
        if info.instance:
            same = _bare(info.instance)
            found = next(
                (b for b in record if b.reg_id == info.reg_id and _bare(b.instance) == same), None
            )
            return (NOT_FOUND, None) if found is None else (FOUND, found)
        return self._match_address(record, uri, info)

    def _match_address(
        self, record: list[Binding], uri: str, info: Info
    ) -> tuple[int, Binding | None]:
        mode = self.world.param("usrloc", "matching_mode", CONTACT_ONLY)
        found = next((b for b in record if _is_same(mode, b, uri, info)), None)
        if found is None:
            return NOT_FOUND, None
        if mode == CONTACT_CALL_ID or found.call_id == info.call_id:
            if info.cseq < found.cseq:
                return OUT_OF_ORDER, None
            if info.cseq == found.cseq:
                delay = self.world.param("usrloc", "cseq_delay", 20)
                late = found.last_modified + delay <= self.now
                return (OUT_OF_ORDER if late else RETRANSMISSION), None
        return FOUND, found

    def keep_alive(self, ruid: str, aor_hash: int) -> None:
        """A phone has answered a ping."""
        for table in self.tables.values():
            for aor, record in table.items():
                for one in record:
                    if one.ruid == ruid and core_hash(aor) == aor_hash:
                        one.last_keepalive = self.now

    def is_unanswered(self, binding: Binding) -> bool:
        """Whether the pings of a binding by UDP had no answer for `keepalive_timeout` seconds.

        Such a binding expires in 10 seconds.
        """
        timeout = self.world.param("nathelper", "keepalive_timeout", 0)
        if timeout <= 0 or binding.socket is None or binding.socket.proto != "udp":
            return False
        if binding.last_keepalive + timeout >= self.now:
            return False
        binding.expires = min(binding.expires, self.now + _KEEPALIVE_GRACE)
        return True

    def _tick(self) -> None:
        self.world.clock.after(self._interval, self._tick)
        for name, table in self.tables.items():
            for aor in list(table):
                self._expire(name, aor)

    def _expire(self, table: str, aor: str) -> None:
        lost = self.world.param("usrloc", "handle_lost_tcp", 0)
        for one in list(self.tables[table][aor]):
            if lost and one.connection in self.lost_connections:
                one.expires = _EXPIRED
            if not one.is_valid(self.now):
                for tell in ON_EXPIRED:
                    tell(self.world, one)
                self.remove(one)
        self.release(table, aor)


def _is_same(mode: int, binding: Binding, uri: str, info: Info) -> bool:
    if mode == CALL_ID_ONLY:
        return binding.call_id == info.call_id
    if binding.uri != uri:
        return False
    if mode == CONTACT_CALL_ID:
        return binding.call_id == info.call_id
    return mode != CONTACT_PATH or info.path is None or binding.path == info.path


def _bare(instance: str) -> str:
    return instance[1:-1] if instance.startswith("<") and instance.endswith(">") else instance
