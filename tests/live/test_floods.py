"""Guesses, scans and floods: who sends them is refused or not heard, and all others are served."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

from .challenges import answer, register
from .conversation import PATIENCE
from .digest import credentials
from .homes import Homes
from .link import RawSocket
from .message import Message
from .network import Namespace
from .phone import Phone
from .server import LAUNCHER, Server

FLOODER = "203.0.113.70"
DOMAIN = "example.test"


@pytest.fixture(autouse=True)
def no_guesses(homes: Homes) -> None:
    """Nobody has guessed yet."""
    homes.server.kamcmd("htable.flush", "guesses")


@pytest.fixture
def flooder(homes: Homes) -> Iterator[RawSocket]:
    """A host with nothing good in mind."""
    raw = RawSocket(homes.public_host(FLOODER), (FLOODER, 0))
    yield raw
    raw.close()


def guess(host: Namespace, user: str, count: int) -> list[int]:
    """The answers to so many wrong passwords, from one port."""
    phone = Phone(host, user, DOMAIN, "wrong", local=(host.address, 0))
    answers = [phone.register().status for _ in range(count)]
    phone.close()
    return answers


# Guesses


def test_ten_wrong_passwords_are_looked_at_and_no_more(homes: Homes) -> None:
    homes.server.add_subscriber(f"4001@{DOMAIN}", "right")
    host = homes.public_host(FLOODER)
    assert guess(host, "4001", 13) == [401] * 10 + [403] * 3
    right = Phone(host, "4001", DOMAIN, "right", local=(FLOODER, 0))
    assert right.register().status == 403, "it is not even tried"
    right.close()


def test_guesses_from_many_addresses_count_for_the_account(homes: Homes) -> None:
    homes.server.add_subscriber(f"4002@{DOMAIN}", "right")
    answers = [
        answer
        for i in range(3)
        for answer in guess(homes.public_host(f"203.0.113.7{i}"), "4002", 4)
    ]
    assert answers == [401] * 10 + [403] * 2


def test_a_guess_counts_for_the_account_however_it_is_written(homes: Homes) -> None:
    """auth_db takes all of these for one, and each could be written for the first time."""
    homes.server.add_subscriber(f"4005@{DOMAIN}", "right")
    phone = by_hand(homes, "203.0.113.73", "4005")
    names = [f"{scheme}4005@{DOMAIN}" for scheme in ("", "sip:", *(f"{i}:" for i in range(10)))]
    statuses = [challenged(phone, name, "wrong").status for name in names]
    assert statuses == [401] * 10 + [403] * 2
    phone.close()


def test_a_phone_that_moves_is_not_locked_out_by_who_guesses_elsewhere(homes: Homes) -> None:
    """It keeps its Call-ID: nobody else knows that."""
    homes.server.add_subscriber(f"4006@{DOMAIN}", "right")
    before, after = (by_hand(homes, f"203.0.113.{host}", "4006") for host in (74, 75))
    assert challenged(before, "4006", "right", "its own").status == 200
    assert guess(homes.public_host(FLOODER), "4006", 12)[-1] == 403
    assert challenged(after, "4006", "right", "another").status == 403
    assert challenged(after, "4006", "right", "its own").status == 200
    for phone in (before, after):
        phone.close()


def by_hand(homes: Homes, address: str, user: str) -> Phone:
    """A phone whose challenges the test answers."""
    host = homes.public_host(address)
    return Phone(host, user, DOMAIN, None, local=(address, 0))


def challenged(phone: Phone, name: str, password: str, call_id: str = "one") -> Message:
    """The answer to a REGISTER with these credentials for its challenge."""
    asked = register(phone, call_id=call_id)
    return register(phone, answer(asked, name, password), call_id=call_id)


def test_the_accounts_own_phone_is_served_while_somebody_behind_its_nat_guesses(
    homes: Homes, alice: Phone, bob: Phone
) -> None:
    guess(homes.host("home", "192.168.0.104"), alice.user, 12)
    assert alice.register().status == 200
    call = alice.invite(bob.aor)
    bob.expect_request("INVITE", PATIENCE).reply(486)
    call.wait_for(486, PATIENCE)


def test_the_neighbours_behind_the_same_nat_are_served(homes: Homes, alice: Phone) -> None:
    guess(homes.host("home", "192.168.0.104"), alice.user, 12)
    with homes.phone("home", "4003", address="192.168.0.105") as neighbour:
        assert neighbour.register().status == 200


def test_an_address_that_tries_many_names_is_locked_out_but_for_its_phones(
    homes: Homes, alice: Phone
) -> None:
    host = homes.host("home", "192.168.0.104")
    answers = [answer for i in range(103) for answer in guess(host, str(7000 + i), 1)]
    assert answers.count(401) <= 100
    assert answers[-3:] == [403] * 3
    assert alice.register().status == 200


# Scans


@pytest.mark.parametrize(
    "agent",
    ["friendly-scanner", "FRIENDLY-Scanner", "SIPVicious 0.3", "sipCLI/v1.8", "x\udcffsipcli"],
)
@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE"])
def test_a_scanner_hears_nothing(flooder: RawSocket, method: str, agent: str) -> None:
    flooder.send(packet(method, flooder, agent=agent))
    flooder.send(packet("OPTIONS", flooder, agent="A phone", number=2))
    answer = flooder.receive()
    assert (answer.status, answer["CSeq"].split()[0]) == (200, "2")


# Floods


def test_a_flood_is_dropped_while_the_phones_are_served(
    homes: Homes, flooder: RawSocket, alice: Phone, bob: Phone
) -> None:
    sent = flood(homes.server, flooder)
    assert alice.register(timeout=PATIENCE).status == 200
    alice.request("MESSAGE", bob.aor, "hello", {"Content-Type": "text/plain"})
    bob.expect_request("MESSAGE", PATIENCE).reply(200)
    assert len(heard(flooder)) < sent


def test_a_phone_is_served_while_another_device_behind_its_nat_floods(
    homes: Homes, alice: Phone, bob: Phone
) -> None:
    host = homes.host("home", "192.168.0.104")
    flooder = RawSocket(host, (host.address, 0))
    flood(homes.server, flooder)
    assert alice.register(timeout=PATIENCE).status == 200
    alice.request("MESSAGE", bob.aor, "hello", {"Content-Type": "text/plain"})
    bob.expect_request("MESSAGE", PATIENCE).reply(200)
    flooder.close()


def test_three_hundred_phones_behind_one_address_register_at_once(homes: Homes) -> None:
    """As after a power failure: each is challenged, and none is taken for a flood."""
    homes.server.add_subscriber(f"4300@{DOMAIN}", "right")
    host = homes.public_host("203.0.113.90")
    links = [RawSocket(host, (host.address, 20000 + i)) for i in range(300)]
    before = homes.server.mark()
    challenges = converse({link: registration(link, i) for i, link in enumerate(links)})
    assert {challenge.status for challenge in challenges.values()} == {401}
    proofs = {link: registration(link, i, challenges[link]) for i, link in enumerate(links)}
    assert {answer.status for answer in converse(proofs).values()} == {200}
    said = "\n".join(homes.server.process.lines[before:])
    assert "PIKE - BLOCKing" not in said
    assert "unable to get pv value" not in said, "a query has no Contact"
    for link in links:
        link.close()


def converse(requests: Mapping[RawSocket, bytes]) -> dict[RawSocket, Message]:
    """Send all of these at once, and again what is not answered (RFC 3261 17.1.2); the answers."""
    answers: dict[RawSocket, Message] = {}
    for _ in range(10):
        waiting = [link for link in requests if link not in answers]
        for link in waiting:
            link.send(requests[link])
        for link in waiting:
            with suppress(TimeoutError):
                answers[link] = link.receive(0.5)
    left = [link.local for link in requests if link not in answers]
    assert not left
    return answers


def registration(link: RawSocket, number: int, challenge: Message | None = None) -> bytes:
    """A phone asks what is registered: what a REGISTER costs, without 300 subscribers."""
    proof = ""
    if challenge:
        value = credentials(
            challenge["WWW-Authenticate"], "REGISTER", f"sip:{DOMAIN}", "4300", "right"
        )
        proof = f"Authorization: {value}\r\n"
    return packet("REGISTER", link, "4300", number=number, more=proof)


def packet(
    method: str,
    link: RawSocket,
    user: str = "1111",
    agent: str = "A phone",
    number: int = 1,
    more: str = "",
) -> bytes:
    """A request of a phone of ours, with a Call-ID and a branch of its own."""
    host, port = link.local
    lines = [
        f"{method} sip:{DOMAIN} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{port}x{number}x{len(more)}",
        f"From: <sip:{user}@{DOMAIN}>;tag={number}",
        f"To: <sip:{user}@{DOMAIN}>",
        f"Call-ID: {port}x{number}",
        f"CSeq: {number} {method}",
        f"User-Agent: {agent}",
        "Max-Forwards: 70",
        f"{more}Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def flood(server: Server, flooder: RawSocket) -> int:
    """Send as fast as it goes until the server says that it is too much, and then 500 more; the
    number of packets. How many it takes depends on the machine: MAX_RATE is for a second."""
    before = server.mark()
    for number in range(1, 100_000):
        flooder.send(packet("REGISTER", flooder, number=number))
        if number % 500 == 0:
            with suppress(AssertionError):
                server.wait_for_log("PIKE - BLOCKing", timeout=0.02, since=before)
                break
    for i in range(500):
        flooder.send(packet("REGISTER", flooder, number=number + i))
    return number + 500


def heard(flooder: RawSocket) -> list[int]:
    """The statuses of all that came back."""
    found: list[int] = []
    while True:
        try:
            found.append(flooder.receive(0.5).status)
        except TimeoutError:
            return found


# The log


@pytest.mark.parametrize("form", ["text", "json"])
def test_packets_that_are_no_sip_do_not_fill_the_log(loopback: Namespace, form: str) -> None:
    """Kamailio logs each of them whole, on several lines."""
    server = Server(loopback, command=(LAUNCHER, "run", "--no-demo", f"--log={form}"))
    before = server.mark()
    sender = RawSocket(loopback, ("127.0.0.1", 0), server.address())
    for number in range(2000):
        broken = packet("REGISTER", sender, number=number).replace(b"From: <", b"From: <<<")
        sender.send(broken.replace(b"A phone", b"x" * 5000))
    assert set(heard(sender)) == {400}
    phone = RawSocket(loopback, ("127.0.0.1", 0), server.address())
    assert converse({phone: packet("OPTIONS", phone)})[phone].status == 200
    lines = server.process.lines[before:]
    assert max(len(line.encode()) for line in lines) < (350 if form == "text" else 900)
    assert sum(len(line.encode()) + 1 for line in lines) < 2000 * 200
    server.wait_for_log(r"\d+ lines of the log left out")
    entries = [line for line in lines if line.startswith("{")]
    assert len(entries) >= (400 if form == "json" else 0)
    assert {type(json.loads(entry)) for entry in entries} <= {dict}
