"""KSR.textops: comparing and searching texts (modules/textops)."""

from __future__ import annotations

from ksr_stub import pv, regex
from ksr_stub.registry import model
from ksr_stub.world import World

_SPACE = " \t\r\n"


def _order(one: str, other: str) -> int:
    return 1 if one == other else -1 if one > other else -2


@model("textops")
def cmp_str(world: World, one: str, other: str) -> int:
    """1 for equal texts, -1 where the first is greater, -2 where it is less."""
    return _order(one, other)


@model("textops")
def cmp_istr(world: World, one: str, other: str) -> int:
    """As cmp_str, without case."""
    return _order(one.lower(), other.lower())


@model("textops")
def starts_with(world: World, text: str, start: str) -> int:
    """1 where the text starts so, else -1 or -2."""
    return -1 if len(text) < len(start) else _order(text[: len(start)], start)


@model("textops")
def ends_with(world: World, text: str, end: str) -> int:
    """1 where the text ends so, else -1 or -2."""
    return -1 if len(text) < len(end) else _order(text[len(text) - len(end) :], end)


@model("textops")
def str_find(world: World, text: str, part: str) -> int:
    """Where a part begins in the text, counted from 1; -1 where it is not there."""
    if not part:
        return len(text) + 1
    return text.find(part) + 1 or -1


@model("textops")
def str_ifind(world: World, text: str, part: str) -> int:
    """As str_find, without case."""
    return text.lower().find(part.lower()) + 1 or -1


@model("textops")
def str_any_in(world: World, text: str, characters: str) -> int:
    """1 where one of the text's characters is among these, else -1 (new in 6.0)."""
    return 1 if set(text) & set(characters) else -1


@model("textops")
def str_all_in(world: World, text: str, characters: str) -> int:
    """1 where all of these characters are in the text, else -1 (new in 6.1)."""
    return 1 if characters and set(characters) <= set(text) else -1


def _items(text: str, separator: str) -> list[str]:
    items = [item.strip(_SPACE) for item in text.split(separator[0])]
    return items if items[-1] else items[:-1]


@model("textops")
def in_list(world: World, item: str, text: str, separator: str) -> int:
    """1 where a list has the item, else -1; white space around items does not count."""
    if not item or not text or not separator:
        return -1
    return 1 if item in _items(text, separator) else -1


@model("textops")
def in_list_prefix(world: World, item: str, text: str, separator: str) -> int:
    """1 where the item starts with something of the list, else -1."""
    if not item or not text or not separator:
        return -1
    return 1 if any(one and item.startswith(one) for one in _items(text, separator)) else -1


@model("textops")
def regex_substring(
    world: World, text: str, pattern: str, index: int, count: int, target: str
) -> int:
    """Write a group of a match to a variable.

    Returns:
        1; -2 where the text does not match; -1 for a bad index, pattern or variable, or where the
        group is empty.
    """
    variable = pv.lookup(world, target)
    if index > count - 1 or variable is None or variable.variable.set is None:
        return -1
    try:
        match = regex.compiled(pattern, newline=False).search(text)
    except regex.BadRegex as error:
        world.say(-1, f"textops: {error}")
        return -1
    if match is None:
        return -2
    group = match[index] if 0 <= index <= match.re.groups else None
    if not group:
        return -1
    pv.put(world, target, group)
    return 1
