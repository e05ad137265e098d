"""Return codes that refuse to be truth values."""

from __future__ import annotations

from typing import NoReturn

from ksr_stub.errors import ReturnCodeAsTruth
from ksr_stub.world import current


class ReturnCode(int):
    """What an INT function of KSR returns: above 0 success, below 0 failure.

    In strict mode `if KSR.siputils.has_totag():` raises, because -1 is true in Python.
    """

    source: str

    def __new__(cls, value: int, source: str) -> ReturnCode:
        code = super().__new__(cls, value)
        code.source = source
        return code

    def __bool__(self) -> NoReturn:
        raise current().fault(
            ReturnCodeAsTruth(
                f"{self.source} returned {int(self)} and is used as a truth value: every return"
                f" code but 0 is true in Python, so is the failure -1. Compare it: `> 0` or `< 0`."
            )
        )
