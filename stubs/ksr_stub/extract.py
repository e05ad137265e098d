"""Read all KSR functions and pseudo-variables out of a Kamailio source tree.

    python -m ksr_stub.extract KAMAILIO_TREE 5.6

writes data/5.6.json; the committed ones are of 5.6.3 (Debian 12), 6.0.1 (Debian 13) and 6.1.4. The
export tables give namespace, function, return kind and the kinds of the parameters; the names of
the parameters come from the C functions behind them. Of a pseudo-variable there are its name and
the modules that have it.
"""

from __future__ import annotations

import argparse
import json
import keyword
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ksr_stub.signatures import Parameter, Signature

DATA = Path(__file__).with_name("data")

_COMMENT_OR_TEXT = re.compile(
    r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
_IF_0 = re.compile(r"^[ \t]*#[ \t]*if[ \t]+0\b.*?^[ \t]*#[ \t]*endif", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"\bsr_kemi_t\s+(\w+)\s*\[[^\]]*\]\s*=\s*\{(.*?)\}\s*;", re.DOTALL)
_ENTRY = re.compile(
    r'\{\s*str_init\(\s*"(?P<namespace>[^"]*)"\s*\)\s*,\s*str_init\(\s*"(?P<name>[^"]*)"\s*\)\s*,'
    r"\s*SR_KEMIP_(?P<returns>\w+)\s*,\s*(?:\([^()]*\)\s*)?&?(?P<function>\w+)\s*,"
    r"\s*\{(?P<kinds>[^}]*)\}"
)
# What every table has that Kamailio offers under KSR: a call of sr_kemi_modules_add, or the core.
_CORE_TABLES = ("_sr_kemi_core", "_sr_kemi_hdr", "_sr_kemi_pv")

_VARIABLES = re.compile(r"\bpv_export_t\s+\w+\s*\[[^\]]*\]\s*=\s*\{(.*?)\}\s*;", re.DOTALL)
_VARIABLE = re.compile(
    r'\{\s*(?:\{\s*"([^"]+)"\s*,[^}]*\}|(?:str_init|STR_STATIC_INIT)\(\s*"([^"]+)"\s*\))'
    r"\s*,\s*PVT_"
)

# Words that a name may be without the letter for its type before it: `stable`, `vuri`, `i_code`.
_WORDS = """
addr alg attr body branch callid client cmd cname code con conid connect contact ctype data
dest dname domain dst duri event field flag flags from group hdr headers host id identity idx
key level line list message method mode msg mval name number op oproxy owner param params
passwd password path payload peer port profile proto proxy pv query realm reason regex route
ruid rules ruri sep server service set sock socket srv status suffix table tag tags text time
to topic ttl txt uri url user username val value xname
"""
_PLAIN = frozenset(_WORDS.split())
_FULL = {
    # what the C sources call a thing, and its name in the documentation of the modules
    "addr": "address", "attr": "attribute", "cmd": "command", "con": "connection",
    "conid": "connection_id", "dst": "destination", "hdr": "header", "hname": "header_name",
    "htname": "table", "idx": "index", "indx": "index", "msg": "message", "passwd": "password",
    "pvn": "pv", "spv": "pv", "sock": "socket", "sre": "regex", "src": "source", "srv": "server",
    "txt": "text", "val": "value", "sval": "value", "ival": "value", "fval": "value",
    "xival": "default", "xsval": "default", "dtable": "table",
    "hvalue": "value", "rcode": "code", "rtext": "reason", "xname": "name",
}  # fmt: skip
_IN_NAMESPACE = {
    "htable": {"hname": "table", "itname": "key", "itval": "value"},
    "tm": {"rname": "route"},
}


def read_tree(tree: Path) -> list[Signature]:
    """The signatures of a Kamailio source tree, sorted by namespace and name.

    Args:
        tree: the checkout, with src/core and src/modules in it.
    Raises:
        FileNotFoundError: it is no such checkout.
    """
    source = tree / "src"
    if not (source / "core/kemi.c").is_file():
        raise FileNotFoundError(f"{tree} has no src/core/kemi.c: name a Kamailio source tree")
    found: dict[tuple[str, str], Signature] = {}
    for directory in [source / "core", *sorted((source / "modules").iterdir())]:
        if not directory.is_dir():
            continue
        for signature in read_directory(directory):
            key = (signature.namespace, signature.name)
            # Two modules may fill one namespace (tls, tls_wolfssl): the one of that name counts.
            if key not in found or directory.name == signature.namespace:
                found[key] = signature
    return [found[key] for key in sorted(found)]


def read_variables(tree: Path) -> dict[str, list[str]]:
    """The names of all pseudo-variables of a Kamailio source tree, and the modules of each."""
    found: dict[str, list[str]] = {}
    source = tree / "src"
    for directory in [source / "core", *sorted((source / "modules").iterdir())]:
        for path in directory.rglob("*.c"):
            text = without_comments(path.read_text(errors="replace"))
            for table in _VARIABLES.findall(text):
                for plain, macro in _VARIABLE.findall(table):
                    modules = found.setdefault(plain or macro, [])
                    if directory.name not in modules:
                        modules.append(directory.name)
    return dict(sorted(found.items()))


def read_directory(directory: Path) -> Iterator[Signature]:
    """The signatures that one module's C files export."""
    texts = [without_comments(path.read_text(errors="replace")) for path in directory.rglob("*.c")]
    if any("sr_kemi_t" in text for text in texts):
        yield from signatures_in("\n".join(texts))


def without_comments(text: str) -> str:
    """C source without comments and without what stands in `#if 0`."""

    def keep(match: re.Match[str]) -> str:
        return " " if match[0].startswith("/") else match[0]

    return _IF_0.sub("", _COMMENT_OR_TEXT.sub(keep, text))


def signatures_in(text: str) -> Iterator[Signature]:
    """The signatures of all registered export tables in C source without comments."""
    registered = {*re.findall(r"sr_kemi_modules_add\(\s*&?(\w+)", text), *_CORE_TABLES}
    for table, body in _TABLE.findall(text):
        if table not in registered:
            continue
        entries = list(_ENTRY.finditer(body))
        for entry in entries:
            # the first NONE ends them, also where others follow by mistake
            kinds = re.findall(r"SR_KEMIP_(\w+)", entry["kinds"].partition("SR_KEMIP_NONE")[0])
            names = _names(text, entry["function"], len(kinds), entries[0]["namespace"])
            yield Signature(
                # Kamailio puts a table in the namespace of its first entry, whatever the rest say.
                namespace=entries[0]["namespace"],
                name=entry["name"],
                returns=entry["returns"],
                parameters=tuple(map(Parameter, names, kinds)),
            )


def _names(text: str, function: str, count: int, namespace: str) -> list[str]:
    names = _names_in_definition(text, function)
    if len(names) != count:
        return [f"p{number}" for number in range(1, count + 1)]
    return clean_names([_IN_NAMESPACE.get(namespace, {}).get(name, name) for name in names])


def _names_in_definition(text: str, function: str) -> list[str]:
    """The C names of its parameters after the sip_msg."""
    definition = re.search(rf"\b{function}\s*\(([^()]*)\)\s*\{{", text)
    declared = definition[1] if definition else _declared_by_macro(text, function)
    return [(re.findall(r"\w+", one) or ["p"])[-1] for one in declared.split(",")[1:]]


def _declared_by_macro(text: str, function: str) -> str:
    """The parameter list, where a macro that takes the function's name makes the function."""
    for macro in re.findall(rf"^\s*(\w+)\(\s*{function}\b[^)]*\)", text, re.MULTILINE):
        made = re.search(
            rf"#\s*define\s+{macro}\(\s*(\w+)[^)]*\)(?:[^\n]*\\\n)*?[^\n]*\bint\s+\1\s*\(([^()]*)\)",
            text,
        )
        if made:
            return made[2]
    return ""


def clean_names(names: list[str]) -> list[str]:
    """Python parameter names for C ones: `_table` and `stable` are `table`, each name once."""
    cleaned = [_clean(name) for name in names]
    for position, name in enumerate(cleaned):
        if cleaned.count(name) > 1:
            cleaned[position] = _snake(names[position])
    return [
        name if cleaned.index(name) == position else f"{name}_{position + 1}"
        for position, name in enumerate(cleaned)
    ]


def _clean(name: str) -> str:
    plain = re.sub(r"_(s|str|spv|par)$", "", _snake(name))
    prefixed = re.fullmatch(r"[sivp]_?(\w+)", plain)
    if plain not in _PLAIN and prefixed and prefixed[1] in _PLAIN:
        plain = prefixed[1]
    return _no_keyword(_FULL.get(plain, plain))


def _snake(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("_"))
    return _no_keyword(words.lower() or "p")


def _no_keyword(name: str) -> str:
    safe = f"p{name}" if name[0].isdigit() else name
    return f"{safe}_" if keyword.iskeyword(safe) else safe


def release_of(tree: Path) -> str:
    """The release that a source tree says it is: `5.6.3`."""
    made = (tree / "src/Makefile.defs").read_text()
    return ".".join(
        found[1]
        for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")
        if (found := re.search(rf"^{name}\s*=\s*(\d+)", made, re.MULTILINE))
    )


def render(
    signatures: list[Signature], variables: Mapping[str, Sequence[str]], release: str
) -> str:
    """The data file's text: one name a line, so that a diff shows which one changed."""
    namespaces: dict[str, list[str]] = {}
    for signature in signatures:
        pairs = [[parameter.name, parameter.kind] for parameter in signature.parameters]
        line = f"{json.dumps(signature.name)}: {json.dumps([signature.returns, pairs])}"
        namespaces.setdefault(signature.namespace, []).append(line)
    blocks = [
        f"{json.dumps(namespace)}: {{\n" + ",\n".join(lines) + "\n}"
        for namespace, lines in sorted(namespaces.items())
    ]
    head = f'{{"release": {json.dumps(release)}, "functions": {{\n'
    lines = [f"{json.dumps(name)}: {json.dumps(modules)}" for name, modules in variables.items()]
    tail = '}, "variables": {\n' + ",\n".join(lines)
    return head + ",\n".join(blocks) + tail + "\n}}\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the data file of a version; exit status 2 if the tree is none."""
    parser = argparse.ArgumentParser(prog="python -m ksr_stub.extract", description=__doc__)
    parser.add_argument("tree", type=Path, help="a Kamailio source tree")
    parser.add_argument("version", help="what to call it: 5.6, 6.0, ...")
    given = parser.parse_args(arguments)
    try:
        signatures, release = read_tree(given.tree), release_of(given.tree)
        variables = read_variables(given.tree)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    DATA.mkdir(exist_ok=True)
    (DATA / f"{given.version}.json").write_text(render(signatures, variables, release))
    namespaces = len({signature.namespace for signature in signatures})
    print(
        f"{given.version} ({release}): {len(signatures)} functions in {namespaces} namespaces,"
        f" {len(variables)} pseudo-variables"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
