"""The database is locked, and then away. These come last: each takes the ground from a server."""

from __future__ import annotations

from bench.database import connect
from tests.live.message import Message
from tests.live.patience import eventually
from tests.live.phone import Phone

from .scene import URI, Finding, Probe, Scene, status

GROUP = "suffers from its database"
REGISTERING = 24
ASKED = 5
PATIENCE = 1.0


def locked(scene: Scene) -> Finding:
    """Phones that were never here register while nobody may read the table of subscribers."""
    stranger = scene.stranger()
    with connect(scene.postgres.url) as connection, connection.transaction():
        connection.execute("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE")
        for phone in [scene.phone() for _ in range(REGISTERING)]:
            if not challenged(phone):
                break
        asked = [stranger.make_request("OPTIONS", URI) for _ in range(ASKED)]
        answered = [status(stranger, request, PATIENCE) for request in asked].count(200)
    return Finding(answered == ASKED, f"{answered} of {ASKED} OPTIONS answered within 1 s")


def away(scene: Scene) -> Finding:
    """A phone with the right password, and PostgreSQL has stopped."""
    phone = scene.phone()
    scene.postgres.stop(immediate=True)
    try:
        found = status(phone, first_register(phone), 15)
    finally:
        scene.postgres.start()
    eventually(lambda: scene.phone().register().status == 200, "registration afterwards", 10)
    return Finding(found == 503, str(found or "no answer"))


def first_register(phone: Phone) -> Message:
    """A REGISTER without credentials."""
    fields = [("Contact", phone.contact)]
    return phone.make_request("REGISTER", URI, to=f"<{phone.aor}>", fields=fields)


def challenged(phone: Phone) -> bool:
    """Whether there is a worker left that challenges a phone, which answers."""
    sent = phone.start(first_register(phone))
    try:
        phone.wait_until(lambda: sent.challenges or sent.responses or None, PATIENCE, "challenge")
    except AssertionError:
        return False
    return True


PROBES = (
    Probe(GROUP, f"OPTIONS, while {REGISTERING} phones register and the table is locked", locked),
    Probe(GROUP, "REGISTER with the right password, database down", away),
)
