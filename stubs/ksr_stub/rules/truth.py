"""KSR101: return codes used as truth values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ksr_stub.rules.finding import Finding, at
from ksr_stub.rules.script import Function, Script

_SINGLE = {"bool"}
_EACH = {"any", "all"}


def check(script: Script) -> Iterator[Finding]:
    """Yield every return code that decides something as True or False."""
    helpers: set[str] = set()
    while True:
        reader = _Reader(script, helpers)
        reader.visit(script.tree)
        if reader.helpers == helpers:
            break
        helpers = reader.helpers
    yield from reader.found.values()


class _Reader(ast.NodeVisitor):
    """Reads in the order of the lines; knows which names hold a return code there."""

    def __init__(self, script: Script, helpers: set[str]) -> None:
        self.script = script
        self.helpers = set(helpers)
        self.found: dict[tuple[int, int], Finding] = {}
        self._holding: dict[str, str] = {}
        self._function = ""

    # Where a value decides

    def visit_If(self, node: ast.If | ast.While | ast.IfExp | ast.Assert) -> None:
        self._decides(node.test)
        self.generic_visit(node)

    visit_While = visit_IfExp = visit_Assert = visit_If

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._decides(node.operand)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for value in node.values[:-1]:
            self._decides(value)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._decides(condition)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ".".join(self.script.dotted(node.func))
        for argument in node.args[:1]:
            if name in _SINGLE:
                self._decides(argument)
            elif name in _EACH and isinstance(argument, ast.List | ast.Tuple | ast.Set):
                for element in argument.elts:
                    self._decides(element)
            elif name in _EACH and isinstance(argument, ast.GeneratorExp | ast.ListComp):
                self._decides(argument.elt)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for side in (node.left, *node.comparators):
            if isinstance(side, ast.Constant) and isinstance(side.value, bool):
                self._decides(node.left)
        self.generic_visit(node)

    def _decides(self, node: ast.expr) -> None:
        if isinstance(node, ast.BoolOp):
            for value in node.values:
                self._decides(value)
        elif isinstance(node, ast.IfExp):
            self._decides(node.body)
            self._decides(node.orelse)
        elif source := self._source(node):
            self.found[node.lineno, node.col_offset] = at(
                self.script.path,
                node,
                "KSR101",
                f"the return code of {source} as a truth value: the failure -1 is true, too;"
                " compare it, `> 0` or `< 0`",
            )

    # Where a return code is

    def _source(self, node: ast.expr | None) -> str:
        """The function whose return code this is; '' if it is none."""
        match node:
            case ast.Name(id=name):
                return self._holding.get(name, "")
            case ast.NamedExpr(value=value):
                return self._source(value)
            case ast.IfExp(body=body, orelse=orelse):
                return self._source(body) or self._source(orelse)
            case ast.Call(func=ast.Name(id=name)) if name in self.helpers:
                return f"{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if (
                name in self.helpers
            ):
                return f"self.{name}()"
            case ast.Call():
                signature = self.script.signature(node)
                return f"{signature.full_name}()" if signature and signature.gives_code else ""
        return ""

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._bind(node.target, None)

    def visit_For(self, node: ast.For) -> None:
        self._bind(node.target, None)
        self.generic_visit(node)

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name):
                source = self._source(value) if name is target else ""
                self._holding.pop(name.id, None)
                if source:
                    self._holding[name.id] = source

    def visit_Return(self, node: ast.Return) -> None:
        if self._function and self._source(node.value):
            self.helpers.add(self._function)
        self.generic_visit(node)

    def _enter(self, node: Function) -> None:
        outer = self._holding, self._function
        self._holding, self._function = dict(self._holding), node.name
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                self._holding.pop(argument.arg, None)
        self.generic_visit(node)
        self._holding, self._function = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node)
