"""One packet that becomes many, passwords guessed, and what gets lost or smuggled on the way."""

from __future__ import annotations

import re
import time

from bench.database import DOMAIN
from tests.live.call import Transaction
from tests.live.message import Message
from tests.live.phone import Phone

from .scene import NEIGHBOUR, QUIET, STRANGER, URI, Finding, Probe, Scene, received, refused, status

AMPLIFIES, GUESSES, LOSES = "amplifies", "lets guess", "loses or lets through"
MOST = 10  # requests out for one in
GUESSED = 12
PAUSE = 0.4  # seconds: what pike lets pass
PAIRS = 100
PATIENCE = 10  # seconds, until a loop counts as endless
NO_UTF8 = "caf\udce9"


# Loops


def fork_loop(scene: Scene) -> Finding:
    """A user whose two bindings both lead back to the server."""
    phone = scene.phone()
    own = f"sip:{phone.user}@127.0.0.1:{scene.server.port}"
    answered = phone.register(contact=f"<{own};n=1>, <{own};n=2>")
    if refused(answered.status):
        return Finding(True, str(answered.status))
    before, had = requests_in(scene), len(received(phone))
    scene.stranger().invite(phone.aor)
    count, over = settled(scene)
    count += sum(message.is_request for message in received(phone)[had:]) - before - 1
    words = f"{count} requests out" + ("" if over else f" in {PATIENCE} s, and no end")
    return Finding(over and count <= MOST, words)


def requests_in(scene: Scene) -> int:
    """All INVITEs that the server has received."""
    found = re.search(
        r"rcv_requests_invite = (\d+)", scene.server.ask("stats.get_statistics", "core:")
    )
    assert found is not None
    return int(found[1])


def settled(scene: Scene) -> tuple[int, bool]:
    """Their number, and whether no more come."""
    began = since = time.monotonic()
    number = requests_in(scene)
    while (now := time.monotonic()) < since + QUIET:
        if now > began + PATIENCE:
            return number, False
        time.sleep(0.1)
        if (more := requests_in(scene)) != number:
            number, since = more, time.monotonic()
    return number, True


# Passwords


def guesses(scene: Scene) -> Finding:
    """Wrong passwords until none is looked at any more: the right one is then no use, either."""
    phone = scene.phone()
    right = phone.password
    thief = scene.another(phone, NEIGHBOUR)
    for turn in range(GUESSED):
        thief.password = f"wrong {turn}"
        thief.register()
        time.sleep(PAUSE)
    thief.password = right
    found = thief.register().status
    words = f"{GUESSED} wrong ones, then the right one: {found}"
    return Finding(refused(found), words)


# Lost


def lost_between_relays(scene: Scene) -> Finding:
    """MESSAGEs to a phone and keepalives, in turn; nobody repeats anything."""
    callee, *strangers = scene.phone(), scene.stranger(), scene.stranger()
    caller, other = strangers
    assert callee.register().status == 200
    sent: list[Transaction] = []
    for _ in range(PAIRS):
        sent += [caller.request("MESSAGE", callee.aor), other.request("OPTIONS", URI)]
        take(callee)
        for transaction in sent[-2:]:
            wait(transaction)
    lost = sum(not any(r.status == 200 for r in transaction.responses) for transaction in sent)
    return Finding(lost == 0, f"{lost} of {len(sent)} lost")


def take(callee: Phone) -> None:
    """Answer what has come, if it comes."""
    try:
        callee.expect_request("MESSAGE", 1).reply(200)
    except AssertionError:
        return


def wait(transaction: Transaction) -> None:
    """Until it is answered, if it is."""
    try:
        transaction.final(1)
    except AssertionError:
        return


def no_utf8(scene: Scene) -> Finding:
    """Bytes that are no text, where phones of other countries have them."""
    phone = scene.phone()
    domain = f"<sip:stranger@elsewhere.example>;tag={phone.local[1]}"
    requests = [
        phone.make_request("OPTIONS", URI, fields=[("User-Agent", NO_UTF8)], sender=domain),
        phone.make_request("OPTIONS", URI, sender=f'"{NO_UTF8}" {domain}'),
        phone.make_request("MESSAGE", f"sip:{NO_UTF8}@{DOMAIN}", sender=STRANGER),
        phone.make_request("MESSAGE", phone.aor, sender=f"<sip:{NO_UTF8}@{DOMAIN}>;tag=1"),
        register_as(phone, [("User-Agent", NO_UTF8)]),
    ]
    lost = [status(phone, request, 3) for request in requests].count(0)
    return Finding(lost == 0, f"{lost} of {len(requests)} without an answer")


def register_as(phone: Phone, fields: list[tuple[str, str]]) -> Message:
    """A first REGISTER with these headers."""
    return phone.make_request(
        "REGISTER", URI, to=f"<{phone.aor}>", fields=[("Contact", phone.contact), *fields]
    )


# Smuggled


def bare_cr(scene: Scene) -> Finding:
    """A header line that another server may read as two."""
    phone, attacker = scene.phone(), scene.stranger()
    assert phone.register().status == 200
    request = attacker.make_request("MESSAGE", phone.aor, fields=[("Subject", "a\rRoute: b")])
    answered = attacker.start(request)
    try:
        phone.expect_request("MESSAGE", 2)
    except AssertionError:
        return Finding(True, str(answered.final().status))
    return Finding(False, "passed on")


def expires_wraps(scene: Scene) -> Finding:
    """The lower 32 bits of this time are 0, which takes the binding away."""
    phone = scene.phone()
    assert phone.register().status == 200
    found = phone.register(expires=None, headers={"Expires": "4294967296"}).status
    before = len(received(phone))
    scene.stranger().request("MESSAGE", phone.aor)
    take(phone)
    bound = any(message.is_request for message in received(phone)[before:])
    return Finding(bound, str(found) if bound else f"{found}, binding gone")


PROBES = (
    Probe(GUESSES, f"{GUESSED} wrong passwords", guesses),
    Probe(LOSES, f"{PAIRS} relays between {PAIRS} OPTIONS", lost_between_relays),
    Probe(LOSES, "headers that are no UTF-8", no_utf8),
    Probe(LOSES, "a bare CR in a header", bare_cr),
    Probe(LOSES, "Expires: 4294967296", expires_wraps),
)
# A server that loops is of no use for any other probe.
LAST = (Probe(AMPLIFIES, "two bindings that lead back to the server", fork_loop),)
