"""Seeing which functions of a script run, without slowing down what the stub does meanwhile.

Since Python 3.12 sys.monitoring looks at the script's code alone. Before, a profile function is on
while the script's own code runs, and off inside a KSR call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType

_TOOL = 4  # of sys.monitoring: 0 to 2 and 5 are for debuggers, coverage, profilers and optimisers

if sys.version_info >= (3, 12):
    _NEVER_AGAIN = sys.monitoring.DISABLE
else:
    _NEVER_AGAIN = None

_files: Mapping[str, str] = {}
_steps: list[str] | None = None


def look_at(files: Mapping[str, str]) -> None:
    """Choose whose functions count.

    Args:
        files: the script's files, and the name of the module in each.
    """
    global _files
    _files = files
    if sys.version_info >= (3, 12):
        if sys.monitoring.get_tool(_TOOL) is None:
            sys.monitoring.use_tool_id(_TOOL, "ksr_stub")
            sys.monitoring.set_events(_TOOL, sys.monitoring.events.PY_START)
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.PY_START, _started)
        sys.monitoring.restart_events()


@contextmanager
def watching(steps: list[str]) -> Iterator[None]:
    """Note the functions that are entered, as `module.function`."""
    global _steps
    former, _steps = _steps, steps
    try:
        yield
    finally:
        _steps = former


def resume() -> None:
    """The script's own code runs from here on."""
    if _steps is not None and sys.version_info < (3, 12):
        sys.setprofile(_profile)


def pause() -> None:
    """The stub works from here on."""
    if _steps is not None and sys.version_info < (3, 12):
        sys.setprofile(None)


def _profile(frame: FrameType, event: str, _argument: object) -> None:
    if event == "call":
        _started(frame.f_code, 0)


def _started(code: CodeType, _offset: int) -> object:
    """A function begins."""
    module = _files.get(code.co_filename)
    if module is None:
        return _NEVER_AGAIN
    if _steps is not None and "<" not in code.co_qualname:
        _steps.append(f"{module}.{code.co_qualname}" if module else code.co_qualname)
    return None
