"""Functions that say when they begin: for Python 3.11, which has no sys.monitoring.

A profile function is told of every return and every call of C, too: a route takes twice the time.
"""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TypeVar

# what the functions call
NAME = "__ksr_stub_begins__"
# where decorators keep the function
_DECORATED = (
    staticmethod, classmethod, property, functools.cached_property, functools.partial,
    type(functools.cache(len)),
)  # fmt: skip
_INSIDE = ("__wrapped__", "fget", "fset", "fdel", "func")


def announce(module: ModuleType, prefix: str, begins: Callable[[str], None]) -> None:
    """Give the functions and methods of a module a first statement that tells their names.

    Args:
        module: a module of the script; functions inside of functions stay silent.
        prefix: what stands before the names.
        begins: is told a name.
    """
    names = vars(module)
    file = names.get("__file__")
    if file is None or NAME in names:
        return
    status = os.stat(file)  # noqa: PTH116 - quicker
    codes = _codes(file, prefix, status.st_mtime_ns, status.st_size)
    names[NAME] = begins
    found: dict[int, FunctionType] = {}
    _collect(list(names.values()), module.__name__, found)
    for function in found.values():
        code = codes.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
        if code is not None and function.__globals__ is names:
            function.__code__ = code


def _collect(values: Iterable[object], module: str, found: dict[int, FunctionType]) -> None:
    """The functions among some values, in the module's classes, and behind decorators."""
    for value in values:
        if isinstance(value, FunctionType):
            if id(value) not in found:
                found[id(value)] = value
                _collect(_closed_over(value.__closure__ or ()), module, found)
        elif isinstance(value, type):
            if value.__module__ == module:
                _collect(vars(value).values(), module, found)
        elif isinstance(value, _DECORATED):
            _collect([getattr(value, name, None) for name in _INSIDE], module, found)


def _closed_over(closure: Iterable[CellType]) -> Iterator[FunctionType]:
    for cell in closure:
        with suppress(ValueError):  # an empty one
            if isinstance(cell.cell_contents, FunctionType):
                yield cell.cell_contents


@functools.lru_cache(maxsize=512)
def _codes(file: str, prefix: str, *_stamp: int) -> dict[tuple[str, int], CodeType]:
    with open(file, "rb") as source:  # noqa: PTH123
        tree = ast.parse(source.read(), file)
    _Announcer(prefix).visit(tree)
    return {
        (c.co_qualname, c.co_firstlineno): c
        for c in _inside(compile(tree, file, "exec", dont_inherit=True))
    }


def _inside(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inside(constant)


_Function = TypeVar("_Function", ast.FunctionDef, ast.AsyncFunctionDef)


class _Announcer(ast.NodeTransformer):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        outside, self._prefix = self._prefix, f"{self._prefix}{node.name}."
        self.generic_visit(node)
        self._prefix = outside
        return node

    def visit_FunctionDef(self, node: _Function) -> _Function:
        tell = ast.parse(f"{NAME}({self._prefix + node.name!r})").body[0]
        place = 0 if ast.get_docstring(node, clean=False) is None else 1
        for part in ast.walk(tell):
            ast.copy_location(part, node.body[min(place, len(node.body) - 1)])
        node.body.insert(place, tell)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef
