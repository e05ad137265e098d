"""Module rtimer: callbacks in processes of their own. It has no functions.

Time alone does not run them here: a test says when, with `ksr.run_timer(name)`.
"""

from __future__ import annotations

from ksr_stub import events
from ksr_stub.world import World


def run(world: World, name: str) -> None:
    """Run all that `exec` gives to a timer once, the last one first.

    Raises:
        ValueError: no parameter `timer` makes a timer of this name.
    """
    if name not in {one.get("name") for one in _given(world, "timer")}:
        raise ValueError(f'no modparam("rtimer", "timer", "name={name};...") makes this timer')
    for one in reversed(_given(world, "exec")):
        if one.get("timer") == name:
            events.run(world, one.get("route", ""), "rtimer")


def _given(world: World, parameter: str) -> list[dict[str, str]]:
    given: str | tuple[str, ...] = world.param("rtimer", parameter, ())
    texts = (given,) if isinstance(given, str) else given
    return [dict(_pairs(text)) for text in texts]


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = (item.partition("=") for item in text.split(";") if item.strip())
    return [(name.strip().lower(), value.strip()) for name, _, value in parts]
