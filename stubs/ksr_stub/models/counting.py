"""Modules statistics and counters: numbers that are counted up and down; and uuid."""

from __future__ import annotations

import itertools
import uuid
from typing import ClassVar

import attrs

from ksr_stub.errors import NotModelled, WrongArguments
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import World

_WORD = 2**64
_COUNTERS = ("counters", "script_counter")
# of kex, sl, tm, usrloc and registrar
_OF_KAMAILIO = {
    "1xx_replies", "200_replies", "202_replies", "2xx_replies", "2xx_transactions", "300_replies",
    "301_replies", "302_replies", "3xx_replies", "3xx_transactions", "400_replies", "401_replies",
    "403_replies", "404_replies", "407_replies", "408_replies", "483_replies", "4xx_replies",
    "4xx_transactions", "500_replies", "5xx_replies", "5xx_transactions", "6xx_replies",
    "6xx_transactions", "UAC_transactions", "UAS_transactions", "accepted_regs", "bad_URIs_rcvd",
    "bad_msg_hdr", "default_expire", "default_expires_range", "drop_replies", "drop_requests",
    "err_replies", "err_requests", "expires_range", "failures", "fragments", "free_size",
    "fwd_replies", "fwd_requests", "inuse_transactions", "max_contacts", "max_expires",
    "max_used_size", "rcv_replies", "rcv_replies_18x", "rcv_replies_1xx", "rcv_replies_2xx",
    "rcv_replies_3xx", "rcv_replies_401", "rcv_replies_404", "rcv_replies_407", "rcv_replies_480",
    "rcv_replies_486", "rcv_replies_4xx", "rcv_replies_5xx", "rcv_replies_6xx", "rcv_requests",
    "rcv_requests_ack", "rcv_requests_bye", "rcv_requests_cancel", "rcv_requests_info",
    "rcv_requests_invite", "rcv_requests_message", "rcv_requests_notify", "rcv_requests_options",
    "rcv_requests_prack", "rcv_requests_publish", "rcv_requests_refer", "rcv_requests_register",
    "rcv_requests_subscribe", "rcv_requests_update", "real_used_size", "received_ACKs",
    "registered_users", "rejected_regs", "rpl_absorbed", "rpl_generated", "rpl_received",
    "rpl_relayed", "rpl_sent", "sent_err_replies", "sent_replies", "total_size",
    "unsupported_methods", "used_size", "xxx_replies",
}  # fmt: skip


@attrs.define(eq=False)
class Counts:
    """The statistics and counters by name."""

    values: dict[str, int] = attrs.Factory(dict)


@variable("stat", inner=str)
def stat(world: World, inner: str, index: object) -> Value:
    """A statistic or counter of the script; those of Kamailio itself have no model."""
    values = world.part(Counts).values
    if inner in values:
        return values[inner] % 2**32
    if inner in _names(world, "statistics", "variable") | _names(world, *_COUNTERS):
        return 0
    if inner in _OF_KAMAILIO:
        raise world.fault(
            NotModelled(
                f"$stat({inner}) counts since Kamailio was started, and the stub counts nothing:"
                f" set ksr.world.part(Counts).values[{inner!r}]"
            )
        )
    world.say(0, f"pv: No stat variable ``{inner}''")
    return None


@variable("uuid", inner=str)
def uuid_of(world: World, inner: str, index: object) -> Value:
    """A UUID: `t` and `s` from the time, anything else at random."""
    return str(uuid.uuid1() if inner[0] in "tTsS" else uuid.uuid4())


@attrs.define(eq=False)
class UniqueIds:
    """Where `$sruid` is."""

    needs_world: ClassVar[bool] = True

    world: World
    started: int = attrs.field(init=False)
    numbers: itertools.count[int] = attrs.Factory(lambda: itertools.count(1))

    def __attrs_post_init__(self) -> None:
        self.started = int(self.world.clock.now)


@variable("sruid")
def unique_id(world: World, inner: object, index: object) -> Value:
    """An id that is another one each time: start, process and number in hexadecimal."""
    part = world.part(UniqueIds)
    return f"{part.started:x}-1-{next(part.numbers):x}"


@model("uuid")
def tget(world: World) -> str:
    """A UUID from the time (RFC 4122, version 1)."""
    return str(uuid.uuid1())


def _names(world: World, module: str, parameter: str) -> set[str]:
    given: str | tuple[str, ...] = world.param(module, parameter, ())
    specs = (given,) if isinstance(given, str) else given
    return {spec.split("/")[0].split(" ")[0].strip() for spec in specs}


@model("statistics")
def update_stat(world: World, name: str, value: int) -> int:
    """Add to a statistic of `modparam("statistics", "variable", ...)`; -1: there is none."""
    return _add(world, _names(world, "statistics", "variable"), name, value)


@model("statistics")
def reset_stat(world: World, name: str) -> int:
    """Set a statistic to 0; -1: there is none."""
    return _reset(world, _names(world, "statistics", "variable"), name)


@model("counters")
def inc(world: World, sname: str) -> int:
    """Count one up; -1: `modparam("counters", "script_counter", ...)` has none of that name."""
    return add(world, sname, 1)


@model("counters")
def add(world: World, sname: str, v: int) -> int:
    """Add to a counter; -1: there is none."""
    _refuse_group(world, sname)
    return _add(world, _names(world, "counters", "script_counter"), sname, v)


@model("counters")
def reset(world: World, sname: str) -> int:
    """Set a counter to 0; -1: there is none."""
    _refuse_group(world, sname)
    return _reset(world, _names(world, "counters", "script_counter"), sname)


@model("uuid", "get", "rget")
def get(world: World) -> str:
    """A random UUID (RFC 4122, version 4)."""
    return str(uuid.uuid4())


def _add(world: World, known: set[str], name: str, value: int) -> int:
    if name not in known:
        world.say(-1, f"no statistic or counter {name}")
        return -1
    values = world.part(Counts).values
    values[name] = (values.get(name, 0) + value) % _WORD
    return 1


def _reset(world: World, known: set[str], name: str) -> int:
    if name not in known:
        return -1
    world.part(Counts).values[name] = 0
    return 1


def _refuse_group(world: World, name: str) -> None:
    if "." in name and world.strict:
        raise world.fault(
            WrongArguments(
                f"the counter {name!r} is named with its group: Kamailio writes a NUL over the dot,"
                " in Python's own string, so that the next call with this text raises SystemError;"
                " name a counter of the group `script` without a group"
            )
        )
