"""Kamailio's own signatures and variables, extracted from its C export tables (see extract.py)."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection
from importlib import resources
from typing import Any

from attrs import field, frozen

VERSIONS = ("5.6", "6.0", "6.1")

# INT functions whose int is a number to reckon with and no return code.
NUMBERS = frozenset(
    [
        ("", "get_debug"),
        ("cfgutils", "rand_get_prob"),
        ("htable", "sht_dec"),
        ("htable", "sht_inc"),
        ("kx", "get_bodylen"),
        ("kx", "get_conid"),
        ("kx", "get_defn"),
        ("kx", "get_envn"),
        ("kx", "get_msglen"),
        ("kx", "get_msgtype"),
        ("kx", "get_protoid"),
        ("kx", "get_send_sock_port"),
        ("kx", "get_status"),
        ("kx", "get_timestamp"),
        ("pv", "geti"),
        ("sqlops", "sql_num_columns"),
        ("sqlops", "sql_num_rows"),
        ("tm", "t_get_branch_index"),
        ("tm", "t_get_status_code"),
    ]
)

# The modules with the functions of a namespace, any one of them, where it is not the one of that
# name; the core's own are always there.
_MODULES = {
    "": (), "hdr": (), "pv": (), "x": (), "kx": ("kemix",), "pvx": ("pv",),
    "pua": ("pua", "pua_usrloc"), "ims_qos": ("ims_qos", "ims_qos_npn"),
    "tls": ("tls", "tls_wolfssl"),
}  # fmt: skip


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
    # its namespace and name
    key: tuple[str, str] = field(init=False, repr=False, eq=False)
    # as it is called: `KSR.module.function`
    full_name: str = field(init=False, repr=False, eq=False)
    # whether it returns a return code, which is no truth value
    gives_code: bool = field(init=False, repr=False, eq=False)

    @key.default
    def _key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @full_name.default
    def _full_name(self) -> str:
        return ".".join(part for part in ("KSR", self.namespace, self.name) if part)

    @gives_code.default
    def _gives_code(self) -> bool:
        return self.returns == "INT" and self.key not in NUMBERS

    def __str__(self) -> str:
        shown = ", ".join(
            f"{p.name}: {'str' if p.kind == 'STR' else 'int'}" for p in self.parameters
        )
        return f"{self.full_name}({shown})"


@functools.cache
def load(version: str) -> dict[tuple[str, str], Signature]:
    """All functions of a Kamailio version, by namespace and name.

    The data file is `data/<version>.json`: {"release": "5.6.3", "functions": {namespace:
    {name: [returns, [[parameter, kind], ...]]}}, "variables": {name: [module, ...]}}.
    """
    return {
        (namespace, name): Signature(
            namespace, name, returns, tuple(Parameter(*pair) for pair in parameters)
        )
        for namespace, functions in _data(version)["functions"].items()
        for name, (returns, parameters) in functions.items()
    }


@functools.cache
def variables(version: str) -> dict[str, tuple[str, ...]]:
    """All pseudo-variables of a Kamailio version, without `$`, and the modules that have them."""
    return {name: tuple(modules) for name, modules in _data(version)["variables"].items()}


@functools.cache
def _data(version: str) -> dict[str, dict[str, Any]]:
    text = resources.files("ksr_stub").joinpath(f"data/{version}.json").read_text()
    data: dict[str, dict[str, Any]] = json.loads(text)
    return data


@functools.cache
def namespaces(version: str) -> frozenset[str]:
    """All namespaces of a Kamailio version; '' is KSR itself."""
    return frozenset(namespace for namespace, _ in load(version))


def missing_module(namespace: str, loaded: Collection[str]) -> str:
    """The module that has to be loaded for a namespace; '' if it is, or if nothing is said of any.

    Args:
        loaded: all modules that kamailio.cfg loads; none: it is not known.
    """
    modules = _MODULES.get(namespace, (namespace,))
    return modules[0] if loaded and modules and not {*modules} & {*loaded} else ""
