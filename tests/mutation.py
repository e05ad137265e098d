"""SIP messages that nobody would send on purpose, made from such as somebody did."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from ksr_stub import builders

from .torture import RFC4475

# What parsers have stumbled over: numbers at the edge, separators, what ends or opens something.
MORSELS = tuple(
    morsel.encode("latin-1")
    for morsel in (
        # white space to Python alone
        *("\x0b", "\x0c", "\x1c", "\x1d", "\x85", "\xa0"),
        *("", " ", "\t", "\r", "\n", "\r\n", "\r\n ", "\r\n\r\n", "\0", "%00", "\xff", "\xc3("),
        *("<", ">", '"', "\\", ";", ",", ":", "@", "?", "=", "*", "[", "]", "[::", "..", "~"),
        *("0", "-1", "2147483648", "4294967296", "99999999999999999999", "1e9", "0x10"),
        *(";lr", ";alias=", ";alias=203.0.113.9~1~1", ";maddr=203.0.113.9", ";transport=", ";tag="),
        *(";expires=4294967297", ";q=1.1", ";received=0.0.0.0", ";rport=", ";branch=z9hG4bK"),
        *("sip:", "sips:a@[::1]:99999", "tel:+1", "urn:x:y", "sip:%00@example.test"),
        *("\r\nContact: *", "\r\nExpires: 0", "\r\nMax-Forwards: 0"),
        *("\r\nRoute: <sip:192.0.2.9;lr>", "\r\nContent-Length: 99999"),
        *("\r\nContent-Length: -1", "\r\nVia: SIP/2.0/TCP x"),
        *('\r\nAuthorization: Digest username="', "\r\nProxy-Require: x", "\r\nCSeq: 1 ACK"),
        *("A" * 300, ";" * 200, "%s%n%x", "' OR 1=1 --", "$(rm)", "\r\nX" * 60),
    )
)  # fmt: skip


# What a step of ours may fail of, and is answered with 400: bytes that are no text.
NO_TEXT = re.compile("UnicodeDecodeError|embedded null character")


def seeds(server: str, user: str) -> list[bytes]:
    """Requests of every kind to a user of ours, and the torture messages of RFC 4475."""
    aor, stranger = f"sip:{user}@{server}", "sip:stranger@other.test"
    invite = builders.invite(aor, sender=stranger)
    kinds = [
        builders.register(aor),
        builders.invite(aor, sender=aor),
        invite,
        builders.ack(invite),
        builders.cancel(invite),
        builders.bye(aor, sender=stranger),
        builders.options(f"sip:{server}"),
        builders.message(aor, sender=stranger),
        builders.request("SUBSCRIBE", aor, sender=stranger, headers={"Event": "presence"}),
        builders.request("NOTIFY", aor, sender=stranger, to_tag="x", route=[f"<sip:{server};lr>"]),
        builders.request("PRACK", aor, sender=stranger, headers={"RAck": "1 1 INVITE"}),
    ]
    # the ordinary ones get further into the routes, so they come as often as the torture
    return kinds * 5 + [path.read_bytes() for path in sorted(RFC4475.glob("*.dat"))]


class Mutator:
    """An endless supply of broken messages, the same ones for the same seed."""

    def __init__(self, messages: Sequence[bytes], seed: int) -> None:
        self._messages, self._random = messages, random.Random(seed)  # noqa: S311
        self._count = 0

    def message(self) -> bytes:
        """A message with one to four faults, in a transaction of its own nearly always."""
        self._count += 1
        data = self._random.choice(self._messages)
        if self._random.random() < 0.95:
            data = data.replace(b"branch=z9hG4bK", b"branch=z9hG4bK%d-" % self._count, 1)
        for _ in range(self._random.randint(1, 4)):
            data = self._random.choice(FAULTS)(data, self._random)
        return data[:60000]


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + chance.choice(MORSELS) + data[place:]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    morsel = chance.choice(MORSELS)
    return data[:place] + morsel + data[place + len(morsel) :]


def _flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) or 1)
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + data[place + chance.randint(1, 30) :]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _repeat_a_line(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    line = chance.choice(lines)
    lines.insert(chance.randint(0, len(lines)), line)
    return b"\r\n".join(lines)


def _swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _repeat_a_slice(data: bytes, chance: random.Random) -> bytes:
    place, length = chance.randint(0, len(data)), chance.randint(1, 40)
    return data[:place] + data[place : place + length] * chance.randint(2, 20) + data[place:]


FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_insert, _overwrite, _flip, _cut, _truncate, _repeat_a_line, _swap_lines, _repeat_a_slice),
)
