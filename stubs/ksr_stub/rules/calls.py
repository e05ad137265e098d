"""KSR2xx: names and arguments of KSR calls."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Iterator

from ksr_stub import never_null, signatures
from ksr_stub.rules.finding import Finding, at
from ksr_stub.rules.script import Script
from ksr_stub.signatures import Parameter, Signature

_NOT_THERE = {
    ("KSR", "x", "exit"): "does not exist in Python: return from the handler",
    ("KSR", "x", "drop"): "does not exist in Python: KSR.set_drop() and return",
    ("KSR", "drop"): "does not exist in Python: KSR.set_drop() and return",
    ("KSR", "x", "modf"): "crashes Kamailio (SIGSEGV): call the module's own KSR function",
}
_MAY_BE_NONE = {
    ("pv", "get"): "gete",
    ("hdr", "get"): "gete",
    ("hdr", "get_idx"): "gete_idx",
    ("htable", "sht_get"): "sht_gete",
    ("pvx", "avp_get"): "avp_gete",
    ("pvx", "xavp_get"): "xavp_gete",
}
_TYPES = {"str": str, "repr": str, "ascii": str, "int": int, "len": int, "float": float}


def check(script: Script) -> Iterator[Finding]:
    """Yield unknown functions, wrong numbers and types of arguments."""
    inner: set[ast.AST] = set()
    for node in script.nodes:
        if isinstance(node, ast.Attribute) and node not in inner:
            inner.update(ast.walk(node.value))
            yield from _name(script, node, script.dotted(node))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "KSR":
            for name in node.names:
                yield from _name(script, node, (*(node.module or "").split("."), name.name))
        elif isinstance(node, ast.Call):
            signature = script.signature(node)
            if signature:
                yield from _arguments(script, node, signature)
        for operand, effect in _operands(node):
            wants_number = isinstance(node, ast.Compare) and operand is node.left
            if better := _nullable(script, operand, wants_number):
                yield at(script.path, operand, "KSR204", f"{effect}; {better}")


def check_loaded(script: Script, modules: Collection[str]) -> Iterator[Finding]:
    """Yield the functions of modules that kamailio.cfg does not load.

    Args:
        script: where they are called.
        modules: all that it loads; none: there is no kamailio.cfg to ask.
    """
    for node in script.nodes:
        signature = script.signature(node)
        if signature is None or not isinstance(node, ast.Call):
            continue
        if missing := signatures.missing_module(signature.namespace, modules):
            message = (
                f'kamailio.cfg has no loadmodule "{missing}.so": {signature.full_name}() raises'
                " AttributeError"
            )
            yield at(script.path, node, "KSR206", message)


def _name(
    script: Script, node: ast.Attribute | ast.ImportFrom, path: tuple[str, ...]
) -> Iterator[Finding]:
    if path[:1] != ("KSR",) or len(path) < 2 or path[1].startswith("__"):
        return
    shown = ".".join(path[:3])
    if path[:3] in _NOT_THERE:
        yield at(script.path, node, "KSR205", f"{shown} {_NOT_THERE[path[:3]]}")
    elif problem := unknown(script.version, path[1], path[2] if len(path) > 2 else ""):
        yield at(script.path, node, "KSR201", problem)


def unknown(version: str, first: str, second: str) -> str:
    """What is wrong with the name KSR.first.second; '' if nothing is."""
    known = signatures.load(version)
    namespaces = signatures.namespaces(version)
    if first == "x" or ("", first) in known or (first in namespaces and not second):
        return ""
    if first not in namespaces:
        names = {"x", *namespaces, *(name for namespace, name in known if namespace == "")}
        return f"Kamailio {version} has no KSR.{first}{_hint(first, names)}{_later(first, '')}"
    if (first, second) in known:
        return ""
    names = {name for namespace, name in known if namespace == first}
    return (
        f"Kamailio {version} has no KSR.{first}.{second}{_hint(second, names)}"
        f"{_later(first, second)}"
    )


def _hint(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _later(first: str, second: str) -> str:
    having = [
        version
        for version in signatures.VERSIONS
        if any(
            key in ((first, second), ("", first)) or (not second and key[0] == first)
            for key in signatures.load(version)
        )
    ]
    return f" ({' and '.join(having)} {'has' if len(having) == 1 else 'have'} it)" if having else ""


def _arguments(script: Script, call: ast.Call, signature: Signature) -> Iterator[Finding]:
    if call.keywords:
        yield at(script.path, call, "KSR202", f"{signature} takes no keyword arguments")
    if call.keywords or any(isinstance(one, ast.Starred) for one in call.args):
        return
    if len(call.args) != len(signature.parameters):
        yield at(
            script.path,
            call,
            "KSR202",
            f"{signature} takes {len(signature.parameters)} argument(s), {len(call.args)} given",
        )
        return
    for parameter, argument in zip(signature.parameters, call.args, strict=True):
        yield from _argument(script, signature, parameter, argument)


def _argument(
    script: Script, signature: Signature, parameter: Parameter, argument: ast.expr
) -> Iterator[Finding]:
    if better := _nullable(script, argument):
        yield at(
            script.path,
            argument,
            "KSR204",
            f"{parameter.name} of {signature} may be None here; {better}",
        )
    elif fault := _mismatch(parameter.kind, argument):
        yield at(script.path, argument, "KSR203", f"{parameter.name} of {signature} {fault}")


def _mismatch(kind: str, argument: ast.expr) -> str:
    given, value = _type_of(argument)
    if given is None:
        return ""
    if kind == "STR":
        if given is not str:
            return f"wants a str, not {ast.unparse(argument)}"
        return "has a NUL character" if isinstance(value, str) and "\0" in value else ""
    if given not in (int, bool):
        return f"wants an int, not {ast.unparse(argument)}"
    fits = not isinstance(value, int) or kind == "LONG" or -(2**31) <= value < 2**31
    return "" if fits else "wants an int of 32 bits"


def _type_of(node: ast.expr) -> tuple[type | None, object]:
    """The type of an expression that shows it, and its value where it is a literal."""
    match node:
        case ast.Constant(value=value):
            return type(value), value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return int, -value
        case ast.JoinedStr():
            return str, None
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
            return list, None
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
            return (str, None) if _type_of(left)[0] is str else (None, None)
        case ast.Call(func=ast.Name(id=name)):
            return _TYPES.get(name), None
    return None, None


def _operands(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The expressions that must not be None, and what happens if one is."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield left, "None + ... raises TypeError"
            yield right, "... + None raises TypeError"
        case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE() as order, *_]):
            sign = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}[type(order)]
            yield left, f"None {sign} ... raises TypeError"
        case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[container]):
            yield container, "... in None raises TypeError"
        case ast.Attribute(value=value, attr=name):
            yield value, f"None.{name} raises AttributeError"
        case ast.Subscript(value=value):
            yield value, "None[...] raises TypeError"
        case ast.Call(func=ast.Name(id="int" | "len" as name), args=[value]):
            yield value, f"{name}(None) raises TypeError"


def _nullable(script: Script, node: ast.expr, wants_number: bool = False) -> str:
    """What to call instead of a getter that gives None for a null value; '' for the rest."""
    signature = script.signature(node)
    if signature is None or not isinstance(node, ast.Call):
        return ""
    key = (signature.namespace, signature.name)
    if key not in _MAY_BE_NONE:
        return ""
    if key == ("pv", "get") and node.args:
        name = script.text(node.args[0])
        if name is None or name in never_null.STRINGS or name in never_null.INTEGERS:
            return ""
    if wants_number:
        return "use KSR.pv.getvn or test it" if key == ("pv", "get") else "test it"
    return f"use KSR.{signature.namespace}.{_MAY_BE_NONE[key]} or test it"
