"""KSR.xlog: log lines with pseudo-variables in them (modules/xlog)."""

from __future__ import annotations

from ksr_stub import pv
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import World

_LEVELS = {
    "l_alert": -5, "l_bug": -4, "l_crit2": -3, "l_crit": -2, "l_err": -1, "l_warn": 0,
    "l_notice": 1, "l_info": 2, "l_dbg": 3,
}  # fmt: skip


@model("xlog")
def xlog(world: World, level: str, text: str) -> int:
    """Write to the log with a level like `L_INFO`; one that there is not counts as `L_ERR`.

    Returns 1; -1 for a variable that there is not. A level that is off evaluates nothing: the
    stub evaluates it all the same, so that a wrong variable is found.
    """
    return _write(world, _LEVELS.get(level.lower(), -1), text)


def _write(world: World, level: int, text: str) -> int:
    shown = pv.evaluate(world, text)
    if shown is None:
        return 1 if level > world.param("core", "debug", 0) else -1
    world.say(level, shown)
    return 1


_COLORS = {"x": 9, "s": 0, "r": 1, "g": 2, "y": 3, "b": 4, "p": 5, "c": 6, "w": 7}


def _color(text: str) -> str:
    """Two letters: the colour of the letters, bold for a capital, and of the ground.

    Raises:
        ValueError: they name none.
    """
    if len(text) != 2 or text[0].lower() not in _COLORS or text[1] not in _COLORS or text[0] == "X":
        raise ValueError("invalid color name")
    return text


@variable("C", inner=_color)
def color(world: World, inner: str, index: object) -> Value:
    """The escape sequence of a colour; nothing unless the log goes to a terminal."""
    stderr: object = world.param("core", "log_stderror", 0)
    if stderr in (0, "no", "off") and not world.param("xlog", "force_color", 0):
        return ""
    front, ground = inner[0], inner[1]
    return f"\033[{int(front.isupper())};3{_COLORS[front.lower()]};4{_COLORS[ground]}m"


def _at(name: str, level: int) -> None:
    def write(world: World, text: str) -> int:
        """Write to the log, with the values of the variables in the text."""
        return _write(world, level, text)

    model("xlog", name)(write)


for _name in ("alert", "crit", "err", "warn", "notice", "info", "dbg"):
    _at(f"x{_name}", _LEVELS[f"l_{_name}"])
