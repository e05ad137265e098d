"""REGISTER: what is stored, for how long, and how a registered phone is reached."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .challenges import repeat
from .digest import credentials
from .homes import PRIVATE
from .link import Link
from .message import Message, parameter, wire
from .network import SERVER, SERVER6
from .patience import eventually
from .phone import Phone
from .server import DOMAIN
from .town import Town, contacts, open_town, rings, source_seen
from .websocket import WebSocketLink

SETTINGS = {
    "MIN_EXPIRES": "30",
    "DEFAULT_EXPIRES": "600",
    "MAX_EXPIRES": "1200",
    "MAX_CONTACTS": "3",
    "PING_INTERVAL": "1",
}
PASSWORD = "the-password-of-hand-made-phones"


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with open_town(SETTINGS) as town:
        yield town


def ask(link: Link, request: Message) -> Message:
    """Send a request that was made by hand and wait for its response."""
    link.send(bytes(request))
    return receive(link)


def receive(link: Link, timeout: float = 5) -> Message:
    """The next message that comes to a socket."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        for data, source in link.read(left):
            return Message.parse(data, source)
    raise AssertionError(f"nothing came to {link.local} within {timeout} s")


def register_by_hand(town: Town, link: Link, user: str, text: str) -> Message:
    """Send this REGISTER, then again with the answer to its challenge; the last response."""
    town.server.add_subscriber(f"{user}@{DOMAIN}", PASSWORD)
    request = Message.parse(wire(text))
    challenge = ask(link, request)
    assert challenge.status == 401
    value = credentials(challenge["WWW-Authenticate"], "REGISTER", request.uri, user, PASSWORD)
    # RFC 3261 22.2 and 8.1.1.7: another CSeq and another branch
    changed = {"CSeq": "2 REGISTER", "Via": f"{request['Via']}-2"}
    fields = [(name, changed.get(name, body)) for name, body in request.fields]
    return ask(link, Message(request.start_line, [*fields, ("Authorization", value)]))


def send_message(town: Town, user: str, *phones: Phone) -> list[Message]:
    """Send a MESSAGE to a user, let these phones accept it, and return what they got."""
    sent = town.caller().request("MESSAGE", user, "hello", {"Content-Type": "text/plain"})
    taken = [phone.expect_request("MESSAGE") for phone in phones]
    for incoming in taken:
        incoming.reply(200)
    sent.wait_for(200)
    return [incoming.message for incoming in taken]


def stored(town: Town, user: str, field: str) -> list[str]:
    """A field of each binding of a user, as `kamcmd ul.lookup` shows it."""
    found = town.server.kamcmd("ul.lookup", "location", f"{user}@{DOMAIN}")
    lines = (line.strip() for line in found.splitlines())
    return [line.removeprefix(f"{field}: ") for line in lines if line.startswith(f"{field}: ")]


# The article's message


def test_a_phone_that_knows_no_nat_is_stored_with_the_public_side_of_its_nat(town: Town) -> None:
    user, nat = town.user(), town.nat()
    link = Link(town.network.host_behind(nat, PRIVATE), (PRIVATE, 5060), (SERVER, 5060))
    done = register_by_hand(
        town,
        link,
        user,
        f"""
        REGISTER sip:{DOMAIN} SIP/2.0
        Via: SIP/2.0/UDP {PRIVATE}:5060;branch=z9hG4bK-article-{user}
        Max-Forwards: 70
        From: <sip:{user}@{DOMAIN}>;tag=article
        To: <sip:{user}@{DOMAIN}>
        Call-ID: article-{user}
        CSeq: 1 REGISTER
        Contact: <sip:{user}@{PRIVATE}:5060>
        Expires: 3600
        """,
    )
    # It came to port 5060 of the phone, so it was sent to the source port, not to that of the Via.
    assert done.status == 200
    address, port = source_seen(done)
    assert address == nat.public
    assert port != 5060
    assert town.server.bindings(user) == [f"sip:{user}@{PRIVATE}:5060;alias={address}~{port}~1"]


# For how long


@pytest.mark.parametrize(
    ("header", "parameters", "granted"),
    [
        (None, "", 600),
        (100, "", 100),
        (99999, "", 1200),
        (100, ";expires=200", 200),
        (30, "", 30),
    ],
    ids=["default", "as-asked", "shortened", "of-the-contact", "shortest"],
)
def test_a_registration_lasts_as_long_as_the_settings_allow(
    town: Town, header: int | None, parameters: str, granted: int
) -> None:
    phone = town.public_phone()
    done = phone.register(header, contact=phone.contact + parameters)
    assert done.status == 200
    assert parameter(done["Contact"], "expires") == str(granted)
    [left] = stored(town, phone.user, "Expires")
    assert granted - 10 < int(left) <= granted


def test_a_registration_that_is_too_short_is_refused_and_changes_nothing(town: Town) -> None:
    phone = town.phone_at_home()
    refused = phone.register(29)
    assert (refused.status, refused["Min-Expires"]) == (423, "30")
    assert town.server.bindings(phone.user) == []
    phone.register(300)
    before = town.server.bindings(phone.user)
    assert phone.register(29).status == 423
    assert town.server.bindings(phone.user) == before != []


# Removing


@pytest.mark.parametrize(("header", "parameters"), [(0, ""), (None, ";expires=0")])
def test_a_phone_that_unregisters_takes_its_own_binding_away(
    town: Town, header: int | None, parameters: str
) -> None:
    nat = town.nat()
    leaving = town.phone_at_home(nat=nat)
    staying = town.phone_at_home(leaving.user, nat, address="192.168.0.104")
    leaving.register()
    staying.register()
    done = leaving.register(header, contact=leaving.contact + parameters)
    assert done.status == 200
    [left] = town.server.bindings(leaving.user)
    assert left.startswith(f"sip:{leaving.user}@192.168.0.104:5060;")
    assert contacts(done) == [left]


def test_a_star_removes_all_bindings_of_the_user_and_of_nobody_else(town: Town) -> None:
    nat = town.nat()
    one = town.phone_at_home(nat=nat)
    two = town.phone_at_home(one.user, nat, address="192.168.0.104")
    neighbour = town.phone_at_home(nat=nat, address="192.168.0.105")
    for phone in (one, two, neighbour):
        phone.register()
    done = two.register(0, contact="*")
    assert (done.status, contacts(done)) == (200, [])
    assert town.server.bindings(one.user) == []
    assert len(town.server.bindings(neighbour.user)) == 1


def test_a_star_with_an_expiry_is_refused_and_removes_nothing(town: Town) -> None:
    phone = town.public_phone()
    phone.register()
    assert phone.register(300, contact="*").status == 400
    assert len(town.server.bindings(phone.user)) == 1


# How many


def test_no_more_bindings_than_max_contacts_are_stored(town: Town) -> None:
    nat, user = town.nat(), town.user()
    phones = [
        town.phone_at_home(user, nat, address=f"192.168.0.{number}") for number in range(103, 107)
    ]
    assert [phone.register().status for phone in phones] == [200, 200, 200, 503]
    assert len(town.server.bindings(user)) == 3
    assert phones[0].register().status == 200, "who has a binding may renew it"
    phones[1].unregister()
    assert phones[3].register().status == 200, "there is room again"


def test_a_phone_that_moves_is_not_counted_twice(town: Town) -> None:
    nat, user = town.nat(), town.user()
    phones = [
        town.phone_at_home(user, nat, address=f"192.168.0.{number}") for number in range(103, 106)
    ]
    for phone in phones:
        phone.register()
    nat.rebind()
    assert [phone.register().status for phone in phones] == [200, 200, 200]
    assert len(town.server.bindings(user)) == 3


def test_a_query_lists_all_bindings_and_stores_none(town: Town) -> None:
    user = town.user()
    phones = [town.phone_at_home(user), town.public_phone(user)]
    for phone in phones:
        phone.register()
    listed = phones[0].register(None, contact="")
    assert listed.status == 200
    assert sorted(contacts(listed)) == sorted(town.server.bindings(user))
    assert len(contacts(listed)) == 2
    nobody = town.public_phone().register(None, contact="")
    assert (nobody.status, contacts(nobody)) == (200, [])


def test_a_register_may_bring_several_contacts_and_all_of_them_ring(town: Town) -> None:
    desk = town.public_phone()
    mobile = town.server.phone(desk.host, town.user(), local=(desk.local[0], 5070))
    both = f"{desk.contact}, <sip:{desk.user}@{mobile.local[0]}:5070>"
    done = desk.register(contact=both)
    assert done.status == 200
    assert len(contacts(done)) == len(town.server.bindings(desk.user)) == 2
    rings(town.caller(), [desk, mobile], desk.user)


def test_a_retransmitted_register_is_answered_and_stays_one_binding(town: Town) -> None:
    phone = town.phone_at_home()
    phone.register()
    accepted = [message for way, message in phone.log if way == ">"][-1]
    again = repeat(phone, accepted)
    assert again.status == 200
    assert len(contacts(again)) == len(town.server.bindings(phone.user)) == 1


# Path


def test_a_phone_behind_an_edge_proxy_is_reached_through_its_path(town: Town) -> None:
    user = town.user()
    edge = town.public_phone(user, contact=f"<sip:{user}@{PRIVATE}:5060>")
    path = f"<sip:edge@{edge.local[0]}:5060;lr>"
    beneath = f"SIP/2.0/UDP {PRIVATE}:5060;rport;branch=z9hG4bK-{user}"
    done = edge.register(headers={"Path": path, "Supported": "path", "Via": beneath})
    assert done.status == 200
    assert town.server.bindings(user) == [f"sip:{user}@{PRIVATE}:5060"], "an alias of the edge"
    assert stored(town, user, "Path") == [path]
    [message] = send_message(town, user, edge)
    assert message.uri == f"sip:{user}@{PRIVATE}:5060"
    assert message.all("Route") == [path]


# Connections


@pytest.mark.parametrize(("transport", "protocol"), [("tcp", 2), ("tls", 3)])
def test_a_phone_behind_nat_is_reached_over_the_connection_it_opened(
    town: Town, transport: str, protocol: int
) -> None:
    phone = town.phone_at_home(transport=transport)
    done = phone.register()
    address, port = source_seen(done)
    assert town.server.bindings(phone.user) == [
        f"sip:{phone.user}@{PRIVATE}:5060;transport={transport};alias={address}~{port}~{protocol}"
    ]
    send_message(town, phone.user, phone)
    rings(town.caller(), [phone], phone.user)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("place", ["home", "public"])
def test_a_binding_ends_with_its_connection(town: Town, transport: str, place: str) -> None:
    make = town.phone_at_home if place == "home" else town.public_phone
    phone = make(transport=transport)
    phone.register()
    assert len(town.server.bindings(phone.user)) == 1
    phone.close()
    eventually(lambda: town.server.bindings(phone.user) == [], "end of the binding")
    town.caller().invite(phone.user).wait_for(480)


def test_a_phone_that_reconnects_has_one_binding_and_is_reached(town: Town) -> None:
    nat = town.nat()
    phone = town.phone_at_home(nat=nat, transport="tcp")
    phone.register()
    nat.rebind()
    phone.reconnect()
    phone.register()
    assert len(town.server.bindings(phone.user)) == 1
    send_message(town, phone.user, phone)


def test_a_browser_behind_nat_registers_and_is_reached_over_its_websocket(town: Town) -> None:
    user, nat = town.user(), town.nat()
    host = town.network.host_behind(nat, PRIVATE)
    browser = WebSocketLink(host, (PRIVATE, 0), (SERVER, 5060))
    done = register_by_hand(
        town,
        browser,
        user,
        f"""
        REGISTER sip:{DOMAIN} SIP/2.0
        Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK-browser-{user}
        Max-Forwards: 70
        From: <sip:{user}@{DOMAIN}>;tag=browser
        To: <sip:{user}@{DOMAIN}>
        Call-ID: browser-{user}
        CSeq: 1 REGISTER
        Contact: <sip:{user}@df7jal23ls0d.invalid;transport=ws>
        """,
    )
    assert done.status == 200
    address, port = source_seen(done)
    assert address == nat.public
    contact = f"sip:{user}@df7jal23ls0d.invalid;transport=ws"
    assert town.server.bindings(user) == [f"{contact};alias={address}~{port}~5"]
    sent = town.caller().request("MESSAGE", user, "hello", {"Content-Type": "text/plain"})
    message = receive(browser)
    assert (message.uri, message.body) == (contact, "hello")
    browser.send(bytes(answer(message)))
    sent.wait_for(200)
    browser.close()
    eventually(lambda: town.server.bindings(user) == [], "end of the binding")


def answer(request: Message) -> Message:
    """The 200 to a request."""
    kept = ("Via", "From", "To", "Call-ID", "CSeq")
    fields = [(name, value) for name in kept for value in request.all(name)]
    return Message("SIP/2.0 200 OK", fields)


# IPv6


@pytest.mark.parametrize("text", ["a\x1fb", "a" * 9000])
def test_a_phone_with_an_odd_or_a_long_contact_registers_like_any_other(
    town: Town, text: str
) -> None:
    """Kamailio can't give such a value together with others."""
    phone = town.phone_at_home()
    contact = f'<sip:{phone.user}@{phone.local[0]}:5060>;x="{text}"'
    assert phone.register(contact=contact).status == 200
    assert len(town.server.bindings(phone.user)) == 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_ipv6_phones_are_stored_with_brackets_and_reach_each_other(
    town: Town, transport: str
) -> None:
    called = town.public_phone(ipv6=True, transport=transport)
    caller = town.public_phone(ipv6=True)
    assert called.server == (SERVER6, 5060)
    done = called.register()
    assert done.status == 200
    suffix = "" if transport == "udp" else ";transport=tcp"
    expected = f"sip:{called.user}@[{called.local[0]}]:5060{suffix}"
    assert contacts(done) == town.server.bindings(called.user) == [expected]
    sent = caller.request("MESSAGE", called.user, "hello", {"Content-Type": "text/plain"})
    incoming = called.expect_request("MESSAGE")
    assert incoming.message.uri == expected
    incoming.reply(200)
    sent.wait_for(200)
    rings(caller, [called], called.user)
