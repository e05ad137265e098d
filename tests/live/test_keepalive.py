"""Pings keep the hole in the NAT open, and show which phones are gone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from .homes import PRIVATE
from .message import address_uri
from .phone import Phone
from .town import Town, contacts, open_town, rings, source_seen

INTERVAL, TIMEOUT = 1, 3
EXPIRES_AFTER = 10  # seconds that Kamailio leaves a binding whose phone does not answer
SETTINGS = {
    "PING_INTERVAL": str(INTERVAL),
    "PING_TIMEOUT": str(TIMEOUT),
    "PING_FROM": "sip:pinger@example.test",
}


@pytest.fixture
def town() -> Iterator[Town]:
    with open_town(SETTINGS) as town:
        yield town


def registered(phone: Phone) -> Phone:
    assert phone.register().status == 200
    return phone


def test_a_phone_behind_nat_is_pinged_at_its_public_place_once_an_interval(town: Town) -> None:
    phone = registered(town.phone_at_home())
    first = phone.wait_for_pings(1, timeout=INTERVAL + 2)[0]
    started = time.monotonic()
    phone.wait_for_pings(4, timeout=3 * INTERVAL + 3)
    assert time.monotonic() - started > 2 * INTERVAL
    assert address_uri(first["From"]) == SETTINGS["PING_FROM"]
    phone.unregister()
    assert contacts(phone.register()) == town.server.bindings(phone.user)
    phone.wait_for_pings(len(phone.pings) + 2)


def test_a_phone_without_nat_is_not_pinged(town: Town) -> None:
    public, neighbour = town.public_phone(), town.phone_at_home()
    registered(public)
    registered(neighbour).wait_for_pings(3)
    assert public.pings == []
    assert len(town.server.bindings(public.user)) == 1


def test_pings_keep_a_hole_open_that_the_nat_would_close(town: Town) -> None:
    nat = town.nat()
    nat.set_udp_timeout(INTERVAL + 1)
    phone = registered(town.phone_at_home(nat=nat))
    phone.wait_for_pings(5)
    rings(town.caller(), [phone], phone.user)


def test_phones_that_do_not_answer_lose_their_bindings_and_the_log_says_so(town: Town) -> None:
    """A phone that answers keeps its own; a public one, which is never asked, does too."""
    answering, public = registered(town.phone_at_home()), town.public_phone()
    nat = town.nat()
    silent, moved = town.phone_at_home(), town.phone_at_home(nat=nat)
    silent.answer_pings = public.answer_pings = False
    registered(public)
    places, started = [source_seen(phone.register()) for phone in (silent, moved)], time.monotonic()
    nat.rebind()
    for lost, place in zip((silent, moved), places, strict=True):
        binding = f"sip:{lost.user}@{PRIVATE}:5060;alias={place[0]}~{place[1]}~1"
        expected = re.escape(f"{lost.user}@example.test {binding}")
        town.server.wait_for_log(f"binding removed, .*: {expected}", TIMEOUT + EXPIRES_AFTER + 15)
        assert town.server.bindings(lost.user) == []
        town.caller().invite(lost.user).wait_for(480)
    assert time.monotonic() - started > TIMEOUT
    for phone in (answering, public):
        assert len(town.server.bindings(phone.user)) == 1
        rings(town.caller(), [phone], phone.user)


def test_phones_that_register_one_after_another_are_all_pinged_and_all_stay(town: Town) -> None:
    """nathelper's pings left out whole rounds while the bindings became more."""
    phones: list[Phone] = []
    for _ in range(4):
        phones.append(registered(town.phone_at_home()))
        phones[-1].wait_for_pings(2, timeout=TIMEOUT + 1)
    for phone in phones:
        phone.pings.clear()
    for phone in phones:
        phone.wait_for_pings(TIMEOUT + 1, timeout=2 * TIMEOUT + 2)
    assert [len(town.server.bindings(phone.user)) for phone in phones] == [1] * 4


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_the_kernel_keeps_the_connection_of_a_phone_open(town: Town, transport: str) -> None:
    """Pings go over UDP only, and NATs forget an idle connection after some minutes."""
    phone = town.phone_at_home(transport=transport)
    address, port = source_seen(phone.register())
    deadline = time.monotonic() + 10
    while True:  # the timer is another one until the 200 has been acknowledged
        found = town.server.host.run("ss", "-Htno", "dst", f"{address}:{port}")
        left = re.search(r"timer:\(keepalive,(?:(\d+)min)?(\d+)?sec", found)
        if left or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert left, found
    assert int(left[1] or 0) * 60 + int(left[2] or 0) <= 60
