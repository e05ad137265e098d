"""Which pseudo-variables there are, and who reads and writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from ksr_stub.pv.values import Value
from ksr_stub.world import World

if TYPE_CHECKING:
    from ksr_stub.pv.spec import Index

_Getter = TypeVar("_Getter", bound=Callable[..., Value])

# What a getter raises or returns: a Value; values.NoValue where Kamailio fails.
Getter = Callable[[World, Any, "Index"], Value]
# A setter returns False where Kamailio fails; None as value unsets.
Setter = Callable[[World, Any, "Index", Value], bool]
# Makes of the text in the parentheses what the getter wants; ValueError: Kamailio refuses it.
InnerParser = Callable[[str], object]


@frozen
class Variable:
    """A pseudo-variable: `inner` reads the name in parentheses, None if it takes none."""

    name: str
    get: Getter
    set: Setter | None = None
    inner: InnerParser | None = None
    indexed: bool = False


VARIABLES: dict[str, Variable] = {}


def provide(
    name: str,
    getter: Getter,
    setter: Setter | None = None,
    *,
    inner: InnerParser | None = None,
    indexed: bool = False,
) -> None:
    """Add a pseudo-variable: models call this when they are imported.

    Args:
        name: without `$`, e.g. `sht`.
        getter: called with the world, what `inner` made, and the index.
        setter: called with the value besides; without one the variable is read-only.
        inner: reads what stands in parentheses; `str` takes it as it is.
        indexed: whether `[...]` may follow.
    """
    VARIABLES[name] = Variable(name, getter, setter, inner, indexed)


def variable(
    *names: str,
    set: Setter | None = None,
    inner: InnerParser | None = None,
    indexed: bool = False,
) -> Callable[[_Getter], _Getter]:
    """Register the decorated getter under one or more names."""

    def register(getter: _Getter) -> _Getter:
        for name in names:
            provide(name, getter, set, inner=inner, indexed=indexed)
        return getter

    return register


def one_of(*names: str) -> InnerParser:
    """An inner name that is one of a few keywords."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}")
        return text

    return parse
