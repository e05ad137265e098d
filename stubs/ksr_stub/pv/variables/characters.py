"""Characters that are awkward in a string of a configuration file: `$En`, `$Eq` (new in 6.0)."""

from __future__ import annotations

from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import variable
from ksr_stub.pv.values import Value
from ksr_stub.world import World

_CHARACTERS = {
    "Eb": "\\", "Ec": ",", "Ei": ":", "Ej": ";", "Ek": "'", "En": "\n", "Eq": '"', "Er": "\r",
    "Es": " ", "Et": "\t", "Ev": "`",
}  # fmt: skip


def _provide(name: str, character: str) -> None:
    @variable(name)
    def get(world: World, inner: object, index: Index) -> Value:
        return character


for _name, _character in _CHARACTERS.items():
    _provide(_name, _character)
