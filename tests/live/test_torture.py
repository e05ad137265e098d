"""RFC 4475 and RFC 5118: what a phone behind NAT hears when it sends the torture messages.

Their Via names hosts that do not exist: an answer is heard only if it goes to where the message
came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ..torture import (
    ANSWERS,
    DOMAINS,
    DROPPED_BY_THE_CORE,
    IPV6_ANSWERS,
    REGISTRATIONS,
    RESPONSES,
    RFC4475,
    RFC5118,
    as_sent,
)
from .digest import credentials
from .homes import PRIVATE
from .message import Message, address_uri
from .phone import Phone
from .town import Town, open_town, rings


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """One UDP worker: what has been answered after a message has been dealt with."""
    with open_town({"SIP_DOMAIN": DOMAINS, "CHILDREN": "1"}) as town:
        yield town


@pytest.fixture(scope="module")
def phone(town: Town) -> Phone:
    return town.phone_at_home()


@pytest.fixture(scope="module")
def caller(town: Town) -> Phone:
    return town.caller()


def send(phone: Phone, data: bytes) -> Message | None:
    """The final answer to a message, None when there is none."""
    phone.send_raw(data)
    phone.request("OPTIONS", f"sip:{phone.domain}").wait_for(200)
    strays, phone._strays = phone._strays, []
    return next((answer for answer in reversed(strays) if answer.status >= 200), None)


def authorized(town: Town, data: bytes, challenge: Message) -> bytes:
    """The same REGISTER with the credentials of the user in its To."""
    aor = re.search(rb"To: sip:(\S+)", data)
    assert aor
    assert challenge.status == 401, challenge
    user, _, domain = aor[1].decode().partition("@")
    if f"{user}@{domain}" not in town.server.passwords:
        town.server.add_subscriber(f"{user}@{domain}", "secret")
    asked = challenge["WWW-Authenticate"]
    value = credentials(asked, "REGISTER", f"sip:{domain}", user, "secret")
    header = f"\r\nAuthorization: {value}\r\nCall-ID: ".encode()
    return re.sub(rb"\r\n(?:Call-ID|[iI]): ", lambda _: header, data, count=1)


def test_all_messages_of_the_two_rfcs_are_accounted_for() -> None:
    assert {path.stem for path in RFC5118.glob("*.dat")} == IPV6_ANSWERS.keys()
    names = {path.stem for path in RFC4475.glob("*.dat")}
    assert names == DROPPED_BY_THE_CORE | RESPONSES | ANSWERS.keys()
    assert len(RESPONSES | ANSWERS.keys()) == 37


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_torture_message_has_the_answer_that_the_rfc_wants(
    town: Town, phone: Phone, name: str
) -> None:
    data = (RFC4475 / f"{name}.dat").read_bytes()
    answer = send(phone, data)
    if name in REGISTRATIONS:
        assert answer
        answer = send(phone, authorized(town, data, answer))
        town.server.kamcmd("ul.rm", "location", address_uri(answer["To"]).removeprefix("sip:"))
    assert answer, "no answer came back through the NAT"
    assert answer.status in ANSWERS[name], answer


@pytest.mark.parametrize("name", sorted(RESPONSES | DROPPED_BY_THE_CORE))
def test_a_torture_message_that_is_dropped_harms_nobody(phone: Phone, name: str) -> None:
    assert send(phone, (RFC4475 / f"{name}.dat").read_bytes()) is None


def test_a_contact_with_headers_is_reached(town: Town, caller: Phone) -> None:
    """nathelper would put the alias behind the headers, where it makes the URI invalid."""
    user = town.user()
    phone = town.phone_at_home(user, contact=f"<sip:{user}@{PRIVATE}?Subject=hello>")
    for _ in "registration", "refresh":
        assert phone.register().status == 200
    rings(caller, [phone], user)


@pytest.mark.parametrize("name", sorted(IPV6_ANSWERS))
def test_an_ipv6_torture_message_has_the_answer_that_the_rfc_wants(phone: Phone, name: str) -> None:
    answer = send(phone, as_sent(RFC5118 / f"{name}.dat"))
    assert answer, "no answer came back through the NAT"
    assert answer.status in IPV6_ANSWERS[name], answer
