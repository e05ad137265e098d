"""Module dispatcher: how a destination is selected, and what becomes of the others."""

from __future__ import annotations

import attrs

from ksr_stub import branches, uri
from ksr_stub.message import Socket
from ksr_stub.models import dispatcher_load as load
from ksr_stub.models.dispatcher_sets import (
    BY_AUTH_USER,
    LATENCY,
    LOAD,
    PARALLEL,
    ROUND_ROBIN,
    Destination,
    Dispatcher,
    Group,
)
from ksr_stub.pv.lists import Entry, of
from ksr_stub.world import World

FAILOVER = 2
RECORDS = "_dsdst_"


def apply(world: World, address: str, socket: Socket | None, *, domain: bool) -> bool:
    """Set `$du`, or host and port of the R-URI, and the socket to send from."""
    if domain and not _rewrite_host(world, address):
        return False
    if not domain:
        world.msg.dst_uri = address
    if socket is not None:
        world.msg.send_socket = socket
    return True


def _rewrite_host(world: World, address: str) -> bool:
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
class Selection:
    """What one call selects: into which variable it goes, and how many there may be."""

    mode: str
    limit: int
    group: int = 0
    algorithm: int = 0
    count: int = 0
    last: Entry | None = None

    @property
    def is_full(self) -> bool:
        """Whether no further destination may be stored."""
        return self.count >= self.limit


def manage(world: World, selection: Selection) -> int:
    """Select from a set; the rest goes to `$xavp(_dsdst_)` where `flags` has failover."""
    part, message = world.part(Dispatcher), world.msg
    forced = world.param("dispatcher", "force_dst", 1)
    if selection.mode == "dst" and not forced and message.dst_uri:
        world.say(-1, f"dispatcher: destination already set [{message.dst_uri}]")
        return -1
    group = part.groups.get(selection.group)
    if group is None:
        world.say(-1, f"dispatcher: destination set [{selection.group}] not found")
        return -1
    if selection.algorithm == LATENCY:
        return _by_latency(world, selection, group)
    first = _first(world, selection, group)
    if first is None or not _push(world, selection, group.members[first]):
        return -1
    if selection.algorithm == PARALLEL:
        return 1 if _fork(world, selection, group, first) else 2
    if not world.param("dispatcher", "flags", 0) & FAILOVER:
        return 1
    return 1 if _store(world, selection, group, first) else -1


def _first(world: World, selection: Selection, group: Group) -> int | None:
    """The place of the destination that is selected; of the next one, where it is down."""
    start = _start(world, selection, group)
    if start is None:
        return None
    round_robin = selection.algorithm == ROUND_ROBIN or start < 0
    size = len(group.members)
    if round_robin:
        start, group.last = group.last, (group.last + 1) % size
    default = bool(world.param("dispatcher", "use_default", 0))
    ring = size - 1 if default and size != 1 else size
    order = [(start % ring + n) % ring for n in range(ring)] + [size - 1] * default
    first = next((n for n in order if group.members[n].is_usable), None)
    if first is not None and round_robin:
        group.last = (first + 1) % size
    return first


def _start(world: World, selection: Selection, group: Group) -> int | None:
    """Where the algorithm begins; negative: as round robin does."""
    part = world.part(Dispatcher)
    if selection.algorithm == BY_AUTH_USER:
        return part.auth_user_hash()
    if selection.algorithm != LOAD:
        return part.start(group, selection.algorithm)
    # only an INVITE starts a call; without its load it is dispatched as any other request
    if world.msg.method != "INVITE":
        selection.algorithm = 0
        return 0
    place = load.least_loaded(world, group.members)
    if place is not None and not load.add(world, group.number, group.members[place]):
        selection.algorithm = 0
    return place


def _by_latency(world: World, selection: Selection, group: Group) -> int:
    """Algorithm 13: by priority, less what the latency costs."""
    size = len(group.members)
    default = bool(world.param("dispatcher", "use_default", 0))
    ring = size - 1 if default and size != 1 else size
    order, place = [], group.last
    for _ in range(size):
        order.append(place)
        place = (place + 1) % ring
    order.sort(key=lambda n: -_rank(group.members[n]))
    usable = [n for n in order if group.members[n].is_usable]
    stored = world.param("dispatcher", "flags", 0) & FAILOVER
    for place in usable if stored else []:
        if not selection.is_full and not (default and place == size - 1):
            _record(world, selection, group.members[place])
    group.last = (usable[0] + 1) % size if usable else 0
    if not usable:
        return -1
    first = usable[0] % ring
    if not _push(world, selection, group.members[first]):
        return -1
    if stored and default and first != size - 1 and not selection.is_full:
        _record(world, selection, group.members[-1])
    return 1


def _rank(destination: Destination) -> int:
    if not destination.is_usable:
        return -1
    priority, latency = destination.priority, destination.latency
    if priority <= 0:
        return priority
    handicap = latency // priority if latency > priority else 0
    return max(1, priority - handicap)


def _push(world: World, selection: Selection, chosen: Destination) -> bool:
    if not selection.mode:
        return True
    return apply(world, chosen.uri, chosen.socket, domain=selection.mode == "domain")


def _fork(world: World, selection: Selection, group: Group, first: int) -> bool:
    """Algorithm 12: the others become branches, be they active or not."""
    message = world.msg
    # where a request has its URI, a reply has its status
    own = message.uri if message.is_request else str(message.status)
    user = ""
    if selection.mode == "domain":
        current = uri.parse(message.uri)
        user = "" if current is None else current.user
    for one in group.members[first + bool(selection.mode) :]:
        scheme, _, rest = one.uri.partition(":")
        if selection.mode != "domain":
            branch = branches.Branch(own, one.uri, socket=one.socket)
        elif not user:
            branch = branches.Branch(one.uri, socket=one.socket)
        elif len(one.uri) < 6 or scheme not in ("sip", "sips"):
            continue
        else:
            branch = branches.Branch(f"{scheme}:{user}@{rest}", socket=one.socket)
        if not branches.append(world, branch):
            return False
    return True


def _store(world: World, selection: Selection, group: Group, first: int) -> bool:
    """Put the selected one and those behind it into `$xavp(_dsdst_)`."""
    members, size = group.members, len(group.members)
    default = bool(world.param("dispatcher", "use_default", 0))
    if not _record(world, selection, members[first]):
        return False
    for place in [*range(first + 1, size), *range(first)]:
        one = members[place]
        full = selection.algorithm == LOAD and not one.has_room
        if selection.is_full or not one.is_usable or full or (default and place == size - 1):
            continue
        if not _record(world, selection, one):
            return False
    if default and first != size - 1 and not selection.is_full:
        return _record(world, selection, members[-1])
    return True


def _record(world: World, selection: Selection, one: Destination) -> bool:
    if selection.algorithm == LOAD and not one.duid:
        world.say(-1, f"dispatcher: no uid for destination: {selection.group} {one.uri}")
        return False
    values = of(world.msg).xavp
    fields = [Entry("dstid", one.duid)] if selection.algorithm == LOAD else []
    fields += [Entry("sock", one.socket)] if one.socket is not None else []
    fields += [Entry("attrs", one.attributes)] if one.attributes else []
    fields += [Entry("grp", selection.group), Entry("uri", one.uri)]
    entry = Entry(RECORDS, values.like(fields))
    place = 0 if selection.last is None else values.entries.index(selection.last) + 1
    values.entries.insert(place, entry)
    selection.last, selection.count = entry, selection.count + 1
    return True
