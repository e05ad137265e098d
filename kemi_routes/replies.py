"""Final replies of our own."""

from __future__ import annotations

import KSR

from kemi_routes.outcome import DONE, Outcome


def answer(code: int, reason: str) -> Outcome:
    """Send a final reply, without a transaction; the request is done with."""
    KSR.sl.sl_send_reply(code, reason)
    return DONE
