"""Transformations: `{s.len}`, `{uri.host}`, ...: reading a chain (modules/pv/pv_trans.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from ksr_stub.pv.values import Value, no_value, number_of, text_of
from ksr_stub.world import World

if TYPE_CHECKING:
    from ksr_stub.pv.spec import Spec

_SPACE = " \t\n"
_TRIMMED = " \t\r\n"


@frozen
class Argument:
    """A parameter: a number, a text, or a variable. `first` is the byte where the text begins,
    which is the closing brace if the text is empty."""

    number: int = 0
    text: str = ""
    first: str = ""
    spec: Spec | None = None

    def as_int(self, world: World) -> int:
        """The number, or that of the variable.

        Raises:
            NoValue: the variable has none.
        """
        if self.spec is None:
            return self.number
        number = number_of(self.spec.value(world))
        if number is None:
            raise no_value(world, "a transformation cannot get its parameter")
        return number

    def as_text(self, world: World) -> str:
        """The text, or that of the variable.

        Raises:
            NoValue: the variable has none, or it is empty.
        """
        if self.spec is None:
            return self.text
        value = self.spec.value(world)
        if value is None or not text_of(value):
            raise no_value(world, "a transformation cannot get its parameter")
        return text_of(value)

    def as_char(self, world: World) -> str:
        """The first byte of the text."""
        return self.first if self.spec is None else self.as_text(world)[0]


# The function of a transformation gets the world, the value and the arguments.
Function = Callable[..., Value]


@frozen
class Kind:
    """A transformation: `arguments` has a letter for each parameter: `n` number, `s` text, `x`
    text that may be a comma, `c` one character (`\\n` escapes), `t` all up to the closing brace,
    `1` and `X` a separator (`X`: that may be a comma); `?` before it: it may be left out."""

    name: str
    arguments: str
    function: Function
    since: str = "5.6"


KINDS: dict[str, Kind] = {}

# Those that nobody has modelled: of each the module and the first version. One without a dot is a
# whole class.
_LACKING = {
    "json": ("json", "5.6"), "kz": ("kazoo", "5.6"), "msrp": ("msrp", "5.6"),
    "msrpuri": ("msrp", "5.6"), "sock": ("corex", "5.6"), "sql": ("sqlops", "5.6"),
    "url": ("xhttp", "5.6"), "num": ("pv", "6.1"), "s.byteat": ("pv", "6.1"),
    "s.charat": ("pv", "6.1"), "s.crc32": ("pv", "6.1"), "s.intv": ("pv", "6.1"),
    "s.keccak": ("pv", "6.1"), "s.selectsw": ("pv", "6.1"), "s.sha3": ("pv", "6.1"),
    "uri.rmparam": ("pv", "6.1"),
}  # fmt: skip


class Lacking(ValueError):
    """A transformation that Kamailio has and the stub has not: its module and first version."""

    def __init__(self, reason: str, module: str, since: str) -> None:
        super().__init__(reason)
        self.module, self.since = module, since


def transformation(
    name: str, arguments: str = "", since: str = "5.6"
) -> Callable[[Function], Function]:
    """Register a transformation, e.g. `s.len`, and the version that first has it."""

    def register(function: Function) -> Function:
        KINDS[name] = Kind(name, arguments, function, since)
        return function

    return register


@frozen
class Transformation:
    """One transformation with its arguments."""

    kind: Kind
    arguments: tuple[Argument, ...]

    def apply(self, world: World, value: Value) -> Value:
        """What becomes of the value.

        Raises:
            NoValue: the transformation fails.
        """
        result: Value = self.kind.function(world, value, *self.arguments)
        return result


ParseSpec = Callable[[str, int], "tuple[Spec, int]"]


def parse_chain(
    text: str, start: int, parse_spec: ParseSpec
) -> tuple[tuple[Transformation, ...], int]:
    """Read transformations from the brace at `start` on.

    Returns:
        They, and the offset behind the last one.
    Raises:
        ValueError: one that Kamailio refuses.
    """
    found: list[Transformation] = []
    at = start
    while True:
        at = _skip(text, at)
        if text[at : at + 1] != "{":
            return tuple(found), at
        one, at = _Reader(text, parse_spec).read(at + 1)
        found.append(one)
        if text[at : at + 1] != "}":
            raise ValueError(f"{one.kind.name}: expected a closing brace at {text[at:]!r}")
        at += 1


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


class _Reader:
    """Reads one `class.name,argument,...`."""

    def __init__(self, text: str, parse_spec: ParseSpec) -> None:
        self.text, self.parse_spec = text, parse_spec

    def read(self, at: int) -> tuple[Transformation, int]:
        dot = self.text.find(".", at)
        if dot <= at:
            raise ValueError("no transformation class")
        end = dot + 1
        while self._char(end) and self._char(end) not in ",}":
            end += 1
        prefix = self.text[at:dot]
        name = f"{prefix}.{self.text[dot + 1 : end].strip(_TRIMMED).lower()}"
        kind = KINDS.get(name)
        if kind is None or not self._char(end):
            reason = f"unknown transformation {self.text[at:end]!r}"
            if lacking := _LACKING.get(name) or _LACKING.get(prefix):
                raise Lacking(reason, *lacking)
            raise ValueError(reason)
        arguments, end = self._arguments(kind, end)
        return Transformation(kind, arguments), end

    def _char(self, at: int) -> str:
        return self.text[at : at + 1]

    def _arguments(self, kind: Kind, at: int) -> tuple[tuple[Argument, ...], int]:
        found: list[Argument] = []
        letters = kind.arguments
        while letters:
            optional, letters = letters.startswith("?"), letters.removeprefix("?")
            if self._char(at) != ",":
                if optional:
                    break
                raise ValueError(f"{kind.name} lacks a parameter")
            argument, at = self._argument(letters[0], at + 1)
            found.append(argument)
            letters = letters[1:]
            at = _skip(self.text, at)
        return tuple(found), at

    def _argument(self, letter: str, at: int) -> tuple[Argument, int]:
        if letter == "c":
            return self._one_char(at)
        if letter == "t" and self._char(at) != "$":
            return self._rest(at)
        if letter in "1X":
            return self._separator(at, "x" if letter == "X" else "s")
        at = _skip(self.text, at)
        if self._char(at) == "$":
            spec, at = self.parse_spec(self.text, at)
            return Argument(spec=spec), at
        return self._number(at) if letter == "n" else self._text(at, letter == "x")

    def _number(self, at: int) -> tuple[Argument, int]:
        sign = -1 if self._char(at) == "-" else 1
        if self._char(at) not in (*"+-0123456789",):
            raise ValueError(f"a number is expected at {self.text[at:]!r}")
        at += self._char(at) in ("+", "-")
        at = _skip(self.text, at)
        start = at
        while self._char(at) and self._char(at) in "0123456789":
            at += 1
        return Argument(number=sign * int(self.text[start:at] or 0)), at

    def _text(self, start: int, comma: bool) -> tuple[Argument, int]:
        at = start
        while self._char(at) and self._char(at) not in "\t\n,}":
            at += 1
        at += comma and self._char(at) == ","
        if not self._char(at):
            raise ValueError("no end of a parameter")
        return Argument(text=self.text[start:at], first=self._char(start)), at

    def _separator(self, start: int, letter: str) -> tuple[Argument, int]:
        argument, at = self._argument(letter, start)
        if at - start != 1 and (argument.spec is None or letter == "s"):
            raise ValueError("a separator is one character")
        return argument, at

    def _one_char(self, at: int) -> tuple[Argument, int]:
        char = self._char(at)
        if char == "\\":
            at += 1
            if self._char(at) not in ("\\", "n", "r", "t"):
                raise ValueError(f"unexpected escape char {self._char(at)!r}")
            char = {"n": "\n", "r": "\r", "t": "\t"}.get(self._char(at), "\\")
        return Argument(text=char, first=char), at + 1

    def _rest(self, start: int) -> tuple[Argument, int]:
        depth = 0
        for at in range(start, len(self.text)):
            if self.text[at] == "}" and not depth:
                if at == start:
                    break
                return Argument(text=self.text[start:at], first=self.text[start]), at
            depth += {"{": 1, "}": -1}.get(self.text[at], 0)
        raise ValueError("no end of a parameter")
