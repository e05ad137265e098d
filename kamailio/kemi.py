"""The file that app_python3 loads: it brings in kemi_routes, and nothing else.

``kamcmd app_python.reload`` runs this file again in every Kamailio process. Python keeps the
submodules of a package when the file that imported them is reloaded, so they are dropped here.
An import that then fails keeps the routes that were running: Kamailio retries a failed reload with
every message and crashes within three (app_python3, 5.6 to 6.1).
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

import KSR

PACKAGE = "kemi_routes"


def _drop_package() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
    return {name: sys.modules.pop(name) for name in names}


def _callbacks() -> dict[str, Callable[..., int]]:
    running = _drop_package()
    try:
        engine = importlib.import_module(f"{PACKAGE}.engine")
        found = {name: getattr(engine, name) for name in engine.CALLBACKS}
        engine.start(KSR.kx.get_def, running.get(f"{PACKAGE}.seal"))
    except Exception as error:
        if not running:
            raise
        _drop_package()
        sys.modules.update(running)
        KSR.err(f"kemi-routes: the new routes don't load, the old ones stay: {error!r}\n")
        return {}
    return found


def mod_init() -> ModuleType:
    return sys.modules[__name__]


# a reload keeps this module's globals: the callbacks that run stay where there are no new ones
globals().update(_callbacks())
