"""Which functions have a model: the modules in ksr_stub/models register them here."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import TypeVar

_Model = TypeVar("_Model", bound=Callable[..., object])

# (namespace, function) -> model(world, *arguments). Text arguments and results are Latin-1
# (see text.py). A model of a BOOL function returns a bool, of an INT function an int, of an XVAL
# function None, an int or a str.
MODELS: dict[tuple[str, str], Callable[..., object]] = {}


def model(namespace: str, *names: str) -> Callable[[_Model], _Model]:
    """Register a model of one or more functions of a namespace ('' is KSR itself)."""

    def register(function: _Model) -> _Model:
        for name in names or (function.__name__,):
            if (namespace, name) in MODELS:
                raise ValueError(f"two models of KSR.{namespace}.{name}")
            MODELS[namespace, name] = function
        return function

    return register


@functools.cache
def load_models() -> None:
    """Import every module of ksr_stub.models."""
    package = importlib.import_module("ksr_stub.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
