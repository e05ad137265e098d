"""The lists behind `$avp`, `$xavp` and `$xavi` (core/usr_avp.c, core/xavp.c).

They belong to the message, and a transaction keeps those of its request: whoever routes another
message for that transaction gives it the same lists with `share`.
"""

from __future__ import annotations

from typing import cast

import attrs

from ksr_stub.message import SipMessage, Socket


@attrs.define(eq=False)
class Entry:
    """A name with a value: an int, a str, a list of further entries, or one of our sockets."""

    name: str
    value: str | int | XList | Socket

    def shown(self) -> str | int:
        """The value as a variable shows it; a list shows where it lies in memory."""
        if isinstance(self.value, XList):
            return f"<<xavp:{hex(id(self.value))}>>"
        if isinstance(self.value, Socket):
            return f"<<ptr:{hex(id(self.value))}>>"
        return self.value


@attrs.define(eq=False)
class XList:
    """Entries, the newest first. Names of `$xavi` are compared without case."""

    entries: list[Entry] = attrs.Factory(list)
    ignore_case: bool = False

    def like(self, entries: list[Entry]) -> XList:
        """Another list of the same kind."""
        return XList(entries, self.ignore_case)

    def all(self, name: str) -> list[Entry]:
        """All entries of a name."""
        return [one for one in self.entries if self._same(one.name, name)]

    def count(self, name: str) -> int:
        """How many entries have a name."""
        return len(self.all(name))

    def at(self, name: str, index: int) -> Entry | None:
        """The entry of a name with an index from the newest on."""
        found = self.all(name)
        return found[index] if 0 <= index < len(found) else None

    def add(self, name: str, value: str | int | XList) -> None:
        """Put an entry before the others."""
        self.entries.insert(0, Entry(name, value))

    def add_last(self, name: str, value: str | int | XList | Socket) -> None:
        """Put an entry behind the last one of its name, the first of a name before all."""
        same = self.all(name)
        place = self.entries.index(same[-1]) + 1 if same else 0
        self.entries.insert(place, Entry(name, value))

    def put(self, name: str, index: int, value: str | int | XList) -> bool:
        """Give the entry with an index another value.

        Returns:
            False where there is no such entry.
        """
        found = self.at(name, index)
        if found is None:
            return False
        found.value = value
        return True

    def remove(self, name: str, index: int = 0) -> bool:
        """Take an entry out; False where there is none."""
        found = self.at(name, index)
        if found is None:
            return False
        self.entries.remove(found)
        return True

    def remove_all(self, name: str) -> int:
        """Take all entries of a name out; how many there were."""
        found = self.all(name)
        self.entries = [one for one in self.entries if one not in found]
        return len(found)

    def _same(self, one: str, other: str) -> bool:
        return one.lower() == other.lower() if self.ignore_case else one == other


@attrs.define(eq=False)
class Lists:
    """All lists of one message."""

    avps: dict[str | int, list[str | int]] = attrs.Factory(dict)
    xavp: XList = attrs.Factory(XList)
    xavi: XList = attrs.Factory(lambda: XList(ignore_case=True))


def of(message: SipMessage) -> Lists:
    """The lists of a message."""
    return cast("Lists", message.notes.setdefault("avps", Lists()))


def share(owner: SipMessage, message: SipMessage) -> None:
    """Let a message have the lists of another one, as replies have those of their request."""
    message.notes["avps"] = of(owner)
