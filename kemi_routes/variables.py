"""Several pseudo-variables by one call: a call from Python costs as much as reading five more.

`$_s()` puts texts with variables in them together in C.
"""

from __future__ import annotations

from collections.abc import Callable

import KSR

NULL = "<null>"  # what Kamailio writes for a variable without a value, as `KSR.pv.getw` does
BETWEEN = "\x1f"  # ASCII's unit separator, which no header may have


def together(*names: str) -> str:
    """One variable that has the values of others in it, with BETWEEN between them."""
    return f"$_s({BETWEEN.join(names)})"


def read_plain(everything: str) -> str:
    """The value of such a variable; '' where it is too long to be read in one go, or no UTF-8."""
    try:
        return KSR.pv.gete(everything)
    except UnicodeDecodeError:
        return ""


def reader(*names: str) -> Callable[[], list[str]]:
    """A function that reads variables which are needed together.

    Args:
        names: such as `$fu`.
    Returns:
        It gives their values for the message that is routed, as texts, and NULL for one that has
        none; it raises UnicodeDecodeError where one is no UTF-8.
    """
    all_of_them = together(*names)

    def read() -> list[str]:
        values = KSR.pv.gete(all_of_them).split(BETWEEN)
        if len(values) == len(names):
            return values
        # a value has the separator in it, or they are too long together (pv_buffer_size)
        return [str(KSR.pv.getw(name)) for name in names]

    return read
