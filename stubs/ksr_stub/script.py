"""Calling the callbacks of a KEMI script, as app_python3 calls them."""

from __future__ import annotations

import traceback
from types import ModuleType

from ksr_stub import watch
from ksr_stub.errors import MissingCallback, StubError, WrongReturn
from ksr_stub.world import World


class PythonMessage:
    """The `msg` argument of a callback: hardly anything of it is used by routes."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def Method(self) -> str:
        """The method of a request."""
        return self._world.msg.method

    @property
    def Type(self) -> str:
        """`SIP_REQUEST` or `SIP_REPLY`."""
        return "SIP_REQUEST" if self._world.msg.is_request else "SIP_REPLY"

    @property
    def RURI(self) -> str:
        """The R-URI that came."""
        return self._world.msg.ruri


def load(world: World, module: ModuleType) -> None:
    """Take a script into the World: call its mod_init and child_init as Kamailio does at start.

    Args:
        world: the World that the script will route in; its defines must be set.
        module: the imported script.
    Raises:
        MissingCallback: no mod_init, or no child_init.
    """
    mod_init = getattr(module, "mod_init", None)
    if mod_init is None:
        raise world.fault(MissingCallback("the script has no mod_init: Kamailio refuses to start"))
    world.script = mod_init()
    if world.script is None:
        raise world.fault(
            WrongReturn(
                "mod_init returned None: Kamailio refuses to start; return the object with"
                " the callbacks, or sys.modules[__name__]"
            )
        )
    run(world, "child_init", 1, with_message=False)


def exists(world: World, name: str) -> bool:
    """Whether the script has a callback of that name."""
    return callable(getattr(world.script, name, None))


def run(world: World, name: str, *extra: object, with_message: bool = True) -> int | None:
    """Call a callback of the script.

    Args:
        world: its `message` and `route` are set to what the callback shall see.
        name: the callback.
        extra: what follows the message, e.g. the name of an event.
        with_message: child_init gets no message.
    Returns:
        What the callback returned; None if it is missing or failed (faithful mode).
    """
    handler = getattr(world.script, name, None)
    if name not in type(world.script).__dict__:
        # Looking a name up elsewhere than in its class (a module has its callbacks in itself)
        # makes Python forget a pending exception.
        world.poisoned = None
    if not callable(handler):
        _missing(world, name)
        return None
    arguments = (PythonMessage(world), *extra) if with_message else extra
    try:
        watch.resume()
        result = handler(*arguments)
    except SystemExit:
        return 0
    except StubError:
        raise
    except Exception as error:
        world.say(-1, f"app_python3: {name}: unhandled exception\n{traceback.format_exc()}")
        if world.strict:
            error.add_note(
                f"A real Kamailio {world.version} logs this, and the request gets no reply."
            )
            raise
        return None
    finally:
        watch.pause()
    if isinstance(result, int):
        return result
    _no_int(world, name, result)
    return None


def _missing(world: World, name: str) -> None:
    if world.strict:
        raise world.fault(
            MissingCallback(
                f"the script has no callback {name}: on Kamailio 5.6 the next KSR call of this"
                " worker raises SystemError, and the message is lost"
            )
        )
    world.say(-1, f"app_python3: {name} not found or is not callable")
    if world.version == "5.6":
        world.poisoned = AttributeError(f"object has no attribute {name!r}")


def _no_int(world: World, name: str, result: object) -> None:
    if world.strict:
        raise world.fault(
            WrongReturn(
                f"{name} returned {result!r} and not an int: on Kamailio 5.6 the next KSR call of"
                " this worker can raise SystemError, so that a request is lost"
            )
        )
    if world.version == "5.6":
        world.poisoned = TypeError(f"an integer is required (got {type(result).__name__})")
