"""Our own routes on the stub: who guesses passwords."""

from __future__ import annotations

import pytest
from ksr_stub import digest
from ksr_stub.builders import register
from ksr_stub.harness import Ksr

from kemi_routes import bans

from .own_routes import alice, bob, count_apart, start

Address = tuple[str, int]


@pytest.fixture
def server(ksr: Ksr, monkeypatch: pytest.MonkeyPatch) -> Ksr:
    ksr.listen("udp:203.0.113.10:5060", "udp:[2001:db8:113::10]:5060")
    start(ksr)
    count_apart(monkeypatch)
    return ksr


def guess(server: Ksr, user: str, address: str, port: int = 7777) -> int:
    """The status that a wrong password gets."""
    return server.phone(user, "wrong", source=(address, port)).register().status


def test_ten_wrong_passwords_are_looked_at_and_no_more(server: Ksr) -> None:
    answers = [guess(server, "1111", "198.51.100.66") for _ in range(12)]
    assert answers == [401] * 10 + [403] * 2
    server.clock.advance(301)
    assert guess(server, "1111", "198.51.100.66") == 401


def test_guesses_from_many_addresses_count_for_the_account(server: Ksr) -> None:
    answers = [guess(server, "1111", f"198.51.100.{i}") for i in range(12)]
    assert answers == [401] * 10 + [403] * 2


def test_guesses_from_many_addresses_of_one_ipv6_network_count_as_one(server: Ksr) -> None:
    """For many accounts: a hundred."""
    answers = [guess(server, str(3000 + i), f"2001:db8:5:0:{i:x}::1") for i in range(102)]
    assert answers == [401] * 100 + [403] * 2
    assert guess(server, "3200", "2001:db8:5:1::1") == 401


@pytest.mark.parametrize(
    "name", ["1111@example.test", "1111@EXAMPLE.test", "sip:1111@example.test"]
)
def test_a_guess_counts_for_the_account_however_it_is_written(server: Ksr, name: str) -> None:
    """auth_db takes all of these for one."""
    for i in range(10):
        guess(server, "1111", f"198.51.100.{i}")
    assert prove(server, name, "guess", ("198.51.100.66", 7777)) == 403


def prove(server: Ksr, name: str, password: str, source: Address, call_id: str = "one") -> int:
    """The status for 1111 with these credentials."""
    asked = server.receive(register("1111", call_id=call_id), source)
    challenge = asked.reply["WWW-Authenticate"]
    given = digest.credentials(challenge, "REGISTER", "sip:example.test", name, password)
    data = register("1111", call_id=call_id, headers={"Authorization": given})
    return server.receive(data, source).reply.status


def test_a_phone_that_moves_is_not_locked_out_by_who_guesses_elsewhere(server: Ksr) -> None:
    """It keeps the Call-ID of its binding; whoever has seen that has ten guesses, too."""
    here, there = ("203.0.113.5", 40123), ("192.0.2.99", 40123)
    assert prove(server, "1111", "first secret", here, "own") == 200
    for i in range(12):
        guess(server, "1111", f"198.51.100.{i}")
    assert prove(server, "1111", "first secret", there, "another") == 403
    assert prove(server, "1111", "first secret", there, "own") == 200
    sniffed = [prove(server, "1111", "guess", (f"198.51.100.{i}", 9), "own") for i in range(60, 72)]
    assert sniffed == [401] * 10 + [403] * 2
    assert prove(server, "1111", "first secret", there, "own") == 200, "it has a binding there now"


def test_neither_the_phone_nor_its_neighbours_are_locked_out(server: Ksr) -> None:
    """The guesser is behind the same NAT, at another port."""
    phone = alice(server)
    assert phone.register().status == 200
    for _ in range(12):
        guess(server, "1111", phone.source[0])
    assert phone.register().status == 200
    neighbour = server.phone("2222", "second secret", source=(phone.source[0], 40999))
    assert neighbour.register().status == 200


def test_the_right_password_is_no_use_after_too_many_wrong_ones(server: Ksr) -> None:
    for _ in range(10):
        guess(server, "1111", "198.51.100.66")
    guesser = server.phone("1111", "first secret", source=("198.51.100.66", 7777))
    assert guesser.register().status == 403


def test_an_address_that_guesses_for_many_accounts_is_locked_out(server: Ksr) -> None:
    """A registered phone behind the same NAT is not."""
    phone = bob(server)
    phone.register()
    answers = [guess(server, str(3000 + i), phone.source[0]) for i in range(102)]
    assert answers == [401] * 100 + [403] * 2
    assert phone.register().status == 200


@pytest.mark.parametrize(
    ("binding", "port", "holds"),
    [
        *(("sip:1@192.168.0.2:5060;alias=203.0.113.5~4000~1", 4000, True),),
        *(("sip:1@192.168.0.2:5060;alias=203.0.113.5~4000~1", 4001, False),),
        *(("sip:1@203.0.113.5:5060;alias=203.0.113.6~5060~1", 5060, False),),
        *(("sip:1@203.0.113.5", 5060, True), ("sip:203.0.113.5:99;ob", 99, True)),
        *(("sip:1@203.0.113.5:4000", None, True), ("sip:1@[2001:db8::5]:4000", None, False)),
        ("sip:1@phone.example:5060", 5060, False),
    ],
)
def test_whether_a_binding_is_at_an_address(binding: str, port: int | None, holds: bool) -> None:
    assert bans.is_place_of(binding, "203.0.113.5", port) is holds


def test_a_binding_at_an_ipv6_address() -> None:
    assert bans.is_place_of("sip:1@[2001:db8::5]:4000", "2001:db8::5", 4000)
    assert bans.is_place_of("sip:1@[2001:db8::5]", "2001:db8::5", 5060)
    assert bans.is_place_of("sip:1@[fd00::1]:5060;alias=[2001:db8::5]~9~1", "2001:db8::5", 9)
