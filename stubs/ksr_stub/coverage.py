"""docs/coverage.md: which KSR functions have a model, module by module.

python -m ksr_stub.coverage > docs/coverage.md
"""

from __future__ import annotations

from collections.abc import Iterator

from ksr_stub import signatures
from ksr_stub.pv.table import VARIABLES
from ksr_stub.registry import MODELS, load_models

_HEAD = """\
# Which KSR functions have a model

Made by `python -m ksr_stub.coverage`; a test holds it against the models. All functions of every
module are known by name and signature, for Kamailio 5.6, 6.0 and 6.1. One without a model raises
`NotModelled` when a route calls it, unless the test answers for it with
`ksr.answer("module.function", value)`.

"""


def modelled(version: str) -> dict[str, tuple[list[str], list[str]]]:
    """By namespace: the functions with a model, and those without one."""
    load_models()
    found: dict[str, tuple[list[str], list[str]]] = {}
    for namespace, name in sorted(signatures.load(version)):
        has, lacks = found.setdefault(namespace, ([], []))
        (has if (namespace, name) in MODELS else lacks).append(name)
    return found


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    by_version = {version: modelled(version) for version in signatures.VERSIONS}
    yield "| Kamailio | Functions | With a model | Modules with a model |"
    yield "|---|---|---|---|"
    for version, modules in by_version.items():
        total = sum(len(has) + len(lacks) for has, lacks in modules.values())
        count = sum(len(has) for has, _ in modules.values())
        covered = sum(bool(has) for has, _ in modules.values())
        yield f"| {version} | {total} | {count} | {covered} of {len(modules)} |"
    newest = by_version[signatures.VERSIONS[0]]
    yield ""
    yield f"## Modules with a model (Kamailio {signatures.VERSIONS[0]})"
    yield ""
    yield "| Module | Modelled | Without a model |"
    yield "|---|---|---|"
    for namespace, (has, lacks) in newest.items():
        if has:
            shown = f"KSR.{namespace}" if namespace else "KSR"
            missing = ", ".join(f"`{name}`" for name in lacks) or ""
            yield f"| `{shown}` | {len(has)} of {len(has) + len(lacks)} | {missing} |"
    yield ""
    yield from _variables()
    yield ""
    yield from _reasons()
    yield ""
    yield "## Modules without a model"
    yield ""
    yield ", ".join(f"`{name}`" for name, (has, _) in newest.items() if not has)


# why a function or variable of a module with models has none
_REASONS = {
    "cfgutils": "`abort` ends Kamailio",
    "corex": "`$cfg` reads any line of kamailio.cfg",
    "ipops": "what a name server and the host say; names and SRV records of the stub are `ksr.dns`",
    "pv": "`$sel` is the select framework, a language of its own; `$ccp` reads and sets the"
    " configuration of any module while it runs",
    "sdpops": "codecs are not taken out of SDP; routing looks, the media relay edits",
    "sqlops": "the test answers for the database, and results are read with `sql_query`",
    "tcpops": "connections of the stub are open or not; they have no keep-alive and no events",
}


def _reasons() -> Iterator[str]:
    yield "## Why not"
    yield ""
    for module, reason in _REASONS.items():
        yield f"- `{module}`: {reason}."


def _variables() -> Iterator[str]:
    yield "## Pseudo-variables"
    yield ""
    yield "| Kamailio | Pseudo-variables | With a model |"
    yield "|---|---|---|"
    for version in signatures.VERSIONS:
        known = signatures.variables(version)
        yield f"| {version} | {len(known)} | {len(known.keys() & VARIABLES.keys())} |"
    yield ""
    lacking: dict[str, list[str]] = {}
    for version in signatures.VERSIONS:
        for name, modules in signatures.variables(version).items():
            names = lacking.setdefault(modules[0], [])
            if name not in VARIABLES and f"`${name}`" not in names:
                names.append(f"`${name}`")
    yield (
        "These raise `NotModelled`: "
        + "; ".join(f"{', '.join(names)} of {m}" for m, names in sorted(lacking.items()) if names)
        + ". `ksr_stub.pv.provide` adds one."
    )


if __name__ == "__main__":
    print(page(), end="")
