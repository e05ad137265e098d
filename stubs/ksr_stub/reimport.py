"""Importing a script's modules for each test, without finding and compiling them each time.

A module's code stays the same as long as its file does; its namespace is new with each import.
Python's own finder says at the first import where a module is, and that is remembered.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ksr_stub import announced, watch

_Remembers = type(functools.cache(len))


class _Kept:
    """A module of a library, and what it was when it was imported."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self._globals = dict(vars(module))
        values = [one for name, one in self._globals.items() if not name.startswith("__")]
        self._filled = [(one, one.copy()) for one in values if isinstance(one, dict | list | set)]
        self._remembers = [one for one in values if isinstance(one, _Remembers)]

    def put_back(self) -> None:
        """Its globals are what they were, so is what is in them, and no result is remembered."""
        names = vars(self.module)
        for name in names.keys() - self._globals.keys() - {announced.NAME}:
            del names[name]
        names.update(self._globals)
        for one, content in self._filled:
            one.clear()
            one.extend(content) if isinstance(one, list) else one.update(content)
        for function in self._remembers:
            function.cache_clear()


# the packages of scripts
PACKAGES: set[str] = set()
_Stamp = tuple[int, int]  # when a file was written, and its size
_files: dict[tuple[str, str], str] = {}
_kept: dict[tuple[Path | str, ...], dict[str, _Kept]] = {}
_ready: dict[str, _Kept] = {}
_left: set[str] = set()
_library: tuple[str, ...] = ()
_codes: dict[str, tuple[_Stamp, CodeType]] = {}


def on(script: Path, library: Sequence[str]) -> None:
    """From here on, modules of `PACKAGES` are found here.

    Args:
        script: whose they are.
        library: packages and modules of which it gets what it has got before, but once: what a
            script imports anew itself is new.
    """
    global _ready, _left, _library
    _library = tuple(f"{name}." for name in library)
    _ready = _kept.setdefault((script, *library), {})
    _left = set(_ready)
    # from the first time on: one that is not kept would have others beside the kept ones
    PACKAGES.update(name.partition(".")[0] for name in library)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def off() -> None:
    """From here on, Python finds all modules."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)


class _Finder:
    """An entry of `sys.meta_path`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is; None: one of the next finders is asked."""
        if not path or name.partition(".")[0] not in PACKAGES:
            return None
        if name in _left:
            _hand_out(name)
            return ModuleSpec(name, _Ready())
        file = _files.get((name, path[0]))
        if file is None or not os.path.exists(file):  # noqa: PTH110 - quicker
            return _as_python_finds_it(name, path, target)
        spec = ModuleSpec(name, _Loader(name, file), origin=file)
        spec.has_location = True
        return spec


_FINDER = _Finder()


class _Ready(Loader):
    """Hands out a module that was imported before, as it was then."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _ready[spec.name].module

    def exec_module(self, module: ModuleType) -> None:
        """It was put back when the first one of its library was wanted."""


def _hand_out(wanted: str) -> None:
    """The whole library at once: its modules have each other, and don't import each other again."""
    for name in _left:
        kept = _ready[name]
        kept.put_back()
        if name != wanted:
            sys.modules[name] = kept.module
            above, _, last = name.rpartition(".")
            if above in sys.modules:
                setattr(sys.modules[above], last, kept.module)
    _left.clear()


class _Loader(SourceFileLoader):
    """Compiles a file only where it is not the one that was compiled before."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        watch.imported(module)
        if f"{module.__name__}.".startswith(_library):
            _ready.setdefault(module.__name__, _Kept(module))

    def get_code(self, fullname: str) -> CodeType | None:
        status = os.stat(self.path)  # noqa: PTH116 - quicker
        stamp = status.st_mtime_ns, status.st_size
        known = _codes.get(self.path)
        if known is not None and known[0] == stamp:
            return known[1]
        code = super().get_code(fullname)
        if code is not None:
            _codes[self.path] = stamp, code
        return code


def _as_python_finds_it(
    name: str, path: Sequence[str], target: ModuleType | None
) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path, target)
    package = spec is None or spec.submodule_search_locations is not None
    if spec is not None and not package and type(spec.loader) is SourceFileLoader:
        _files[name, path[0]] = spec.loader.path
    return spec
