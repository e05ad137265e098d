"""Nonces of Kamailio's module auth: a time, and a hash that only the server can make."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
import struct

import attrs

from ksr_stub import nameaddr
from ksr_stub.addresses import packed_ip
from ksr_stub.message import SipMessage
from ksr_stub.world import World

# What check() says.
GOOD, BROKEN, STALE, REUSED = "good", "broken", "stale", "reused"

_DRIFT = 3
_SHORTEST = 32
_NC, _ONE_TIME = 0x80, 0x40
_URI, _CALL_ID, _FROM_TAG, _SOURCE = 1, 2, 4, 8
_MAX_NC = 256
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


@attrs.define(eq=False)
class Nonces:
    """What the server remembers of its nonces: how often each was used."""

    needs_world = True

    world: World
    started: int = attrs.field(init=False)
    secret: str = attrs.field(init=False, factory=lambda: secrets.token_hex(16))
    counts: dict[int, int] = attrs.Factory(dict)
    used: set[int] = attrs.Factory(set)
    ids: itertools.count[int] = attrs.Factory(itertools.count)

    def __attrs_post_init__(self) -> None:
        """A nonce from before the start is stale."""
        self.started = int(self.world.clock.now)


def make(world: World, message: SipMessage | None) -> str:
    """A new nonce, valid for `nonce_expire` seconds."""
    now = int(world.clock.now)
    start = struct.pack(">II", now + world.param("auth", "nonce_expire", 300), now)
    flags = _flags(world)
    extra = b""
    if flags:
        number = next(world.part(Nonces).ids)
        world.part(Nonces).counts[number] = 0
        extra = struct.pack(">IB", number, flags)
    return base64.b64encode(_binary(world, message, start, extra)).decode()


def check(world: World, message: SipMessage, nonce: str, nc: str | None) -> str:
    """Whether a nonce is ours and may still be used.

    Args:
        world: the server.
        message: the request that brings it.
        nonce: as in the credentials.
        nc: the nonce count of the credentials, None without one.
    """
    now = int(world.clock.now)
    data = _decoded(nonce)
    if data is None:
        return BROKEN
    expires, since = struct.unpack(">II", data[:8])
    drift = world.param("auth", "nonce_auth_max_drift", _DRIFT)
    if since < world.part(Nonces).started or since > now + drift:
        return STALE
    checked = bool(_checks(world, message))
    at = 40 if checked else 24
    extra = data[at:]
    if world.param("auth", "one_time_nonce", 0) and not (extra and extra[-1] & _ONE_TIME):
        return STALE
    ours = _binary(world, message, data[:8], extra)
    if data[8:24] != ours[8:24]:
        return BROKEN
    return _check_use(world, data, ours, extra, nc, int(expires) < now)


def _check_use(
    world: World, data: bytes, ours: bytes, extra: bytes, nc: str | None, expired: bool
) -> str:
    part = world.part(Nonces)
    number, flags = struct.unpack(">IB", extra) if len(extra) == 5 else (0, 0)
    if world.param("auth", "nonce_count", 0) and flags & _NC and nc:
        outcome = _count(part, number, nc)
        return outcome if outcome != GOOD or not expired else STALE
    if world.param("auth", "one_time_nonce", 0) and flags & _ONE_TIME:
        if number in part.used:
            return REUSED
        part.used.add(number)
    if len(data) != len(ours):
        return BROKEN
    if data != ours or expired:
        return STALE
    return GOOD


def _count(part: Nonces, number: int, nc: str) -> str:
    try:
        count = int(nc, 16) if len(nc) == 8 else -1
    except ValueError:
        count = -1
    if count < 0:
        return BROKEN
    if count >= _MAX_NC or count <= part.counts.get(number, _MAX_NC):
        return STALE
    part.counts[number] = count
    return GOOD


def _flags(world: World) -> int:
    return (_NC if world.param("auth", "nonce_count", 0) else 0) | (
        _ONE_TIME if world.param("auth", "one_time_nonce", 0) else 0
    )


def _decoded(nonce: str) -> bytes | None:
    if len(nonce) < _SHORTEST or len(nonce) % 4:
        return None
    # what is no base64 counts as zeros
    text = _NO_BASE64.sub("A", nonce.rstrip("="))
    data = base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + "==")
    return data if len(data) >= 24 else None


def _binary(world: World, message: SipMessage | None, start: bytes, extra: bytes) -> bytes:
    first, second = _secrets(world)
    mac = hashlib.md5(start + extra + first).digest()  # noqa: S324
    checks = _checks(world, message)
    if not checks or message is None:
        return start + mac + extra
    bound = hashlib.md5(_bound(message, checks) + second).digest()  # noqa: S324
    return start + mac + bound + extra


def _secrets(world: World) -> tuple[bytes, bytes]:
    given = world.param("auth", "secret", "").encode("latin-1", "replace")
    if not given:
        made = world.part(Nonces).secret.encode()
        return made, made[::-1]
    checks = ("auth_checks_register", "auth_checks_no_dlg", "auth_checks_in_dlg")
    if not any(world.param("auth", name, 0) for name in checks):
        return given, b""
    half = (len(given) + 1) // 2
    return given[:half], given[half:]


def _checks(world: World, message: SipMessage | None) -> int:
    if message is None:
        return 0
    if message.method == "REGISTER":
        return world.param("auth", "auth_checks_register", 0)
    to = nameaddr.of(message, "to")
    inside = to is not None and bool(to.tag)
    return world.param("auth", "auth_checks_in_dlg" if inside else "auth_checks_no_dlg", 0)


def _bound(message: SipMessage, checks: int) -> bytes:
    sender = nameaddr.of(message, "from")
    parts = (
        (_URI, message.uri.encode("latin-1")),
        (_CALL_ID, message.get("call-id").encode("latin-1")),
        (_FROM_TAG, b"" if sender is None else sender.tag.encode("latin-1")),
        (_SOURCE, packed_ip(message.source.host)),
    )
    return b"".join(data for bit, data in parts if checks & bit)
