"""Loading a KEMI script fresh for one test, and seeing which of its functions run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import attrs
import KSR

from ksr_stub import reimport, watch


class ScriptError(Exception):
    """The script can't be loaded at all."""


@attrs.define(eq=False)
class Script:
    """A loaded KEMI script and its packages; `unload` puts sys.modules and sys.path back."""

    module: ModuleType
    _before: dict[str, ModuleType]
    _path: list[str]
    modules: dict[str, ModuleType] = attrs.Factory(dict)
    _names: dict[str, str] = attrs.Factory(dict)

    @property
    def files(self) -> set[str]:
        """The files of the script and its packages."""
        return set(self._names)

    def unload(self) -> None:
        """Forget the script: the next test imports it afresh."""
        for name in self.modules:
            sys.modules.pop(name, None)
        for name, module in self._before.items():
            sys.modules.setdefault(name, module)
        sys.path[:] = self._path
        reimport.off()


def load(script: str | Path | ModuleType) -> Script:
    """Import a script as app_python3 does: its directory is first in sys.path.

    Args:
        script: the path of the file, or a module that is imported already.
    Raises:
        ScriptError: there is no such file.
    """
    path = list(sys.path)
    if isinstance(script, ModuleType):
        loaded = Script(script, dict(sys.modules), path)
        _find_own(loaded, {name: m for name, m in sys.modules.items() if m is script})
        loaded.modules = {}
        return loaded
    file = Path(script).resolve()
    if not file.exists():
        raise ScriptError(f"there is no script {script} (looked for {file})")
    before = dict(sys.modules)
    sys.modules.pop(file.stem, None)
    _drop_scripts(file)
    reimport.on()
    sys.path.insert(0, str(file.parent))
    importlib.invalidate_caches()
    try:
        module = _import(file)
    except BaseException:
        _restore(before)
        sys.path[:] = path
        reimport.off()
        raise
    loaded = Script(module, before, path)
    changed = {n: m for n, m in sys.modules.items() if before.get(n) is not m}
    _find_own(loaded, changed)
    return loaded


def _import(file: Path) -> ModuleType:
    if file.stem.isidentifier():
        return importlib.import_module(file.stem)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ScriptError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _drop_scripts(file: Path) -> None:
    """What uses KSR, or lies beside the script or its directory, is imported anew; tests stay."""
    places = {str(file.parent), str(file.parent.parent)}
    tops = {
        name.partition(".")[0]
        for name, module in sys.modules.items()
        if _uses_ksr(module) or _place(module) in places
    }
    tops -= {"ksr_stub", "KSR"}
    tops -= {name.partition(".")[0] for name in sys.modules if _is_test(name)}
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]


def _place(module: ModuleType) -> str:
    """The directory that a package stands in; empty for a plain module."""
    path: str = next(iter(getattr(module, "__path__", ())), "")
    return os.path.dirname(path)  # noqa: PTH120 - quicker: every module is asked


def _is_test(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("test_") or last in ("conftest", "__main__")


def _find_own(loaded: Script, changed: dict[str, ModuleType]) -> None:
    tops = {name.partition(".")[0] for name, module in changed.items() if _uses_ksr(module)}
    tops.add(loaded.module.__name__)
    tops -= {"ksr_stub", "KSR"}
    reimport.PACKAGES.update(tops)
    for name, module in changed.items():
        top, _, rest = name.partition(".")
        if top in tops:
            loaded.modules[name] = module
            if where := getattr(module, "__file__", None):
                loaded._names[where] = rest
    watch.look_at(loaded._names)


def _uses_ksr(module: ModuleType) -> bool:
    try:
        return vars(module).get("KSR") is KSR
    except TypeError:
        return False


def _restore(before: dict[str, ModuleType]) -> None:
    for name in [name for name in sys.modules if name not in before]:
        if name.partition(".")[0] not in ("ksr_stub", "KSR"):
            del sys.modules[name]
    sys.modules.update(before)
