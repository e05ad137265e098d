"""The process that hears which subscribers change, and makes the workers forget them.

Kamailio's module rtimer calls `tick` twice a second, in a process of its own. As long as this
process sees every change it says so in shared memory, each time for a moment only: when it hangs
or ends, the workers ask the database again.

It also brings the credentials of those who have a binding: after a start all of them register
again, each of whom would ask the database.
"""

from __future__ import annotations

import secrets
import time

import attrs
import KSR

from kemi_routes import ha1, settings
from kemi_routes.subscribers.errors import StoreError
from kemi_routes.subscribers.revocation import Changes, Unanswered, open_changes

# Seconds for which an outage counts without being seen again: longer than a try to connect.
OUTAGE_SEEN = 8
LOADING = 0.2  # seconds of each half that may be spent on bringing credentials


@attrs.define(eq=False)
class Listener:
    """What this process knows from one tick to the next."""

    changes: Changes | None = None
    said: str = ""
    loaded: int | None = None  # the id of the last subscriber brought; None: there are no more
    generation: int = attrs.Factory(lambda: secrets.randbelow(1 << 30))

    def tick(self) -> None:
        """Hear what has changed, and let the workers use the rest for another moment."""
        was_open = self.changes is not None
        if not self._hear() and was_open:
            self._hear()  # a connection that broke is no outage yet

    def _hear(self) -> bool:
        try:
            if self.changes is None:
                self.changes = open_changes(settings.active.dburl)
            keys = self.changes.poll()
        except Unanswered as error:
            self._close()
            self._outage(str(error))
            return False
        except StoreError as error:
            self._close()
            ha1.distrust()
            self._say(f"every request asks the database for now: {error}")
            return False
        self._revoke(keys, self.changes)
        self._load(self.changes)
        return True

    def _revoke(self, keys: list[str] | None, changes: Changes) -> None:
        ha1.end_outage()
        keep = ha1.DAY if changes.announced else ha1.MOMENT
        if keys is None or keys:
            self.generation += 1
        # before anything is removed: see ha1.check
        ha1.trust(keep, self.generation, ha1.MOMENT)
        if keys is None:
            ha1.forget_all()
            self.loaded = 0 if changes.announced else None
            self._say(changes.describe())
        else:
            ha1.forget(keys)

    def _load(self, changes: Changes) -> None:
        """Bring the credentials of more of those who have a binding."""
        until = time.monotonic() + LOADING
        try:
            while self.loaded is not None and time.monotonic() < until:
                found = changes.registered(self.loaded)
                self.loaded = found[-1].id if found else None
                if not ha1.load(((row.key, row.ha1) for row in found), ha1.DAY):
                    raise StoreError("SHM_MEMORY is too small for all")
        except (Unanswered, StoreError) as error:
            self.loaded = None
            KSR.notice(f"kemi-routes: credentials are read when they are needed: {error}\n")

    def _outage(self, reason: str) -> None:
        limit = settings.active.credentials_outage
        now = KSR.pv.getvn("$TS", 0)
        if now - ha1.begin_outage(now) < limit:
            ha1.trust(0, self.generation, OUTAGE_SEEN)
            self._say(f"known subscribers are served for {limit} s without the database: {reason}")
        else:
            ha1.distrust()
            self._say(
                f"known subscribers have been served for {limit} s, now they wait as well: {reason}"
            )

    def _close(self) -> None:
        if self.changes is not None:
            self.changes.close()
            self.changes = None

    def _say(self, text: str) -> None:
        if text != self.said:
            self.said = text
            KSR.notice(f"kemi-routes: {text}\n")


_listener = Listener()


def tick() -> None:
    """Twice a second; an unexpected exception ends the workers' trust and starts all over."""
    global _listener
    if not settings.active.credentials_cache:
        return
    try:
        _listener.tick()
    except Exception:
        _listener = Listener()
        ha1.distrust()
        raise
