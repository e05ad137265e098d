"""Flags of the message, the branch and the script: `$mf`, `$bf`, `$sf`, ... (modules/pv)."""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub.message import SipMessage
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import provide
from ksr_stub.pv.values import Numbered, Value, number_of, signed
from ksr_stub.world import World

_WORD = 0xFFFFFFFF


def script_flags(message: SipMessage) -> int:
    """The script flags (`setsflag`)."""
    found = message.notes.get("sflags", 0)
    return found if isinstance(found, int) else 0


def _read(message: SipMessage, kind: str) -> int:
    return {"m": message.flags, "b": message.bflags, "s": script_flags(message)}[kind]


def _write(message: SipMessage, kind: str, flags: int) -> None:
    flags &= _WORD
    if kind == "m":
        message.flags = flags
    elif kind == "b":
        message.bflags = flags
    else:
        message.notes["sflags"] = flags


def is_set(message: SipMessage, kind: str, flag: int) -> bool:
    """Whether a flag of the message (`m`), the first branch (`b`) or the script (`s`) is set."""
    return bool(_read(message, kind) & 1 << flag)


def change(message: SipMessage, kind: str, flag: int, to: bool) -> None:
    """Set or reset a flag."""
    flags = _read(message, kind)
    _write(message, kind, flags | 1 << flag if to else flags & ~(1 << flag))


def flag_number(text: str) -> int:
    """The number of a flag, 0 to 31.

    Raises:
        ValueError: it is none.
    """
    number = int(text)
    if not 0 <= number <= 31:
        raise ValueError(f"bad flag value: [{text}]")
    return number


def _all(kind: str) -> Callable[[World, object, Index], Value]:
    return lambda world, inner, index: signed(_read(world.msg, kind))


def _hex(kind: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        flags = _read(world.msg, kind)
        return Numbered(f"{flags:08x}", signed(flags))

    return getter


def _one(kind: str) -> Callable[[World, int, Index], Value]:
    return lambda world, inner, index: int(is_set(world.msg, kind, inner))


def _set_all(kind: str) -> Callable[[World, object, Index, Value], bool]:
    def setter(world: World, inner: object, index: Index, value: Value) -> bool:
        number = 0 if value is None else number_of(value)
        if number is None:
            world.say(-1, "pv: assigning non-int value to flags")
            return False
        _write(world.msg, kind, number)
        return True

    return setter


def _set_one(kind: str) -> Callable[[World, int, Index, Value], bool]:
    def setter(world: World, inner: int, index: Index, value: Value) -> bool:
        number = number_of(value)
        if value is None:
            _write(world.msg, kind, 0)
        elif number is None:
            world.say(-1, "pv: assigning non-int value to a flag")
            return False
        else:
            change(world.msg, kind, inner, bool(number))
        return True

    return setter


for _kind in ("m", "b", "s"):
    provide(f"{_kind}f", _all(_kind), _set_all(_kind))
    provide(f"{_kind}F", _hex(_kind), _set_all(_kind))
    provide(f"{_kind.upper()}f", _one(_kind), _set_one(_kind), inner=flag_number)
