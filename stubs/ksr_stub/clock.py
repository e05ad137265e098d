"""The time of a World: it stands still until the test moves it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import attrs


@attrs.define(eq=False)
class Timer:
    """Something that happens at a time, unless it is cancelled."""

    at: float
    action: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Let it not happen."""
        self.cancelled = True


@attrs.define(eq=False)
class Clock:
    """Seconds since the epoch, and what will happen."""

    now: float = 1_800_000_000.0
    _timers: list[tuple[float, int, Timer]] = attrs.Factory(list)
    _order: itertools.count[int] = attrs.Factory(itertools.count)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Let `action` happen in so many seconds."""
        timer = Timer(self.now + seconds, action)
        heapq.heappush(self._timers, (timer.at, next(self._order), timer))
        return timer

    def next_due(self) -> float | None:
        """When the next thing will happen, None: nothing will."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance(self, seconds: float) -> None:
        """Move the time, and let happen what is due, in order."""
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            at, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            if not timer.cancelled:
                timer.action()
        self.now = until
