"""`$def(X)`, `$env(X)`, `$version(num)`, `$pp`, ... (core/pv_core.c, modules/pv/pv_core.c)."""

from __future__ import annotations

import os

from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value, Worded, parse_int
from ksr_stub.text import from_python
from ksr_stub.world import World

_RELEASES = {"5.6": "5.6.3", "6.0": "6.0.1", "6.1": "6.1.0"}


def define(world: World, name: str) -> str | None:
    """The value of a `#!define`, None where there is none."""
    value = world.defines.get(name)
    return None if value is None else from_python(value)


@variable("def", inner=str)
def defined(world: World, inner: str, index: Index) -> Value:
    return define(world, inner)


@variable("defn", inner=str)
def defined_number(world: World, inner: str, index: Index) -> Value:
    value = define(world, inner)
    return 0 if value is None else Worded(leading_int(value), value)


def leading_int(text: str) -> int:
    """What str2sint leaves behind when it stumbles: the number that it read before."""
    number = parse_int(text)
    if number is not None:
        return number
    digits = "".join(_leading_digits(text.removeprefix("+").removeprefix("-")))
    return 0 if not digits else int(digits) % 2**31


def _leading_digits(text: str) -> str:
    for at, char in enumerate(text):
        if not "0" <= char <= "9":
            return text[:at]
    return text


@variable("env", inner=str)
def environment(world: World, inner: str, index: Index) -> Value:
    value = world.environ.get(inner)
    return None if value is None else from_python(value)


@variable("envn", inner=str)
def environment_number(world: World, inner: str, index: Index) -> Value:
    value = world.environ.get(inner)
    return None if value is None else Worded(leading_int(value), from_python(value))


@variable("_s", inner=str)
def formatted(world: World, inner: str, index: Index) -> Value:
    from ksr_stub import pv

    return pv.evaluate(world, inner)


@variable("version", inner=one_of("num", "full", "hash"))
def version(world: World, inner: str, index: Index) -> Value:
    release = _RELEASES[world.version]
    if inner == "full":
        return f"kamailio {release} (x86_64/linux) "
    return "unknown" if inner == "hash" else release


@variable("ksr", inner=one_of("ver", "verval"))
def ksr(world: World, inner: str, index: Index) -> Value:
    major, minor, patch = (int(part) for part in _RELEASES[world.version].split("."))
    return _RELEASES[world.version] if inner == "ver" else major * 1_000_000 + minor * 1000 + patch


@variable("pp")
def process(world: World, inner: object, index: Index) -> Value:
    return os.getpid()


@variable("sid")
def server_id(world: World, inner: object, index: Index) -> Value:
    return int(world.param("core", "server_id", 0))


@variable("?", "rc", "retcode")
def return_code(world: World, inner: object, index: Index) -> Value:
    return 0
