"""A parsed script, and what the names in it mean."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from ksr_stub import signatures
from ksr_stub.signatures import Signature

Function = ast.FunctionDef | ast.AsyncFunctionDef


@attrs.define
class Script:
    """One Python file. `imported` has what each imported or aliased name stands for."""

    path: Path
    tree: ast.Module
    version: str = "5.6"
    imported: dict[str, tuple[str, ...]] = attrs.Factory(dict)
    constants: dict[str, str] = attrs.Factory(dict)
    nodes: Sequence[ast.AST] = attrs.field(init=False)
    functions: Sequence[Function] = attrs.field(init=False)

    @nodes.default
    def _all_nodes(self) -> Sequence[ast.AST]:
        return list(ast.walk(self.tree))

    @functions.default
    def _functions_and_methods(self) -> Sequence[Function]:
        return [node for node in self.nodes if isinstance(node, Function)]

    @property
    def known(self) -> Mapping[tuple[str, str], Signature]:
        """All KSR functions of the version."""
        return signatures.load(self.version)

    def dotted(self, node: ast.AST) -> tuple[str, ...]:
        """`("KSR", "pv", "get")` for what means KSR.pv.get, whatever it was imported as; () else.

        A builtin is itself: `("bool",)`.
        """
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, (node.id,))
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return (*owner, node.attr) if owner else ()
        if isinstance(node, ast.Call) and self.dotted(node.func) == ("getattr",):
            match node.args:
                case [owner_node, ast.Constant(value=str(name))]:
                    owner = self.dotted(owner_node)
                    return (*owner, name) if owner else ()
        return ()

    def signature(self, call: ast.AST) -> Signature | None:
        """The KSR function that an expression calls; None if it calls none that exists."""
        if not isinstance(call, ast.Call):
            return None
        path = self.dotted(call.func)
        if not path or path[0] != "KSR" or len(path) not in (2, 3):
            return None
        return self.known.get(("", path[1]) if len(path) == 2 else (path[1], path[2]))

    def text(self, node: ast.AST) -> str | None:
        """The text of a literal, or of a constant of the module; None for anything else."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self.constants.get(node.id) if isinstance(node, ast.Name) else None


def parse(path: Path, text: str, version: str = "5.6") -> Script:
    """Parse a script.

    Raises:
        SyntaxError: it is no Python.
    """
    script = Script(path, ast.parse(text, str(path)), version)
    for node in script.nodes:
        if isinstance(node, ast.Import):
            for name in node.names:
                meant = name.name if name.asname else name.name.partition(".")[0]
                script.imported[name.asname or meant] = tuple(meant.split("."))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                meant_path = (*node.module.split("."), name.name)
                script.imported[name.asname or name.name] = meant_path
    for statement in script.tree.body:
        _take_assignment(script, statement)
    return script


def _take_assignment(script: Script, statement: ast.stmt) -> None:
    """Constants (`BRANCH = "ksr_branch"`) and short names (`nat = KSR.nathelper`) of the module."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            path = script.dotted(value)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                script.constants[name] = value.value
            elif path[:1] == ("KSR",):
                script.imported[name] = path
