"""Loading a KEMI script fresh for one test, and seeing which of its functions run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
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
    _dropped: dict[str, ModuleType]
    _path: list[str]
    modules: dict[str, ModuleType] = attrs.Factory(dict)
    _names: dict[str, str] = attrs.Factory(dict)
    _at_load: frozenset[str] = frozenset()

    @property
    def files(self) -> set[str]:
        """The files of the script and its packages."""
        return set(self._names)

    def unload(self) -> None:
        """Forget the script: the next test imports it afresh."""
        for name in [*self.modules, *self._imported_since()]:
            sys.modules.pop(name, None)
        for name, module in self._dropped.items():
            sys.modules.setdefault(name, module)
        sys.path[:] = self._path
        reimport.off()

    def _imported_since(self) -> list[str]:
        """What functions of the script have imported when they ran: it belongs to this script."""
        tops = {name.partition(".")[0] for name in self.modules}
        since = [name for name in sys.modules if name not in self._at_load]
        return [n for n in since if n.partition(".")[0] in tops and not _is_test(n)]


def load(script: str | Path | ModuleType, library: Sequence[str] = ()) -> Script:
    """Import a script as app_python3 does: its directory is first in sys.path.

    Args:
        script: the path of the file, or a module that is imported already.
        library: packages and modules of the script that are imported once, as those of others are.
    Raises:
        ScriptError: there is no such file.
    """
    path = list(sys.path)
    if isinstance(script, ModuleType):
        loaded = Script(script, {}, path)
        _find_own(loaded, {name: m for name, m in sys.modules.items() if m is script})
        loaded.modules = {}
        return loaded
    file = Path(script).resolve()
    if not file.exists():
        raise ScriptError(f"there is no script {script} (looked for {file})")
    before = dict(sys.modules)
    dropped = _drop_scripts(file)
    rest = set(sys.modules)
    reimport.on(file, library)
    sys.path.insert(0, str(file.parent))
    importlib.invalidate_caches()
    try:
        module = _import(file)
    except BaseException:
        _restore(before)
        sys.path[:] = path
        reimport.off()
        raise
    loaded = Script(module, dropped, path, at_load=frozenset(sys.modules))
    _find_own(loaded, {name: sys.modules[name] for name in sys.modules.keys() - rest})
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


def _drop_scripts(file: Path) -> dict[str, ModuleType]:
    """What uses KSR, or lies beside the script or its directory, is imported anew; tests stay.

    Returns:
        What is imported no more.
    """
    places = {str(file.parent), str(file.parent.parent)}
    spaces = {name: getattr(module, "__dict__", {}) for name, module in sys.modules.items()}
    tops = {name.partition(".")[0] for name, space in spaces.items() if space.get("KSR") is KSR}
    packages = [name for name, space in spaces.items() if "__path__" in space and "." not in name]
    tops |= {name for name in packages if _place(sys.modules[name]) in places}
    tops -= {"ksr_stub", "KSR"}
    inside = [(name, top) for name in spaces if (top := name.partition(".")[0]) in tops]
    tests = {top for name, top in inside if _is_test(name)}
    names = {name for name, top in inside if top not in tests} | {file.stem}
    return {name: sys.modules.pop(name) for name in names if name in sys.modules}


def _place(module: ModuleType) -> str:
    """The directory that a package stands in."""
    path: str = next(iter(getattr(module, "__path__", ())), "")
    return os.path.dirname(path)  # noqa: PTH120 - quicker


def _is_test(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("test_") or last in ("conftest", "__main__")


def _find_own(loaded: Script, changed: dict[str, ModuleType]) -> None:
    tops = {name.partition(".")[0] for name, module in changed.items() if _uses_ksr(module)}
    tops.add(loaded.module.__name__)
    tops -= {"ksr_stub", "KSR"}
    reimport.PACKAGES.update(tops)
    own = []
    for name, module in changed.items():
        top, _, rest = name.partition(".")
        if top in tops:
            own.append(module)
            loaded.modules[name] = module
            if where := getattr(module, "__file__", None):
                loaded._names[where] = rest
    watch.look_at(loaded._names, own)


def _uses_ksr(module: ModuleType) -> bool:
    return getattr(module, "__dict__", {}).get("KSR") is KSR


def _restore(before: dict[str, ModuleType]) -> None:
    for name in [name for name in sys.modules if name not in before]:
        if name.partition(".")[0] not in ("ksr_stub", "KSR"):
            del sys.modules[name]
    sys.modules.update(before)
