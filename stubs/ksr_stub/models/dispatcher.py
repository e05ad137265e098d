"""Module dispatcher: a destination of a set for a request (modules/dispatcher)."""

from __future__ import annotations

import re

import attrs

from ksr_stub import pv, script, sending, uri
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Socket
from ksr_stub.models import dispatcher_load as load
from ksr_stub.models.dispatcher_select import FAILOVER, RECORDS, Selection, apply, manage
from ksr_stub.models.dispatcher_sets import (
    DISABLED,
    INACTIVE,
    PROBING,
    STATES,
    TRYING,
    Destination,
    Dispatcher,
    Group,
)
from ksr_stub.pv.lists import Entry, XList, of
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import EVENT, World

NO_PORT, NO_PROTO, ONLY_ACTIVE = 1, 2, 4
_UNLIMITED = 0xFFFFFFFF

__all__ = ["Destination", "Dispatcher"]


def _count(world: World, selection: Selection) -> None:
    values = of(world.msg).xavp
    values.add("_dsctx_", values.like([Entry("cnt", selection.count)]))


def _select(world: World, group: int, algorithm: int, limit: int, mode: str) -> int:
    selection = Selection(mode, limit % 2**32 or _UNLIMITED, group, algorithm)
    code = manage(world, selection)
    if code > 0:
        _count(world, selection)
    return code


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
    selection, found = Selection("", limit % 2**32 or _UNLIMITED), -1
    done = False
    at = 0
    while at < len(rules):
        rule = re.compile(r"(\d*)(?:=(\d*)(?:;|$)|$)").match(rules, at)
        if rule is None or (not done and mode[:1].lower() not in chosen):
            world.say(-1, f"dispatcher: invalid rules or mode: [{rules}] {mode}")
            return -1
        at = rule.end()
        selection.mode = "" if done else chosen[mode[:1].lower()]
        selection.group, selection.algorithm = int(rule[1] or 0), int(rule[2] or 0)
        code = manage(world, selection)
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
    found = of(world.msg).xavp.at(RECORDS, 0)
    return found.value if found is not None and isinstance(found.value, XList) else None


def _update(world: World, *, domain: bool) -> int:
    record = _current(world)
    address = None if record is None else record.at("uri", 0)
    if record is None or address is None or not isinstance(address.value, str):
        return -1
    socket = record.at("sock", 0)
    forced = socket.value if socket is not None and isinstance(socket.value, Socket) else None
    return 1 if apply(world, address.value, forced, domain=domain) else -1


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
    while _current(world) is not None:
        of(world.msg).xavp.remove(RECORDS)
        if _update(world, domain=domain) < 0:
            return -1
        record = _current(world)
        duid = None if record is None else record.at("dstid", 0)
        if duid is None or not isinstance(duid.value, str):
            return 1
        code = load.replace(world, duid.value)
        if code != -2:
            return 1 if code == 0 else -1
    return -1


@model("dispatcher")
def ds_mark_dst(world: World) -> int:
    """Mark the current destination inactive, with `ds_probing_mode` 1 as probing too."""
    everyone = world.param("dispatcher", "ds_probing_mode", 0) == 1
    return _mark(world, INACTIVE | (PROBING if everyone else 0))


@model("dispatcher")
def ds_mark_dst_state(world: World, sval: str) -> int:
    """Mark the current destination: letters of `aitdp`; -1 for others. '' is as ds_mark_dst."""
    if not sval:
        return ds_mark_dst(world)
    state = 0
    for letter in sval.lower():
        if letter not in STATES:
            world.say(0, f"dispatcher: failed to parse state flags: {sval}")
            return -1
        state = 0 if letter == "a" else state | STATES[letter]
    return _mark(world, state)


def _mark(world: World, state: int) -> int:
    record = _current(world)
    failover = world.param("dispatcher", "flags", 0) & FAILOVER
    group, address = (None, None) if record is None else (record.at("grp", 0), record.at("uri", 0))
    if not failover or group is None or address is None:
        return -1
    found = world.part(Dispatcher).groups.get(int(str(group.value)))
    if found is None:
        return -1
    for one in found.members:
        if one.uri.lower() == str(address.value).lower():
            _set_state(world, found, one, state)
            return 1
    return -1


def _set_state(world: World, group: Group, one: Destination, state: int) -> None:
    """A destination goes down after so many failures, and up after so many answers."""
    former, was_usable, wanted = one.state, one.is_usable, state
    if state & TRYING and former & INACTIVE:
        state = (state & ~TRYING) | INACTIVE
    one.state = DISABLED if state & DISABLED else state
    if state & TRYING:
        one.answers += 1
        if one.answers >= world.param("dispatcher", "ds_probing_threshold", 1):
            one.state = (one.state & ~TRYING) | INACTIVE
            one.answers = 0
    elif not wanted & TRYING and former & INACTIVE:
        one.answers += 1
        if one.answers < world.param("dispatcher", "ds_inactive_threshold", 1):
            one.state |= INACTIVE | (former & PROBING)
        else:
            one.answers = 0
    else:
        one.answers = 0
    if was_usable != one.is_usable:
        _tell(world, "dispatcher:dst-up" if one.is_usable else "dispatcher:dst-down")
        if one.relative_weight:
            world.part(Dispatcher).reweigh(group)


@attrs.define(eq=False)
class _Event:
    """What `$dsv` shows while the event route runs."""

    running: bool = False


def _tell(world: World, event: str) -> None:
    """Run `event_callback`, on the message being routed."""
    callback = world.param("dispatcher", "event_callback", "")
    if not callback:
        return
    part, route = world.part(_Event), world.route
    part.running, world.route = True, EVENT
    try:
        script.run(world, callback, event)
    finally:
        part.running, world.route = False, route


@variable("dsv", inner=one_of("code", "reason", "flags"))
def dsv(world: World, inner: str, index: object) -> Value:
    if not world.part(_Event).running:
        return None
    message = world.msg
    if inner == "code":
        return 820 if message.is_request else message.status
    if inner == "flags":
        return 0 if message.is_request else 1
    return None if message.is_request else message.reason


@model("dispatcher")
def ds_load_update(world: World) -> int:
    """Follow a call whose load is counted: BYE and CANCEL end it, a 2xx of INVITE answers it.

    Returns:
        0, -1 where CSeq or Call-ID can't be read.
    """
    message = world.msg
    if message.is_request:
        if message.method in ("BYE", "CANCEL"):
            load.remove(world)
        return 0
    found = load.current(world)
    method = message.get("cseq").split()[-1:]
    if method == ["INVITE"] and message.status // 100 == 2 and found is not None:
        found.answered = True
    return 0


@model("dispatcher")
def ds_load_unset(world: World) -> int:
    """The call loads nobody any more.

    Returns:
        0, also for an INVITE that was not dispatched by load; -1 where nothing was counted.
    """
    record = _current(world)
    if world.msg.method == "INVITE":
        duid = None if record is None else record.at("dstid", 0)
        if duid is None or not isinstance(duid.value, str):
            return 0
    return 0 if load.remove(world) else -1


@model("dispatcher")
def ds_reload(world: World) -> int:
    """Read the sets again; all states and counts are forgotten.

    Returns:
        1; -1 within `reload_delta` seconds after the last time, and where they can't be read.
    """
    part, now = world.part(Dispatcher), int(world.clock.now)
    if part.reloaded is not None and part.reloaded > now - int(
        world.param("dispatcher", "reload_delta", 5)
    ):
        world.say(-1, "dispatcher: ongoing reload")
        return -1
    part.reloaded = now
    return 1 if part.load() else -1


@model("dispatcher")
def ds_list_exists(world: World, sid: int) -> int:
    """1: there is such a set."""
    return 1 if sid in world.part(Dispatcher).groups else -1


@model("dispatcher")
def ds_is_active(world: World, sid: int) -> int:
    """1: a destination of the set is active."""
    return ds_is_active_uri(world, sid, "")


@model("dispatcher")
def ds_is_active_uri(world: World, sid: int, suri: str) -> int:
    """1: the destination with exactly this URI is active, '': any is."""
    members = world.part(Dispatcher).members(sid)
    return 1 if any(one.is_usable and suri in ("", one.uri) for one in members) else -1


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
    """As ds_is_from_list; mode 1 ignores the port, 2 the protocol, 4 wants it active."""
    source = world.msg.source
    return _is_listed(world, vset, vmode, source.host, source.port, world.msg.socket.proto)


@model("dispatcher")
def ds_is_from_list_uri(world: World, vset: int, vmode: int, vuri: str) -> int:
    """1: a destination of the set (-1: of any) has this address; '': that of the request."""
    if not vuri:
        return ds_is_from_list_mode(world, vset, vmode)
    parsed = uri.parse(vuri)
    host = None if parsed is None else sending.resolve(world, parsed.host)
    if parsed is None or host is None:
        world.say(-1, f"dispatcher: bad uri [{vuri}]")
        return -1
    return _is_listed(world, vset, vmode, host, parsed.port_number, parsed.parsed_proto)


def _is_listed(world: World, group: int, mode: int, host: str, port: int, proto: str) -> int:
    part = world.part(Dispatcher)
    for number in sorted(part.groups) if group == -1 else [group]:
        for one in part.members(number):
            if one.address == host and _matches(one, mode, port, proto):
                _export(world, one, number if group == -1 else None)
                return 1
    return -1


def _matches(one: Destination, mode: int, port: int, proto: str) -> bool:
    parsed = uri.parse(one.uri)
    if parsed is None:
        return False
    return bool(
        (mode & NO_PORT or parsed.port_number in (0, port))
        and (mode & NO_PROTO or parsed.parsed_proto == proto)
        and (not mode & ONLY_ACTIVE or one.is_usable)
    )


def _export(world: World, one: Destination, group: int | None) -> None:
    """Write the set and the attributes into the variables of `setid_pvname`, `attrs_pvname`."""
    for name, value in (("setid_pvname", group), ("attrs_pvname", one.attributes or None)):
        variable_name = str(world.param("dispatcher", name, ""))
        if variable_name and value is not None:
            pv.put(world, variable_name, value)
