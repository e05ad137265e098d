"""A phone that registers as it did the last time: only its password is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .challenges import answer, by_hand, is_stale, make, prove, register, repeat
from .message import Message
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .server import DOMAIN, Server

PASSWORD = "secret of 1111"
URI = f"sip:{DOMAIN}"
AOR = f"sip:1111@{DOMAIN}"


@pytest.fixture(scope="module")
def shared(host: Namespace) -> Server:
    """One server with one subscriber."""
    server = Server(host)
    server.add_subscriber(f"1111@{DOMAIN}", PASSWORD)
    # until then nothing is kept in memory, and who is kept there first goes the whole way once
    server.wait_for_timers()
    return server


@pytest.fixture
def phone(shared: Server, host: Namespace) -> Iterator[Phone]:
    """A phone of 1111, registered; the test answers its challenges."""
    phone = by_hand(shared, host)
    assert registered(phone)[1].status == 200
    yield phone
    shared.kamcmd("ul.rm", "location", f"1111@{DOMAIN}")
    phone.close()


def registered(phone: Phone, password: str = PASSWORD) -> tuple[Message, Message]:
    """A REGISTER with credentials, and its answer."""
    _, request, final = prove(phone, password)
    return request, final


def kept(server: Server) -> bool:
    """Whether it is kept what the phone has said."""
    return AOR in server.kamcmd("htable.dump", "renewals")


def left(server: Server) -> int:
    """Seconds until the binding ends."""
    found = re.search(r"Expires: (\d+)", server.kamcmd("ul.lookup", "location", f"1111@{DOMAIN}"))
    assert found is not None
    return int(found[1])


def test_a_phone_renews_its_binding(shared: Server, phone: Phone) -> None:
    before = shared.bindings("1111")
    granted = left(shared)
    assert kept(shared)
    eventually(lambda: left(shared) < granted, "a second")
    assert registered(phone)[1].status == 200
    assert (shared.bindings("1111"), left(shared)) == (before, granted)


def test_credentials_that_were_never_used_can_only_prolong_the_binding(
    shared: Server, phone: Phone
) -> None:
    """A nonce is bound to Call-ID and address. From the phone's own address and port, with what the
    phone itself has said, that does not matter."""
    before = shared.bindings("1111")
    given = answer(register(phone), "1111", PASSWORD)
    elsewhere = make(phone, "REGISTER", URI, given, to=f"<{phone.aor}>", call_id="another")
    elsewhere.fields = [
        (name, "<sip:1111@127.0.0.1:9>" if name == "Contact" else value)
        for name, value in elsewhere.fields
    ]
    assert is_stale(phone.start(elsewhere).final())
    assert register(phone, given, call_id="a third").status == 200
    assert shared.bindings("1111") == before


def test_a_repeated_renewal_is_answered_again_and_prolongs_nothing(
    shared: Server, phone: Phone
) -> None:
    """RFC 3261 17.1.2: over UDP a phone repeats a request until it hears the answer."""
    request, _ = registered(phone)
    granted = left(shared)
    eventually(lambda: left(shared) < granted, "a second")
    assert repeat(phone, request).status == 200
    assert left(shared) < granted


def test_an_older_renewal_changes_nothing(shared: Server, phone: Phone) -> None:
    """Its credentials are used up, and it is no repetition of the last one."""
    older, _ = registered(phone)
    assert registered(phone)[1].status == 200
    granted = left(shared)
    eventually(lambda: left(shared) < granted, "a second")
    assert repeat(phone, older).status in (400, 401)
    assert left(shared) < granted


def test_a_wrong_password_is_as_wrong_as_ever(shared: Server, phone: Phone) -> None:
    since = shared.mark()
    assert registered(phone, "wrong")[1].status == 401
    shared.wait_for_log(r"1111 from 127\.0\.0\.1:\d+ not authenticated \(-2\)", since=since)
    assert not kept(shared)
    assert registered(phone)[1].status == 200


def test_a_binding_that_an_operator_has_removed_comes_back(shared: Server, phone: Phone) -> None:
    before = shared.bindings("1111")
    shared.kamcmd("ul.rm", "location", f"1111@{DOMAIN}")
    assert shared.bindings("1111") == []
    assert registered(phone)[1].status == 200
    assert shared.bindings("1111") == before


def test_a_reload_of_the_routes_forgets_what_was_said(shared: Server, phone: Phone) -> None:
    assert kept(shared)
    shared.kamcmd("app_python.reload")
    # each worker has them with its next request
    eventually(lambda: register(phone).status == 401 and not kept(shared), "new routes")
    assert registered(phone)[1].status == 200
