"""Kamailio's own signatures, extracted from its C export tables (see extract.py)."""

from __future__ import annotations

import functools
import json
from importlib import resources

from attrs import frozen

VERSIONS = ("5.6", "6.0", "6.1")


@frozen
class Parameter:
    """A parameter: its name in the C function, and its kind: `STR`, `INT` or `LONG`."""

    name: str
    kind: str


@frozen
class Signature:
    """One KSR function. `returns` is `INT`, `BOOL`, `NONE` or `XVAL`; namespace '' is KSR."""

    namespace: str
    name: str
    returns: str
    parameters: tuple[Parameter, ...]

    @property
    def full_name(self) -> str:
        """As it is called: `KSR.module.function`."""
        return ".".join(part for part in ("KSR", self.namespace, self.name) if part)

    def __str__(self) -> str:
        shown = ", ".join(
            f"{p.name}: {'str' if p.kind == 'STR' else 'int'}" for p in self.parameters
        )
        return f"{self.full_name}({shown})"


@functools.cache
def load(version: str) -> dict[tuple[str, str], Signature]:
    """All functions of a Kamailio version, by namespace and name.

    The data file is `data/<version>.json`: {"release": "5.6.3", "functions": {namespace:
    {name: [returns, [[parameter, kind], ...]]}}}.
    """
    text = resources.files("ksr_stub").joinpath(f"data/{version}.json").read_text()
    return {
        (namespace, name): Signature(
            namespace, name, returns, tuple(Parameter(*pair) for pair in parameters)
        )
        for namespace, functions in json.loads(text)["functions"].items()
        for name, (returns, parameters) in functions.items()
    }
