"""Module tm: serial forking, by q and by instance (modules/tm/t_serial.c of Kamailio).

What is still to be tried is in `$xavp(...)` of the names that modparams contacts_avp and
contact_flows_avp give.
"""

from __future__ import annotations

from typing import cast

from ksr_stub import branches
from ksr_stub.branches import Branch
from ksr_stub.errors import NotModelled, Unpredictable
from ksr_stub.message import Socket
from ksr_stub.models.cfgutils import Chance
from ksr_stub.pv.lists import Entry, XList, of
from ksr_stub.pv.variables.network import find_socket
from ksr_stub.registry import model
from ksr_stub.tm import cell
from ksr_stub.tm.cell import BRANCH_FAILURE
from ksr_stub.world import World

_LAST_OF_ITS_CLASS = 1 << 2


def _name(world: World, param: str) -> str:
    name = world.param("tm", param, "")
    if not name:
        world.say(-1, f"tm: feature has been disabled - to enable define {param} module parameter")
    if world.param("tm", "xavp_contact", ""):
        raise world.fault(NotModelled("modparam xavp_contact of tm has no model in the stub"))
    return name


@model("tm")
def t_load_contacts(world: World) -> int:
    """Keep the R-URI and the branch set for t_next_contacts, the highest q first.

    Returns 1, also where there is only one destination; -1 without modparam contacts_avp.
    """
    return ki_t_load_contacts_mode(world, 0)


@model("tm")
def ki_t_load_contacts_mode(world: World, mode: int) -> int:
    """As t_load_contacts; mode 1 draws one after the other by lot, weighted with q."""
    name = _name(world, "contacts_avp")
    if not name:
        return -1
    message, entries = world.msg, branches.current(world)
    if not entries or (len(entries) == 1 and not message.uri_fresh):
        return 1
    contacts = [_of_ruri(world), *entries] if message.uri_fresh else list(entries)
    values = of(message).xavp
    if mode == 1:
        _draw(world, values, name, contacts)
    else:
        _by_q(values, name, contacts)
    branches.clear(world)
    message.q, message.bflags, message.uri_fresh = branches.Q_UNSPECIFIED, 0, False
    return 1


def _of_ruri(world: World) -> Branch:
    message = world.msg
    return Branch(
        message.uri, message.dst_uri or "", message.path_vector or "", message.send_socket,
        message.q, message.bflags, message.instance, message.ruid, message.location_ua,
    )  # fmt: skip


def _by_q(values: XList, name: str, contacts: list[Branch]) -> None:
    ordered: list[Branch] = []
    for one in contacts:
        place = 0
        while place < len(ordered) and (
            ordered[place].q < one.q or (ordered[place].q == one.q and not one.path)
        ):
            place += 1
        ordered.insert(place, one)
    former: Branch | None = None
    for one in ordered:
        rises = former is not None and former.q < one.q
        values.add(name, _record(values, one, _LAST_OF_ITS_CLASS if rises else 0))
        former = one


def _draw(world: World, values: XList, name: str, contacts: list[Branch]) -> None:
    weighted = [one for one in contacts if one.q > 0]
    drawn: list[Branch] = []
    while weighted:
        lot = world.part(Chance).source.randrange(sum(one.q for one in weighted))
        for one in list(weighted):
            lot -= one.q
            if lot < 0:
                weighted.remove(one)
                drawn.append(one)
                break
    drawn += [one for one in contacts if one.q <= 0]
    records = [_record(values, one, _LAST_OF_ITS_CLASS) for one in drawn]
    values.entries[:0] = [Entry(name, record) for record in records]


def _record(values: XList, contact: Branch, q_flag: int | None) -> XList:
    """What is kept of a destination; `q_flag` None: in contact_flows_avp."""
    # Kamailio counts the NUL behind the socket's text in
    socket = "" if contact.socket is None else f"{contact.socket}\0"
    texts = [
        ("uri", contact.uri), ("dst_uri", contact.dst_uri), ("path", contact.path),
        ("sock", socket),
    ]  # fmt: skip
    owner = [("instance", contact.instance), ("ruid", contact.ruid), ("ua", contact.ua)]
    flags = Entry("flags", contact.bflags)
    record = [Entry(key, text) for key, text in texts if text]
    if q_flag is not None:
        record += [flags, Entry("q_flag", q_flag)]
    record += [Entry(key, text) for key, text in owner if text]
    if q_flag is None:
        record.append(flags)
    return values.like(record[::-1])


def _contact(world: World, record: XList) -> Branch | None:
    """A record as a destination; None where its socket is no more."""

    def text(key: str) -> str:
        found = record.at(key, 0)
        return "" if found is None else str(found.value)

    socket: Socket | None = None
    if text("sock"):
        socket = find_socket(world, text("sock").rstrip("\0"))
        if socket is None:
            return None
    flags = record.at("flags", 0)
    return Branch(
        text("uri"), text("dst_uri"), text("path"), socket, 0,
        0 if flags is None else cast("int", flags.value), text("instance"), text("ruid"),
        text("ua"),
    )  # fmt: skip


def _is_last(record: XList) -> bool:
    found = record.at("q_flag", 0)
    return found is not None and bool(found.value)


@model("tm")
def t_next_contacts(world: World) -> int:
    """Make the destinations of the highest q left the R-URI and the branch set.

    Of those with the same instance only one goes there, the others wait for t_next_contact_flow.

    Returns:
        1; -2 where none is left; -1 without modparam contacts_avp, or where a socket is gone.
    """
    name = _name(world, "contacts_avp")
    if not name:
        return -1
    values = of(world.msg).xavp
    first = values.at(name, 0)
    if first is None:
        return -2
    record = cast("XList", first.value)
    contact = _contact(world, record)
    values.remove(name)
    if contact is None:
        return -1
    last = _is_last(record)
    _to_ruri(world, contact, keep_instance=last)
    if last:
        return 1
    values.remove_all(world.param("tm", "contact_flows_avp", ""))
    return _others(world, values, name, {contact.instance} - {""})


def _to_ruri(world: World, contact: Branch, *, keep_instance: bool) -> None:
    message = world.msg
    message.new_uri, message.dst_uri = contact.uri, contact.dst_uri or None
    message.path_vector = contact.path or None
    message.send_socket, message.bflags = contact.socket, contact.bflags
    message.ruid, message.location_ua = contact.ruid, contact.ua
    if contact.instance and not keep_instance:
        message.instance = contact.instance


def _others(world: World, values: XList, name: str, instances: set[str]) -> int:
    """Append those of the same q to the branch set."""
    flows = world.param("tm", "contact_flows_avp", "")
    while (found := values.at(name, 0)) is not None:
        record = cast("XList", found.value)
        contact, last = _contact(world, record), _is_last(record)
        if contact is None:
            return -1
        if contact.instance and contact.instance in instances:
            values.add(flows, _record(values, contact, None))
        elif not branches.append(world, contact):
            return -1
        elif contact.instance:
            instances.add(contact.instance)
        values.remove(name)
        if last:
            return 1
    return 1


@model("tm")
def t_next_contact_flow(world: World) -> int:
    """In a branch failure route: append another destination of the branch's instance.

    Returns:
        1; -2 without instance or where nothing is left; -1 where nothing is left of the instance.
    """
    name = _name(world, "contact_flows_avp")
    if not name:
        return -1
    if world.route != BRANCH_FAILURE:
        raise world.fault(
            Unpredictable("t_next_contact_flow outside a branch failure route reads unset memory")
        )
    note = cell.pending(world.msg)
    assert note.transaction is not None  # noqa: S101
    instance, values = note.transaction.clients[note.branch].instance, of(world.msg).xavp
    if not instance or values.at(name, 0) is None:
        return -2
    for place, found in enumerate(values.all(name)):
        contact = _contact(world, cast("XList", found.value))
        if contact is None or contact.instance != instance:
            continue
        if not branches.append(world, contact):
            values.remove(name)
            return -1
        values.remove(name, place)
        return 1
    return -1
