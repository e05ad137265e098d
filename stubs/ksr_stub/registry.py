"""Which functions have a model: the modules in ksr_stub/models register them here."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from ksr_stub.world import World

_Model = TypeVar("_Model", bound=Callable[..., object])

# (namespace, function) -> model(world, *arguments). Text arguments and results are Latin-1
# (see text.py). A model of a BOOL function returns a bool, of an INT function an int, of an XVAL
# function None, an int or a str.
MODELS: dict[tuple[str, str], Callable[..., object]] = {}


_ANSWERS: object = object()


def model(namespace: str, *names: str, unreadable: object = _ANSWERS) -> Callable[[_Model], _Model]:
    """Register a model of one or more functions of a namespace ('' is KSR itself).

    Args:
        namespace: that of KSR.
        names: the functions; none: it is called as the decorated one.
        unreadable: what it returns where a header field can't be parsed, and it wants them all.
    """

    def register(model_: _Model) -> _Model:
        function = model_ if unreadable is _ANSWERS else _reading_all(model_, unreadable)
        for name in names or (function.__name__,):
            if (namespace, name) in MODELS:
                raise ValueError(f"two models of KSR.{namespace}.{name}")
            MODELS[namespace, name] = function
        return function

    return register


def _reading_all(function: _Model, failure: object) -> _Model:
    @functools.wraps(function)
    def read(world: World, *arguments: object) -> object:
        if world.msg.unreadable():
            world.say(-1, f"core: failed to parse to end of headers: {world.msg.broken}")
            return failure
        return function(world, *arguments)

    return cast("_Model", read)


@functools.cache
def load_models() -> None:
    """Import every module of ksr_stub.models."""
    package = importlib.import_module("ksr_stub.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
