#!/usr/bin/python3
"""Import the routes in a process of their own, before a running Kamailio reloads them.

The file that loads them is only compiled, it needs Kamailio; of the settings the defaults are read.

Exit status 0 when they load, 1 with the traceback when they don't.
"""

import importlib
import pkgutil
import sys
import types
from pathlib import Path

LOADER = Path(__file__).with_name("kemi.py")


def main() -> int:
    compile(LOADER.read_text(), LOADER, "exec")
    sys.modules["KSR"] = types.ModuleType("KSR")
    package = importlib.import_module("kemi_routes")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    engine = importlib.import_module("kemi_routes.engine")
    missing = [name for name in engine.CALLBACKS if not callable(getattr(engine, name, None))]
    if missing:
        print(f"kemi-routes: callbacks without a function: {', '.join(missing)}", file=sys.stderr)
        return 1
    settings = importlib.import_module("kemi_routes.settings")
    settings.read(settings.shipped_defaults().get)
    print("kemi-routes: the routes load")
    return 0


if __name__ == "__main__":
    sys.exit(main())
