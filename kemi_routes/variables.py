"""Several pseudo-variables by one call: a call from Python costs as much as reading five more.

`$_s()` puts texts with variables in them together in C.
"""

from __future__ import annotations

import KSR

NULL = "<null>"  # what Kamailio writes for a variable without a value, as `KSR.pv.getw` does
_BETWEEN = "\x1f"  # ASCII's unit separator, which no header may have


class Variables:
    """Pseudo-variables that are needed together.

    Args:
        names: such as `$fu`.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._together = f"$_s({_BETWEEN.join(names)})"

    def read(self) -> list[str]:
        """Their values for the message that is routed, as texts; NULL for one that has none.

        Raises:
            UnicodeDecodeError: one is no UTF-8.
        """
        values = KSR.pv.gete(self._together).split(_BETWEEN)
        if len(values) == len(self._names):
            return values
        # a value has the separator in it, or they are too long together (pv_buffer_size)
        return [str(KSR.pv.getw(name)) for name in self._names]
