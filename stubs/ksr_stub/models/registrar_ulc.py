"""registrar: `$ulc(profile=>attribute)`, and the event of an expired binding."""

from __future__ import annotations

from typing import Any

import attrs

from ksr_stub import events, pv, registering
from ksr_stub.models.registrar import has_table
from ksr_stub.models.usrloc import ON_EXPIRED, Binding, Usrloc
from ksr_stub.pv.values import Value
from ksr_stub.registering import Refused, signed
from ksr_stub.registry import model
from ksr_stub.world import World

_EXPIRED = "exp"
_ATTRIBUTES = {
    "addr": "uri", "path": "path", "received": "received", "expires": "expires",
    "callid": "call_id", "q": "q", "cseq": "cseq", "flags": "flags", "cflags": "cflags",
    "user_agent": "user_agent", "modified": "last_modified", "methods": "methods", "ruid": "ruid",
    "regid": "reg_id",
}  # fmt: skip
_OTHERS = ("aor", "domain", "aorhash", "socket", "count", "instance", "conid", "server_id")


@attrs.define(eq=False)
class Profile:
    """The bindings as they were when they were fetched."""

    table: str
    aor: str
    bindings: list[Binding] = attrs.Factory(list)


@attrs.define(eq=False)
class Profiles:
    """What `$ulc` reads."""

    found: dict[str, Profile] = attrs.Factory(dict)


@model("registrar")
def reg_fetch_contacts(world: World, table: str, address: str, profile: str) -> int:
    """Copy the bindings of an address of record, expired ones too, for `$ulc(profile=>...)`.

    Returns:
        1, -1 where there are none.
    """
    if not has_table(world, table):
        return -1
    profiles = world.part(Profiles).found
    profiles.pop(profile, None)
    try:
        aor, _ = registering.address_of_record(world, address)
    except Refused:
        return -1
    record = world.part(Usrloc).record(table, aor)
    if record is None:
        return -1
    profiles[profile] = Profile(table, aor, [attrs.evolve(one) for one in record])
    return 1


@model("registrar")
def reg_free_contacts(world: World, profile: str) -> int:
    """Forget the copy."""
    world.part(Profiles).found.pop(profile, None)
    return 1


def expired(world: World, binding: Binding) -> None:
    """Call `event_callback` for a binding that the timer removes."""
    callback = world.param("registrar", "event_callback", "")
    if not callback or world.script is None:
        return
    copy = Profile(binding.table, binding.aor, [attrs.evolve(binding)])
    world.part(Profiles).found[_EXPIRED] = copy
    events.run(world, callback, "usrloc:contact-expired", world.sockets[0])


def _attribute(text: str) -> tuple[str, str]:
    profile, arrow, name = text.partition("=>")
    if not arrow or not profile or name not in (*_ATTRIBUTES, *_OTHERS):
        raise ValueError(f"unknown contact attribute {text!r}")
    return profile, name


def _ulc(world: World, inner: tuple[str, str], index: Any) -> Value:  # noqa: ANN401
    profile = world.part(Profiles).found.get(inner[0])
    if profile is None or not profile.bindings:
        return None
    number = max(0, index.resolve(world)[0])
    if number >= len(profile.bindings):
        return None
    return _value(world, profile, profile.bindings[number], inner[1])


def _value(world: World, profile: Profile, binding: Binding, name: str) -> Value:
    if name in _ATTRIBUTES:
        value: Value = getattr(binding, _ATTRIBUTES[name])
        # an int of 32 bits: all methods are -1
        return signed(value) if isinstance(value, int) else value
    socket = binding.socket
    connected = socket is not None and socket.proto != "udp"
    values: dict[str, Value] = {
        "aor": profile.aor,
        "domain": profile.table,
        # nobody fills it in
        "aorhash": 0,
        "count": len(profile.bindings),
        "socket": None if socket is None else str(socket),
        "instance": binding.instance or None,
        "conid": binding.connection if connected else None,
        "server_id": world.param("core", "server_id", 0),
    }
    return values[name]


pv.provide("ulc", _ulc, inner=_attribute, indexed=True)
ON_EXPIRED.append(expired)
