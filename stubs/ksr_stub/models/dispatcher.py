"""Module dispatcher: sets of destinations, and one of them for a request (modules/dispatcher)."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import ClassVar

import attrs

from ksr_stub import nameaddr, sending, uri
from ksr_stub.errors import NotModelled, Unpredictable
from ksr_stub.pv.lists import Entry, XList, of
from ksr_stub.registry import model
from ksr_stub.world import World

FAILOVER = 2
NO_PORT, NO_PROTO = 1, 2
INACTIVE, TRYING, DISABLED, PROBING = 1, 2, 4, 8
_STATES = {"a": 0, "i": INACTIVE, "t": TRYING, "d": DISABLED, "p": PROBING}
BY_HASH, ROUND_ROBIN, RANDOM = (0, 1, 2, 3), 4, 6
_WITHOUT_MODEL = (5, 7, 9, 10, 11, 12, 13)
_USER_ONLY = 1
_RECORDS, _UNLIMITED = "_dsdst_", 0xFFFFFFFF


@attrs.define(eq=False)
class Destination:
    """A gateway; `state` 0 is active."""

    uri: str
    state: int = 0
    priority: int = 0
    attributes: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether requests are sent there."""
        return not self.state & (INACTIVE | DISABLED)


@attrs.define(eq=False)
class Dispatcher:
    """The sets: from `list_file`, or as the test adds to them."""

    needs_world: ClassVar[bool] = True

    world: World
    sets: dict[int, list[Destination]] = attrs.Factory(dict)
    _last: dict[int, int] = attrs.Factory(dict)
    _chance: random.Random = attrs.Factory(lambda: random.Random(5060))  # noqa: S311

    def __attrs_post_init__(self) -> None:
        path = self.world.param("dispatcher", "list_file", "")
        if path and Path(path).exists():
            self._read(Path(path))

    def add(self, group: int, address: str, priority: int = 0, state: int = 0) -> Destination:
        """Add a destination; those of a set are tried by falling priority, the latest first."""
        destination = Destination(address, state, priority)
        members = self.sets.setdefault(group, [])
        members.insert(0, destination)
        members.sort(key=lambda member: -member.priority)
        return destination

    def choose(self, group: int, algorithm: int) -> list[Destination] | None:
        """The destination for the request, and those after it; None where none is usable."""
        members = self.sets.get(group, [])
        if not members:
            self.world.say(-1, f"dispatcher: destination set [{group}] not found")
            return None
        start = self._start(group, algorithm, len(members))
        if start is None or not any(member.is_usable for member in members):
            return None
        order = members[start:] + members[:start]
        usable = [member for member in order if member.is_usable]
        if algorithm == ROUND_ROBIN:
            self._last[group] = members.index(usable[0]) + 1
        return usable

    def _start(self, group: int, algorithm: int, size: int) -> int | None:
        if algorithm == ROUND_ROBIN:
            return self._last.get(group, 0) % size
        if algorithm == RANDOM:
            return self._chance.randrange(size)
        if algorithm in BY_HASH:
            texts = self._hash_key(algorithm)
            return None if texts is None else _hash(*texts) % size
        if algorithm in _WITHOUT_MODEL:
            raise self.world.fault(
                NotModelled(
                    f"dispatcher algorithm {algorithm} has no model: 0 to 4, 6 and 8 have one;"
                    " let the test answer with ksr.answer('dispatcher.ds_select_dst', ...)"
                )
            )
        return 0

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
        standard = 5061 if parsed.scheme == "sips" else 5060
        port = f":{parsed.port}" if parsed.port and parsed.port_number != standard else ""
        return parsed.user, parsed.host + port

    def _read(self, path: Path) -> None:
        for line in path.read_text().splitlines():
            words = line.split("#")[0].split()
            if len(words) < 2:
                continue
            parsed = uri.parse(words[1])
            if parsed is None or sending.resolve(self.world, parsed.host) is None:
                self.world.say(-1, f"dispatcher: could not resolve {words[1]}, skipping it")
                continue
            numbers = [int(word) for word in words[2:4] if re.fullmatch(r"\d+", word)]
            state, priority = [*numbers, 0, 0][:2]
            self.add(int(words[0]), words[1], priority, state).attributes = " ".join(words[4:])


def _hash(one: str, other: str) -> int:
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


def _apply(world: World, address: str, *, domain: bool) -> bool:
    if not domain:
        world.msg.dst_uri = address
        return True
    scheme, colon, rest = address.partition(":")
    place = rest if colon and scheme.lower() in ("sip", "sips") else address
    current = uri.parse(world.msg.uri)
    if current is None:
        world.say(-1, f"dispatcher: error while setting r-uri domain with: {address}")
        return False
    password = f":{current.password}" if "password" in current.given else ""
    params = current.params if current.scheme == "tel" else current.user_params
    user = f"{current.user}{password}{';' * bool(params)}{params}@" if current.user else ""
    scheme = "sips" if current.kind in ("sips", "tels") else "sip"
    if current.scheme == "tel":
        scheme = "tel"
    world.msg.new_uri = f"{scheme}:{user}{place}"
    return True


@attrs.define(eq=False)
class _Selection:
    """What one call selects: into which variable it goes, and how many there may be."""

    mode: str
    limit: int
    count: int = 0
    last: Entry | None = None


def _manage(world: World, selection: _Selection, group: int, algorithm: int) -> int:
    """Select from a set; the rest goes to `$xavp(_dsdst_)` where `flags` has failover."""
    part, message = world.part(Dispatcher), world.msg
    forced = world.param("dispatcher", "force_dst", 1)
    if selection.mode == "dst" and not forced and message.dst_uri:
        world.say(-1, f"dispatcher: destination already set [{message.dst_uri}]")
        return -1
    found = part.choose(group, algorithm)
    if found is None:
        return -1
    if selection.mode and not _apply(world, found[0].uri, domain=selection.mode == "domain"):
        return -1
    if not world.param("dispatcher", "flags", 0) & FAILOVER:
        return 1
    values = of(message).xavp
    for number, one in enumerate(found):
        if number and selection.count >= selection.limit:
            break
        fields = [Entry("attrs", one.attributes)] if one.attributes else []
        fields += [Entry("grp", group), Entry("uri", one.uri)]
        entry = Entry(_RECORDS, values.like(fields))
        place = 0 if selection.last is None else values.entries.index(selection.last) + 1
        values.entries.insert(place, entry)
        selection.last, selection.count = entry, selection.count + 1
    return 1


def _count(world: World, selection: _Selection) -> None:
    values = of(world.msg).xavp
    values.add("_dsctx_", values.like([Entry("cnt", selection.count)]))


def _select(world: World, group: int, algorithm: int, limit: int, mode: str) -> int:
    selection = _Selection(mode, limit % 2**32 or _UNLIMITED)
    if _manage(world, selection, group, algorithm) < 0:
        return -1
    _count(world, selection)
    return 1


@model("dispatcher")
def ds_select(world: World, group: int, alg: int) -> int:
    """Put the destinations of a set into `$xavp(_dsdst_)`; -1: no such set, or none is active."""
    return _select(world, group, alg, 0xFFFF, "")


@model("dispatcher")
def ds_select_limit(world: World, group: int, alg: int, limit: int) -> int:
    """As ds_select, at most `limit` destinations."""
    return _select(world, group, alg, limit, "")


@model("dispatcher")
def ds_select_routes(world: World, rules: str, mode: str) -> int:
    """As ds_select_routes_limit, without a limit."""
    return ds_select_routes_limit(world, rules, mode, 0)


@model("dispatcher")
def ds_select_routes_limit(world: World, rules: str, mode: str, limit: int) -> int:
    """Select from several sets: `1=4;2=8` is set 1 by algorithm 4, then set 2 by 8.

    Args:
        world: its request gets the destinations.
        rules: the sets.
        mode: `d` sets `$du`, `r` the host of the R-URI, `x` none, to the first one found.
        limit: how many destinations there may be, 0 any number.
    Returns:
        1, -1 where none is found or for what can't be read.
    """
    if rules and not mode:
        raise world.fault(Unpredictable("ds_select_routes reads beyond an empty mode"))
    chosen = {"0": "dst", "d": "dst", "1": "domain", "r": "domain", "2": "", "x": ""}
    selection, found = _Selection("", limit % 2**32 or _UNLIMITED), -1
    done = False
    at = 0
    while at < len(rules):
        rule = re.compile(r"(\d*)(?:=(\d*)(?:;|$)|$)").match(rules, at)
        if rule is None or (not done and mode[:1].lower() not in chosen):
            world.say(-1, f"dispatcher: invalid rules or mode: [{rules}] {mode}")
            return -1
        at = rule.end()
        selection.mode = "" if done else chosen[mode[:1].lower()]
        code = _manage(world, selection, int(rule[1] or 0), int(rule[2] or 0))
        done = done or (code > 0 and bool(selection.mode))
        found = max(found, code)
    if found > 0:
        _count(world, selection)
    return found


@model("dispatcher")
def ds_set_dst(world: World) -> int:
    """Set `$du` to the current destination; -1 without one."""
    return _update(world, domain=False)


@model("dispatcher")
def ds_set_domain(world: World) -> int:
    """Set the host of the R-URI to the current destination; -1 without one."""
    return _update(world, domain=True)


def _current(world: World) -> XList | None:
    found = of(world.msg).xavp.at(_RECORDS, 0)
    return found.value if found is not None and isinstance(found.value, XList) else None


def _update(world: World, *, domain: bool) -> int:
    record = _current(world)
    address = None if record is None else record.at("uri", 0)
    if address is None or not isinstance(address.value, str):
        return -1
    return 1 if _apply(world, address.value, domain=domain) else -1


@model("dispatcher")
def ds_select_dst(world: World, group: int, alg: int) -> int:
    """Set `$du` to a destination of a set; -1: no such set, or none is active."""
    return _select(world, group, alg, 0xFFFF, "dst")


@model("dispatcher")
def ds_select_dst_limit(world: World, group: int, alg: int, limit: int) -> int:
    """As ds_select_dst, with at most `limit` destinations to try."""
    return _select(world, group, alg, limit, "dst")


@model("dispatcher")
def ds_select_domain(world: World, group: int, alg: int) -> int:
    """Set host and port of the R-URI to a destination of a set."""
    return _select(world, group, alg, 0xFFFF, "domain")


@model("dispatcher")
def ds_select_domain_limit(world: World, group: int, alg: int, limit: int) -> int:
    """As ds_select_domain, with at most `limit` destinations to try."""
    return _select(world, group, alg, limit, "domain")


@model("dispatcher")
def ds_next_dst(world: World) -> int:
    """Go to the next destination; -1: there is none, or `flags` has no failover (2)."""
    return _next(world, domain=False)


@model("dispatcher")
def ds_next_domain(world: World) -> int:
    """As ds_next_dst, for the R-URI."""
    return _next(world, domain=True)


def _next(world: World, *, domain: bool) -> int:
    if not world.param("dispatcher", "flags", 0) & FAILOVER:
        world.say(0, "dispatcher: failover support disabled")
        return -1
    if _current(world) is None:
        return -1
    of(world.msg).xavp.remove(_RECORDS)
    return _update(world, domain=domain)


@model("dispatcher")
def ds_mark_dst(world: World) -> int:
    """Mark the current destination inactive and probing."""
    return ds_mark_dst_state(world, "ip")


@model("dispatcher")
def ds_mark_dst_state(world: World, sval: str) -> int:
    """Mark the current destination: letters of `aitdp`; -1 for others."""
    record, letters = _current(world), sval.lower()
    failover = world.param("dispatcher", "flags", 0) & FAILOVER
    if not letters or any(letter not in _STATES for letter in letters):
        return -1
    group, address = (None, None) if record is None else (record.at("grp", 0), record.at("uri", 0))
    if not failover or group is None or address is None:
        return -1
    members = world.part(Dispatcher).sets.get(int(str(group.value)), [])
    for member in members:
        if member.uri == address.value:
            member.state = sum({_STATES[letter] for letter in letters})
            return 1
    return -1


@model("dispatcher")
def ds_list_exists(world: World, sid: int) -> int:
    """1: there is such a set."""
    return 1 if sid in world.part(Dispatcher).sets else -1


@model("dispatcher")
def ds_is_active(world: World, sid: int) -> int:
    """1: a destination of the set is active."""
    members = world.part(Dispatcher).sets.get(sid, [])
    return 1 if any(member.is_usable for member in members) else -1


@model("dispatcher")
def ds_is_active_uri(world: World, sid: int, suri: str) -> int:
    """1: the destination with this URI is active."""
    members = world.part(Dispatcher).sets.get(sid, [])
    return 1 if any(m.is_usable and _same(m.uri, suri, 0) for m in members) else -1


@model("dispatcher")
def ds_is_from_lists(world: World) -> int:
    """1: the request comes from a destination of any set."""
    return ds_is_from_list_mode(world, -1, NO_PROTO)


@model("dispatcher")
def ds_is_from_list(world: World, group: int) -> int:
    """1: the request comes from a destination of the set."""
    return ds_is_from_list_mode(world, group, NO_PROTO)


@model("dispatcher")
def ds_is_from_list_mode(world: World, vset: int, vmode: int) -> int:
    """As ds_is_from_list; mode 1 ignores the port, 2 the protocol."""
    source = world.msg.source
    host = f"[{source.host}]" if ":" in source.host else source.host
    proto = world.msg.socket.proto
    text = f"sip:{host}:{source.port};transport={proto}"
    return ds_is_from_list_uri(world, vset, vmode, text)


@model("dispatcher")
def ds_is_from_list_uri(world: World, vset: int, vmode: int, vuri: str) -> int:
    """1: a destination of the set (-1: of any) has this address."""
    sets = world.part(Dispatcher).sets
    members = [m for group in sets.values() for m in group] if vset == -1 else sets.get(vset, [])
    return 1 if any(_same(member.uri, vuri, vmode) for member in members) else -1


def _same(first: str, second: str, mode: int) -> bool:
    one, other = uri.parse(first), uri.parse(second)
    if one is None or other is None or one.host.lower() != other.host.lower():
        return False
    ports = mode & NO_PORT or one.effective_port == other.effective_port
    return bool(ports and (mode & NO_PROTO or one.proto == other.proto))
