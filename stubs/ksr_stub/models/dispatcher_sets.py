"""What module dispatcher knows: sets of destinations, and how a request's one is found in them."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import ClassVar

import attrs

from ksr_stub import credentials, nameaddr, pv, sending, uri
from ksr_stub.message import Header, ParseError, Socket
from ksr_stub.pv import paramlist
from ksr_stub.pv.values import leading_int
from ksr_stub.pv.variables.network import find_socket
from ksr_stub.world import World

INACTIVE, TRYING, DISABLED, PROBING, UNRESOLVED = 1, 2, 4, 8, 16
STATES = {"a": 0, "i": INACTIVE, "t": TRYING, "d": DISABLED, "p": PROBING}
BY_HASH, ROUND_ROBIN, BY_AUTH_USER, RANDOM, BY_VARIABLE = (0, 1, 2, 3), 4, 5, 6, 7
WEIGHT, LOAD, RELATIVE_WEIGHT, PARALLEL, LATENCY = 9, 10, 11, 12, 13
_USER_ONLY = 1
_SPACE = " \t\r\n"
_LINE = re.compile(r"(\d*)[ \t]*([^ \t\r\n#]*)[ \t]*(\d*)[ \t]*(\d*)[ \t]*([^ \t\r\n]*)")


@attrs.define(eq=False)
class Destination:
    """A gateway; `state` 0 is active."""

    uri: str
    state: int = 0
    priority: int = 0
    attributes: str = ""
    duid: str = ""
    weight: int = 0
    relative_weight: int = 0
    most_calls: int = 0
    latency: int = 0
    socket: Socket | None = None
    host: str = ""
    address: str | None = None
    calls: int = 0
    answers: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether requests are sent there."""
        return not self.state & (INACTIVE | DISABLED)

    @property
    def has_room(self) -> bool:
        """Whether it may get a further call."""
        return not self.most_calls or self.calls < self.most_calls


@attrs.define(eq=False)
class Group:
    """A set of destinations, by falling priority, and where the next selection begins."""

    number: int
    members: list[Destination] = attrs.Factory(list)
    last: int = 0
    weights: list[int] = attrs.Factory(lambda: [0] * 100)
    relative: list[int] = attrs.Factory(lambda: [0] * 100)
    at_weight: int = 0
    at_relative: int = 0

    def weigh(self, chance: random.Random) -> None:
        """Lay out a hundred selections by weight."""
        if not self.members or not self.members[0].weight:
            return
        drawn = [n for n, one in enumerate(self.members) for _ in range(one.weight)][:100]
        self.weights = drawn + [len(self.members) - 1] * (100 - len(drawn))
        chance.shuffle(self.weights)

    def weigh_relatively(self, chance: random.Random) -> None:
        """Lay out a hundred selections by the relative weights of who is usable."""
        usable = [(n, one.relative_weight) for n, one in enumerate(self.members) if one.is_usable]
        total = sum(weight for _, weight in usable)
        if len(self.members) < 2 or not total:
            return
        drawn = [n for n, weight in usable for _ in range(weight * 100 // total)]
        last = drawn[-1] if drawn else len(self.members) - 1
        self.relative = drawn + [last] * (100 - len(drawn))
        chance.shuffle(self.relative)


@attrs.define(eq=False)
class Dispatcher:
    """The sets: from `list_file`, or as the test adds to them."""

    needs_world: ClassVar[bool] = True

    world: World
    groups: dict[int, Group] = attrs.Factory(dict)
    reloaded: float | None = None
    _added: list[tuple[int, str, int, int, str]] = attrs.Factory(list)
    _chance: random.Random = attrs.Factory(lambda: random.Random(5060))  # noqa: S311

    def __attrs_post_init__(self) -> None:
        if self.world.param("dispatcher", "list_file", ""):
            self.load()

    def add(
        self, group: int, address: str, priority: int = 0, state: int = 0, attributes: str = ""
    ) -> Destination:
        """Add a destination; those of a set are tried by falling priority, the latest first.

        Args:
            group: the set.
            address: its URI.
            priority: the greater, the earlier.
            state: 0 active, 1 inactive, 2 trying, 4 disabled, 8 probing, 16 not resolved.
            attributes: e.g. `duid=a;weight=50;maxload=10`.
        Raises:
            ValueError: Kamailio would skip it; the log says why.
        """
        made = self._insert(group, address, state, priority, attributes)
        if made is None:
            raise ValueError(f"no destination: {self.world.log[-1].text}")
        self._added.append((group, address, state, priority, attributes))
        self._index()
        return made

    def load(self) -> bool:
        """Read the sets again, from `list_file` and as the test added to them.

        Returns:
            False where there is nothing to read, or with `ds_load_mode` 1 for a bad line.
        """
        former, self.groups = self.groups, {}
        path = str(self.world.param("dispatcher", "list_file", ""))
        rows = self._added
        if path and Path(path).exists():
            rows = [*_rows(Path(path).read_text(encoding="latin-1")), *rows]
        elif not rows:
            self.world.say(-1, f"dispatcher: can't open list file [{path}]")
        made = [self._insert(*row) for row in rows]
        if None in made and self.world.param("dispatcher", "ds_load_mode", 0) == 1:
            self.groups = former
            return False
        self._index()
        return bool(rows)

    def members(self, group: int) -> list[Destination]:
        """The destinations of a set."""
        return self.groups[group].members if group in self.groups else []

    def reweigh(self, group: Group) -> None:
        """Lay out the relative weights again: somebody went or came."""
        group.weigh_relatively(self._chance)

    def start(self, group: Group, algorithm: int) -> int | None:
        """The place that an algorithm selects, any number; None where it fails."""
        if algorithm == RANDOM:
            return self._chance.randrange(2**31)
        if algorithm == ROUND_ROBIN:
            return group.last
        if algorithm in BY_HASH:
            texts = self._hash_key(algorithm)
            return None if texts is None else hashed(*texts)
        if algorithm == BY_VARIABLE:
            return self._hash_of_variable()
        if algorithm == WEIGHT:
            group.at_weight = (group.at_weight + 1) % 100
            return group.weights[group.at_weight - 1]
        if algorithm == RELATIVE_WEIGHT:
            group.at_relative = (group.at_relative + 1) % 100
            return group.relative[group.at_relative - 1]
        return 0

    def auth_user_hash(self) -> int | None:
        """The hash of the name in the credentials, -1 without them; None for unreadable headers."""
        message = self.world.msg
        for name in ("proxy-authorization", "authorization"):
            if message.unreadable(name):
                return None
            header = message.first(name)
            found = None if header is None else _credentials(header)
            if found is not None:
                return hashed(found.user.strip(_SPACE), "") if found.user else -1
        return -1

    def _insert(
        self, group: int, address: str, state: int, priority: int, attributes: str
    ) -> Destination | None:
        made = _packed(self.world, address, attributes)
        if made is None:
            self.world.say(0, f"dispatcher: unable to add destination {address} to set {group}")
            return None
        made.state, made.priority = state, priority
        if not state & UNRESOLVED:
            made.address = sending.resolve(self.world, made.host)
            if made.address is None:
                self.world.say(-1, f"dispatcher: could not resolve {made.host}")
                return None
        members = self.groups.setdefault(group, Group(group)).members
        members.insert(0, made)
        members.sort(key=lambda member: -member.priority)
        return made

    def _index(self) -> None:
        for group in self.groups.values():
            group.last = group.at_weight = group.at_relative = 0
            group.weigh(self._chance)
            group.weigh_relatively(self._chance)

    def _hash_key(self, algorithm: int) -> tuple[str, str] | None:
        """What the hash is made of: the Call-ID, or user and host of a URI; None for a bad one."""
        message = self.world.msg
        if algorithm == 0:
            return message.get("call-id").strip(), ""
        text: str | None = message.uri
        if algorithm != BY_HASH[-1]:
            value = nameaddr.of(message, "from" if algorithm == 1 else "to")
            text = None if value is None else value.uri
        parsed = None if text is None else uri.parse(text)
        if parsed is None:
            return None
        if self.world.param("dispatcher", "flags", 0) & _USER_ONLY:
            return parsed.user, ""
        standard = 5061 if parsed.kind == "sips" else 5060
        port = f":{parsed.port}" if parsed.port_given and parsed.port_number != standard else ""
        return parsed.user, parsed.host + port

    def _hash_of_variable(self) -> int | None:
        name = str(self.world.param("dispatcher", "hash_pvar", ""))
        text = (pv.evaluate(self.world, name) or "").strip(_SPACE) if name else ""
        if not text:
            self.world.say(-1, "dispatcher: can't get PV hash")
            return None
        return hashed(text, "")


def _credentials(header: Header) -> credentials.Credentials | None:
    try:
        return credentials.parse(header)
    except ParseError:
        return None


def _rows(text: str) -> list[tuple[int, str, int, int, str]]:
    """The lines of a list: set, URI, flags, priority, attributes."""
    rows = []
    for line in text.splitlines():
        bare = line.lstrip(_SPACE)
        found = _LINE.match(bare)
        if not bare or bare[0] == "#" or found is None or not found[2]:
            continue
        group, address, flags, priority, attributes = found.groups()
        if line[found.end(4) :].lstrip(_SPACE).startswith("#"):
            attributes = ""
        rows.append((int(group or 0), address, int(flags or 0), int(priority or 0), attributes))
    return rows


def _packed(world: World, address: str, attributes: str) -> Destination | None:
    """A destination without its state; None where Kamailio refuses it.

    That is for a bad URI, attributes or socket, and for IPv6 where the server has none.
    """
    parsed = uri.parse(address)
    if parsed is None and not address.startswith("sip:"):
        address = f"sip:{address}"
        parsed = uri.parse(address)
    if parsed is None:
        world.say(-1, f"dispatcher: bad uri [{address}]")
        return None
    if parsed.host.startswith("[") and not any(":" in one.host for one in world.sockets):
        return None
    if not attributes and world.param("dispatcher", "ds_attrs_none", 0):
        attributes = "none=yes"
    made = Destination(address, attributes=attributes.removesuffix(";"), host=parsed.host)
    given = paramlist.parse(made.attributes) if made.attributes else []
    if given is None:
        world.say(-1, "dispatcher: cannot set attributes!")
        return None
    named = {name.lower(): value for name, value in given}
    made.duid = named.get("duid", "")
    made.weight = _percent(named, "weight")
    made.relative_weight = _percent(named, "rweight")
    made.most_calls = leading_int(named.get("maxload", ""))
    made.latency = leading_int(named.get("latency", ""))
    socket = named.get("socket", "") or str(world.param("dispatcher", "ds_default_socket", ""))
    if socket:
        made.socket = find_socket(world, socket)
    if named.get("socket") and made.socket is None:
        world.say(-1, f"dispatcher: non-local socket <{socket}>")
        return None
    return made


def _percent(named: dict[str, str], name: str) -> int:
    number = leading_int(named.get(name, ""))
    return number if 1 <= number <= 100 else 0


def hashed(one: str, other: str) -> int:
    """Kamailio's hash of two texts; bytes above 127 count as negative numbers."""
    total = 0
    for text in (one, other):
        signed = [ord(char) - 256 * (ord(char) > 127) for char in text]
        whole = len(signed) // 4 * 4
        words = [signed[at : at + 4] for at in range(0, whole, 4)]
        for word in [*words, signed[whole:]]:
            value = 0
            for byte in word:
                value = ((value << 8) + byte) % 2**32
            total = (total + (value ^ value >> 3)) % 2**32
    total = (total + (total >> 11) + (total >> 13) + (total >> 23)) % 2**32
    return total or 1
