"""Reading a pseudo-variable's text: `$ru`, `$(hdr(X)[1]{s.len})` (core/pvapi.c)."""

from __future__ import annotations

import functools
import re

from attrs import field, frozen

from ksr_stub import signatures
from ksr_stub.pv.table import VARIABLES, Variable
from ksr_stub.pv.transformations import Lacking, Transformation, parse_chain
from ksr_stub.pv.values import Value, no_value, number_of
from ksr_stub.world import World

_NAME = re.compile(r"[A-Za-z0-9_.?]*")


class BadSpec(Exception):
    """Kamailio refuses the text, or the stub has no model of what is in it.

    Args:
        reason: what is wrong.
        unknown: a variable without a model: Kamailio may have it.
        lacking: a transformation that it has.
    """

    def __init__(self, reason: str, unknown: str = "", lacking: Lacking | None = None) -> None:
        super().__init__(reason)
        self.unknown = unknown
        self.lacking = lacking

    def module(self, version: str) -> str:
        """The module of this version that has what the stub lacks; '' if there is none."""
        if self.lacking is not None and self.lacking.since <= version:
            return self.lacking.module
        return signatures.variables(version).get(self.unknown, ("",))[0]


@frozen
class Index:
    """What stands in `[...]`: kind `none`, `int`, `all` (`*`), `next` (`+`) or `variable`."""

    kind: str = "none"
    number: int = 0
    spec: Spec | None = None

    def resolve(self, world: World) -> tuple[int, bool]:
        """The number, and whether it is `*`.

        Raises:
            NoValue: a variable that is no int.
        """
        if self.spec is None:
            return self.number, self.kind == "all"
        number = number_of(self.spec.value(world))
        if number is None:
            raise no_value(world, "invalid index value")
        return number, False


@frozen
class Spec:
    """A pseudo-variable that was read: `inner` is what its parser made of the parentheses."""

    text: str
    variable: Variable
    inner: object
    index: Index
    chain: tuple[Transformation, ...] = field(default=())

    def value(self, world: World) -> Value:
        """The value now.

        Raises:
            NoValue: Kamailio fails to get it.
        """
        value = self.variable.get(world, self.inner, self.index)
        for transformation in self.chain:
            value = transformation.apply(world, value)
        return value

    def store(self, world: World, value: Value) -> bool:
        """Write it; None unsets. A read-only variable keeps its value, and that is a success."""
        if self.variable.set is None:
            return True
        return self.variable.set(world, self.inner, self.index, value)


def locate(text: str) -> int:
    """Where the variable that `text` begins with ends; -1 where it is none."""
    if len(text) < 2 or text[0] != "$":
        return -1
    if text[1] == "$":
        return 2
    if text[1] == "(":
        return _closing(text, 1) + 1 or -1
    name = _NAME.match(text, 1)
    assert name is not None  # noqa: S101
    if text[name.end() : name.end() + 1] != "(":
        return name.end()
    return _closing(text, name.end()) + 1 or -1


def _closing(text: str, start: int, opening: str = "(", closing: str = ")") -> int:
    """The offset of the bracket that closes the one at `start`; -1 where none does."""
    depth = 0
    for at in range(start, len(text)):
        if text[at] == opening:
            depth += 1
        elif text[at] == closing:
            depth -= 1
            if not depth:
                return at
    return -1


@functools.lru_cache(maxsize=4096)
def whole(text: str) -> Spec:
    """A text that is one variable.

    Raises:
        BadSpec: it is none; why, and the module where only the model is missing.
    """
    if locate(text) != len(text):
        raise BadSpec(f"invalid pv [{text}]")
    return parse(text)[0]


def parse(text: str, start: int = 0) -> tuple[Spec, int]:
    """Read the variable that begins at `start`.

    Returns:
        It, and the offset behind it.
    Raises:
        BadSpec: there is none.
    """
    if text[start : start + 1] != "$":
        raise BadSpec(f"bad parameters [{text}]")
    at = start + 1
    full = text[at : at + 1] == "("
    at += full
    if text[at : at + 1] == "$":
        if full and text[at + 1 : at + 2] != ")":
            raise BadSpec(f"wrong char in [{text}]")
        end = at + 1 + full
        return Spec(text[start:end], _MARKER, None, Index()), end
    return _Reader(text, start, full).read(at)


def _marker(world: World, inner: object, index: Index) -> Value:
    return "$"


_MARKER = Variable("$", _marker)


class _Reader:
    """Reads one `$name(...)` or `$(name(...)[...]{...})`."""

    def __init__(self, text: str, start: int, full: bool) -> None:
        self.text, self.start, self.full = text, start, full

    def read(self, at: int) -> tuple[Spec, int]:
        name = _NAME.match(self.text, at)
        assert name is not None  # noqa: S101
        at = name.end()
        bracket = self._char(at)
        if self.full and bracket not in ("(", ")", "[", "{"):
            raise self._wrong(at)
        variable = self._lookup(name[0])
        inner, at = self._inner(variable, at) if bracket == "(" else (None, at)
        if variable.inner is not None and bracket != "(":
            raise BadSpec(f'pvar "{name[0]}" expects an inner name')
        if not self.full:
            return Spec(self.text[self.start : at], variable, inner, Index()), at
        index, at = self._index(variable, at)
        chain: tuple[Transformation, ...] = ()
        if self._char(at) == "{":
            chain, at = self._chain(at)
        if self._char(at) != ")":
            raise self._wrong(at)
        return Spec(self.text[self.start : at + 1], variable, inner, index, chain), at + 1

    def _char(self, at: int) -> str:
        return self.text[at : at + 1]

    def _wrong(self, at: int) -> BadSpec:
        return BadSpec(f"wrong char {self._char(at)!r} in [{self.text}] at {at - self.start}")

    def _lookup(self, name: str) -> Variable:
        variable = VARIABLES.get(name)
        if variable is None:
            raise BadSpec(f'error searching pvar "{name}"', name)
        return variable

    def _inner(self, variable: Variable, at: int) -> tuple[object, int]:
        if variable.inner is None:
            raise BadSpec(f'pvar "{variable.name}" does not get name param')
        end = _closing(self.text, at)
        if end < 0 or end == at + 1:
            raise BadSpec(f'pvar "{variable.name}" has no or an empty name param')
        inner = self.text[at + 1 : end]
        try:
            return variable.inner(inner), end + 1
        except (ValueError, BadSpec) as error:
            reason = f'pvar "{variable.name}" has an invalid name param [{inner}]: {error}'
            if isinstance(error, BadSpec):
                raise BadSpec(reason, error.unknown, error.lacking) from None
            raise BadSpec(reason) from None

    def _index(self, variable: Variable, at: int) -> tuple[Index, int]:
        if self._char(at) != "[":
            return Index(), at
        if not variable.indexed:
            raise BadSpec(f'pvar "{variable.name}" does not get index param')
        end = _closing(self.text, at, "[", "]")
        if end < 0 or end == at + 1:
            raise BadSpec(f'pvar "{variable.name}" has no or an empty index param')
        return parse_index(self.text[at + 1 : end]), end + 1

    def _chain(self, at: int) -> tuple[tuple[Transformation, ...], int]:
        try:
            return parse_chain(self.text, at, parse)
        except ValueError as error:
            lacking = error if isinstance(error, Lacking) else None
            reason = f"bad transformation in [{self.text}]: {error}"
            raise BadSpec(reason, lacking=lacking) from None


def parse_index(text: str) -> Index:
    """Read what stands in `[...]`.

    Raises:
        BadSpec: it is no number, `*`, `+` or variable.
    """
    if text.startswith("$"):
        return Index("variable", 0, parse(text)[0])
    if text == "*":
        return Index("all")
    if text == "+":
        return Index("next")
    match = re.fullmatch(r"-?[0-9]*", text)
    if match is None:
        raise BadSpec(f"invalid index [{text}]")
    return Index("int", int(text) if text.strip("-") else 0)
