"""Calling the callbacks of a KEMI script, as app_python3 calls them."""

from __future__ import annotations

import traceback
from types import ModuleType
from typing import NoReturn

from ksr_stub.errors import MissingCallback, NotModelled, StubError, WrongReturn
from ksr_stub.message import SipMessage
from ksr_stub.text import from_python, to_python
from ksr_stub.world import World


class PythonMessage:
    """The `msg` argument of a callback (app_python3's python_msgobj.c): the message as it came."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def Type(self) -> str:
        """`SIP_REQUEST` or `SIP_REPLY`."""
        return "SIP_REQUEST" if self._world.msg.is_request else "SIP_REPLY"

    @property
    def Method(self) -> str:
        """The method of a request."""
        return to_python(self._only(request=True).method)

    @property
    def RURI(self) -> str:
        """The R-URI that came."""
        return to_python(self._only(request=True).ruri)

    @property
    def Status(self) -> str:
        """The status of a reply, as text."""
        return str(self._only(request=False).status)

    @property
    def src_address(self) -> tuple[str, int]:
        """Address and port that it came from."""
        source = self._world.msg.source
        return source.host, source.port

    @property
    def dst_address(self) -> tuple[str, int]:
        """Address and port that it came to."""
        socket = self._world.msg.socket
        return socket.host, socket.port

    def getHeader(self, name: str) -> str | None:
        """The body of the first header field of exactly that name: `f` is not `From`."""
        wanted = from_python(name).lower()
        for header in self._world.msg.headers:
            if header.name.lower() == wanted:
                return to_python(header.body)
        return None

    def __getattr__(self, name: str) -> NoReturn:
        if name not in _OLD_FUNCTIONS:
            raise AttributeError(f"'msg' object has no attribute {name!r}")
        raise self._world.fault(
            NotModelled(
                f"msg.{name} is there in Kamailio but has no model: use {_OLD_FUNCTIONS[name]}"
            )
        )

    def _only(self, *, request: bool) -> SipMessage:
        message = self._world.msg
        if message.is_request is not request:
            raise RuntimeError(f"Not a {'request' if request else 'reply'}: it has no such part")
        return message


# what a script calls instead, which this stub and every Kamailio know
_OLD_FUNCTIONS = {
    "call_function": "KSR.module.function",
    "rewrite_ruri": "KSR.seturi",
    "set_dst_uri": "KSR.setdsturi",
    "copy": 'KSR.pv.get("$mb")',
}


def load(world: World, module: ModuleType) -> None:
    """Take a script into the World: call its mod_init and child_init as Kamailio does at start.

    Args:
        world: the World that the script will route in; its defines must be set.
        module: the imported script.
    Raises:
        MissingCallback, WrongReturn: Kamailio does not start with such a mod_init or child_init.
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
    child_init = getattr(world.script, "child_init", None)
    if not callable(child_init):
        raise world.fault(
            MissingCallback("the script has no child_init: Kamailio ends right after its start")
        )
    code = child_init(1)
    if not isinstance(code, int) or code < 0:
        raise world.fault(
            WrongReturn(f"child_init returned {code!r}: Kamailio ends right after its start")
        )


def exists(world: World, name: str) -> bool:
    """Whether the script has a callback of that name."""
    return callable(getattr(world.script, name, None))


def run(world: World, name: str, *extra: object) -> int | None:
    """Call a callback of the script.

    Args:
        world: its `message` and `route` are set to what the callback shall see.
        name: the callback.
        extra: what follows the message, e.g. the name of an event.
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
    try:
        result = handler(PythonMessage(world), *extra)
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
