"""Pseudo-variables: reading and writing `$ru`, `$(hdr(X)[1]{s.len})`, ... in the World.

Models add variables of their own with `provide`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from ksr_stub import regex, signatures
from ksr_stub.errors import NotModelled, UnknownVariable
from ksr_stub.pv import parts, strings, variables  # noqa: F401 - they register what there is
from ksr_stub.pv.spec import BadSpec, Spec, parse, whole
from ksr_stub.pv.table import provide
from ksr_stub.pv.values import NoValue, Value, text_of
from ksr_stub.world import World

__all__ = [
    "NoValue", "Spec", "Value", "evaluate", "get", "lookup", "provide", "put", "subst_expression",
    "text_of",
]  # fmt: skip


def lookup(world: World, text: str) -> Spec | None:
    """Read the text of one variable.

    Returns:
        None where Kamailio refuses it (faithful mode; it logs an error).
    Raises:
        UnknownVariable: strict mode.
        NotModelled: Kamailio has it, the stub has not.
    """
    try:
        spec = _of_version(world.version, text)
        if world.modules:
            _check_loaded(world, spec.variable.name)
        return spec
    except BadSpec as error:
        _refused(world, text, error)
        return None


@functools.lru_cache(maxsize=4096)
def _of_version(version: str, text: str) -> Spec:
    spec = whole(text)
    _check_version(version, spec)
    return spec


def _check_version(version: str, spec: Spec) -> None:
    name = spec.variable.name
    if name not in signatures.variables(version):
        having = [one for one in signatures.VERSIONS if name in signatures.variables(one)]
        if having:
            raise BadSpec(f"${name} is new in {having[0]}")
    for one in spec.chain:
        if one.kind.since > version:
            raise BadSpec(f"{{{one.kind.name}}} is new in {one.kind.since}")


def _check_loaded(world: World, name: str) -> None:
    modules = signatures.variables(world.version).get(name, ("core",))
    if world.modules and "core" not in modules and world.modules.isdisjoint(modules):
        raise BadSpec(f'kamailio.cfg has no loadmodule "{modules[0]}.so", which has ${name}')


def _refused(world: World, text: str, error: BadSpec) -> None:
    if module := error.module(world.version):
        add = "transformations.transformation" if error.lacking else "provide"
        raise world.fault(
            NotModelled(
                f"{text} is understood by Kamailio's module {module}, and the stub has no model of"
                f" it: add one with ksr_stub.pv.{add}"
            )
        ) from None
    if world.strict:
        raise world.fault(
            UnknownVariable(
                f"{text!r} is no pseudo-variable: {error}. A real Kamailio {world.version} logs an"
                " error and the route gets None"
            )
        ) from None
    world.say(-1, f"pv: {error}; cannot get pv spec for [{text}]")


def get(world: World, text: str) -> Value:
    """The value of a variable, None where it has none.

    Raises:
        UnknownVariable: strict mode, where Kamailio refuses the text.
    """
    spec = lookup(world, text)
    if spec is None:
        return None
    try:
        return spec.value(world)
    except NoValue:
        world.say(-1, f"pv: unable to get pv value for [{text}]")
        return None


def put(world: World, text: str, value: Value) -> bool:
    """Write a variable; None unsets it.

    Returns:
        False where Kamailio fails. A variable that can't be written keeps its value, and that is a
        success (faithful mode).
    Raises:
        UnknownVariable: strict mode, where there is no such variable or it can't be written.
    """
    spec = lookup(world, text)
    if spec is None:
        return False
    if spec.variable.set is None and world.strict:
        raise world.fault(
            UnknownVariable(
                f"{text} can't be written: a real Kamailio {world.version} returns True and does"
                " nothing"
            )
        )
    try:
        stored = spec.store(world, value)
    except NoValue:
        stored = False
    if not stored:
        world.say(-1, f"pv: unable to set pv [{text}]")
    return stored


def evaluate(world: World, text: str) -> str | None:
    """A text with the values of the variables in it, `<null>` for none.

    Returns:
        None where a variable in it is refused (faithful mode).
    Raises:
        UnknownVariable: strict mode.
    """
    out, at = [], 0
    for before, spec, end in _pieces(world.version, text):
        out.append(before)
        checked = _loaded(world, spec) if isinstance(spec, Spec) else spec
        if isinstance(checked, BadSpec):
            _refused(world, text[at + len(before) :], checked)
            return None
        out.append(_shown(world, checked))
        at = end
    return "".join([*out, text[at:]])


@functools.lru_cache(maxsize=1024)
def _pieces(version: str, text: str) -> tuple[tuple[str, Spec | BadSpec, int], ...]:
    """The variables in a text, each with what stands before it and where it ends; the last one may
    be none."""
    pieces: list[tuple[str, Spec | BadSpec, int]] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        before = text[at:dollar]
        try:
            spec, at = parse(text, dollar)
            _check_version(version, spec)
        except BadSpec as error:
            return (*pieces, (before, error, dollar))
        pieces.append((before, spec, at))
    return tuple(pieces)


def _loaded(world: World, spec: Spec) -> Spec | BadSpec:
    try:
        _check_loaded(world, spec.variable.name)
    except BadSpec as error:
        return error
    return spec


def _shown(world: World, spec: Spec) -> str:
    try:
        return text_of(spec.value(world))
    except NoValue:
        return ""


def subst_expression(world: World, text: str) -> regex.Subst:
    """Read a subst expression `/re/repl/flags` with variables in the replacement.

    Raises:
        BadRegex: it is none.
    """

    def variable(source: str, at: int) -> tuple[Callable[[], str], int]:
        try:
            spec, end = parse(source, at)
        except BadSpec as error:
            raise regex.BadRegex(str(error)) from None
        return (lambda: _shown(world, spec)), end

    return regex.parse_subst(text, variable)
