"""Seeing which functions of a script run, at no cost for what the stub does meanwhile.

Since Python 3.12 sys.monitoring looks at the script's code alone; before, the script's functions
say themselves that they begin.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, ModuleType

from ksr_stub import announced

_TOOL = 4  # of sys.monitoring: 0 to 2 and 5 are for debuggers, coverage, profilers and optimisers

if sys.version_info >= (3, 12):
    _NEVER_AGAIN = sys.monitoring.DISABLE
else:
    _NEVER_AGAIN = None

_files: Mapping[str, str] = {}
_steps: list[str] | None = None


def look_at(files: Mapping[str, str], modules: Iterable[ModuleType]) -> None:
    """Choose whose functions count.

    Args:
        files: the script's files, and the name of the module in each.
        modules: those that are imported already.
    """
    global _files
    _files = files
    if sys.version_info >= (3, 12):
        if sys.monitoring.get_tool(_TOOL) is None:
            sys.monitoring.use_tool_id(_TOOL, "ksr_stub")
            sys.monitoring.set_events(_TOOL, sys.monitoring.events.PY_START)
            # what runs when Python ends finds no globals any more
            atexit.register(sys.monitoring.set_events, _TOOL, 0)
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.PY_START, _started)
        sys.monitoring.restart_events()
    for module in modules:
        imported(module)


def imported(module: ModuleType) -> None:
    """A module was imported: its functions count if they are in one of the script's files."""
    name = _files.get(getattr(module, "__file__", None) or "")
    if name is not None and sys.version_info < (3, 12):
        announced.announce(module, f"{name}." if name else "", _begins)


@contextmanager
def watching(steps: list[str]) -> Iterator[None]:
    """Note the functions that are entered, as `module.function`."""
    global _steps
    former, _steps = _steps, steps
    try:
        yield
    finally:
        _steps = former


def _begins(name: str) -> None:
    if _steps is not None:
        _steps.append(name)


def _started(code: CodeType, _offset: int) -> object:
    """A function begins."""
    module = _files.get(code.co_filename)
    if module is None:
        return _NEVER_AGAIN
    if "<" not in code.co_qualname:
        _begins(f"{module}.{code.co_qualname}" if module else code.co_qualname)
    return None
