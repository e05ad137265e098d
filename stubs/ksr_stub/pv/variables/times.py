"""The time: `$Ts`, `$TF`, `$TV(sn)`, `$timef(%Y)`, ... on the World's clock (pv_time.c)."""

from __future__ import annotations

import time
from typing import cast

from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Numbered, Value
from ksr_stub.world import World


def received_at(world: World) -> float:
    """When the message is taken to have come: when it was first asked for."""
    return cast("float", world.msg.notes.setdefault("time", world.clock.now))


def _micro(now: float) -> int:
    return int(round(now % 1, 6) * 1_000_000)


@variable("Ts")
def message_seconds(world: World, inner: object, index: Index) -> Value:
    return int(received_at(world))


@variable("TS")
def seconds(world: World, inner: object, index: Index) -> Value:
    return int(world.clock.now)


@variable("Tf")
def message_time(world: World, inner: object, index: Index) -> Value:
    return Numbered(time.ctime(received_at(world)), int(received_at(world)))


@variable("TF")
def now_text(world: World, inner: object, index: Index) -> Value:
    return Numbered(time.ctime(world.clock.now), int(world.clock.now))


@variable("Tb")
def boot(world: World, inner: object, index: Index) -> Value:
    return int(world.param("core", "up_since", 1_800_000_000))


@variable("TV", inner=one_of("s", "u", "sn", "un", "Sn", "Fn"))
def time_value(world: World, inner: str, index: Index) -> Value:
    now = received_at(world) if inner in ("s", "u") else world.clock.now
    if inner in ("u", "un"):
        return _micro(now)
    if inner == "Sn":
        return f"{int(now)}.{_micro(now):06}"
    if inner == "Fn":
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        return f"{stamp}.{_micro(now):06}"
    return int(now)


_PARTS = ("sec", "min", "mon", "hour", "mday", "year", "wday", "yday", "isdst")


def _part(parts: time.struct_time, name: str) -> int:
    weekday = (parts.tm_wday + 1) % 7 + 1  # Kamailio counts from Sunday, and from 1
    return weekday if name == "wday" else int(getattr(parts, f"tm_{name}"))


@variable("time", inner=one_of(*_PARTS))
def local_part(world: World, inner: str, index: Index) -> Value:
    return _part(time.localtime(received_at(world)), inner)


@variable("utime", inner=one_of(*_PARTS))
def utc_part(world: World, inner: str, index: Index) -> Value:
    return _part(time.gmtime(received_at(world)), inner)


def _formatted(layout: str, parts: time.struct_time) -> Value:
    text = time.strftime(layout, parts)
    return text if 0 < len(text) < 64 else None


@variable("timef", inner=str)
def local_format(world: World, inner: str, index: Index) -> Value:
    return _formatted(inner, time.localtime(received_at(world)))


@variable("utimef", inner=str)
def utc_format(world: World, inner: str, index: Index) -> Value:
    return _formatted(inner, time.gmtime(received_at(world)))
