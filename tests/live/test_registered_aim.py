"""Nothing that a phone registers makes the server call somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .homes import PRIVATE, Homes, two_homes
from .message import Message
from .network import SERVER
from .phone import Phone

HOST = "203.0.113.70"
VICTIM = "203.0.113.61"
ELSEWHERE = {
    "another host": f"<sip:1111@{VICTIM}>",
    "another host with a port": f"<sip:1111@{VICTIM}:5080;transport=udp>",
    "a name": "<sip:1111@victim.example>",
    "alias": f"<sip:1111@{HOST};alias={VICTIM}~5060~1>",
    "alias of a private address": f"<sip:1111@{PRIVATE};alias={VICTIM}~5060~1>",
    "received": f"<sip:1111@{VICTIM};received=sip:{VICTIM}:5060>",
    "maddr": f"<sip:1111@{VICTIM};maddr={VICTIM}>",
    "us": f"<sip:1111@{SERVER}>",
    "our domain": "<sip:2222@example.test>",
    "without brackets": f"sip:1111@{VICTIM}:5060",
    "loopback": "<sip:1111@127.0.0.1:22>",
}
IMPOSSIBLE = {
    "http": "<http://victim.example/>",
    "mailto": "<mailto:1111@victim.example>",
    "tel": "<tel:+4930123456>",
    "unspecified": "<sip:1111@0.0.0.0:5060>",
    "unspecified IPv6": "<sip:1111@[::]:5060>",
    "broadcast": "<sip:1111@255.255.255.255>",
    "multicast": "<sip:1111@224.0.1.75>",
    "multicast IPv6": "<sip:1111@[ff02::1]>",
    "reserved": "<sip:1111@250.1.2.3>",
    "port 99999": f"<sip:1111@{HOST}:99999>",
    "port 0": f"<sip:1111@{HOST}:0>",
    "an alias in the user": f"<sip:1111;alias={HOST}~5060~1@{HOST}>",
    "an alias in the headers": f"<sip:1111@{HOST}?a=;alias={HOST}~5060~1>",
    "two aliases": f"<sip:1111@{HOST};alias={VICTIM}~5060~1;alias={HOST}~5060~1>",
}
# A second Contact that Kamailio would bind at the victim's address, though it looks like none, like
# one at the phone's own, or like one to be removed.
HIDDEN = {
    "in a name with a backslash": (rf'"a\\" <sip:1111@{HOST}>, "<sip:1111@{VICTIM}>;p=a"', 400),
    "between quotes of two values": (f'<sip:1111@{HOST}>;p=a", <sip:1111@{VICTIM}>;o=b"', 400),
    "behind an alias of the user": (f"<sip:1111;alias={HOST}~5060~1@{VICTIM}>", 400),
    "before an alias that is a header": (f"<sip:1111@{VICTIM}?a=;alias={HOST}~5060~1>", 400),
    "with the alias of the source": (f"<sip:1111@{VICTIM};alias={HOST}~5060~1>", 403),
    "with an Alias of the source": (f"<sip:1111@{VICTIM};Alias={HOST}~5060~1>", 403),
    "with two times": (f"<sip:1111@{VICTIM}>;expires=0;expires=3600", 400),
    "with a time that is none": (f"<sip:1111@{VICTIM}>;expires=0x", 403),
    "with a time in other digits": (f"<sip:1111@{VICTIM}>;expires=\u0660", 403),
    "with a time behind another space": (f"<sip:1111@{VICTIM}>;\v\u00a0expires=0", 403),
    "with two users": (f"<sip:1111@{HOST};a=b@{VICTIM}>", 400),
    "behind a name with a colon": (f"a:b <sip:1111@{VICTIM}>", 400),
    "beside a star": (f'"a"*, <sip:1111@{VICTIM}>', 400),
}


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    """The homes around a server with one worker."""
    with two_homes({"CHILDREN": "1"}) as homes:
        yield homes


@pytest.fixture
def phone(homes: Homes) -> Iterator[Phone]:
    """A phone of 1111 with a public address."""
    phone = homes.server.phone(homes.public_host(HOST), "1111")
    yield phone
    homes.server.kamcmd("ul.rm", "location", f"1111@{phone.domain}")
    phone.close()


@pytest.fixture
def victim(homes: Homes) -> Iterator[Phone]:
    """Somebody who has nothing to do with us."""
    phone = Phone(homes.public_host(VICTIM), "victim", VICTIM, None)
    yield phone
    phone.close()


def call(phone: Phone, bob: Phone) -> Message:
    """Bob sends 1111 a message; it comes to the phone."""
    sent = bob.request("MESSAGE", phone.aor)
    incoming = phone.expect_request("MESSAGE")
    incoming.reply(200)
    sent.wait_for(200)
    return incoming.message


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_phone_is_called_where_it_registers_from_whatever_it_says(
    phone: Phone, victim: Phone, bob: Phone, name: str
) -> None:
    assert phone.register(contact=ELSEWHERE[name]).status == 200
    call(phone, bob)
    assert victim.log == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_second_contact_at_another_address_is_refused(
    homes: Homes, phone: Phone, name: str
) -> None:
    refused = phone.register(contact=f"{phone.contact}, {ELSEWHERE[name]}")
    assert refused.status == 403
    assert homes.server.bindings("1111") == []


@pytest.mark.parametrize("name", HIDDEN)
def test_a_contact_at_another_address_is_refused_however_it_is_hidden(
    homes: Homes, phone: Phone, name: str
) -> None:
    """Kamailio and we read the same Contacts, or none."""
    contact, status = HIDDEN[name]
    assert phone.register(contact=f"{phone.contact}, {contact}").status == status
    assert homes.server.bindings("1111") == []


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_contact_is_bound_where_its_own_time_says_so_in_quotes(
    homes: Homes, phone: Phone, quote: str
) -> None:
    """So it must not be at another address, though Expires says that all are to be removed."""
    contact = f"{phone.contact}, <sip:1111@{VICTIM}>;expires={quote}3600{quote}"
    assert phone.register(contact=contact, expires=0).status in (400, 403)
    assert homes.server.bindings("1111") == []


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("place", ["{}", "{own}, {}"])
def test_an_impossible_contact_is_refused(
    homes: Homes, phone: Phone, name: str, place: str
) -> None:
    refused = phone.register(contact=place.format(IMPOSSIBLE[name], own=phone.contact))
    assert refused.status == 400
    assert homes.server.bindings("1111") == []


def test_behind_nat_only_the_alias_of_the_source_is_stored(
    homes: Homes, victim: Phone, bob: Phone
) -> None:
    with homes.phone("hotel", "3333") as guest:
        evil = f"<sip:3333@{PRIVATE}:5060;alias={VICTIM}~5060~1>"
        assert guest.register(contact=evil).status == 200
        [uri] = homes.server.bindings("3333")
        assert VICTIM not in uri
        call(guest, bob)
        assert guest.register(contact=f"{guest.contact}, {evil}").status == 403
        assert victim.log == []


BROUGHT = f"<sip:3333@{PRIVATE}:5060;alias={VICTIM}~5060~1>"


@pytest.mark.parametrize(
    "contacts",
    [
        *([BROUGHT, "{own}"], ["{own}", BROUGHT], [f"{BROUGHT}, {{own}}"], [f"{{own}}, {BROUGHT}"]),
        *([f"{BROUGHT}, {{own}};expires=0"], [f"{{own}};expires=0, {BROUGHT}"]),
        *([f'"?" {BROUGHT}'], [BROUGHT.replace(">", "?a=b>")]),
    ],
)
def test_an_alias_that_ours_does_not_replace_is_refused(homes: Homes, contacts: list[str]) -> None:
    """nathelper gives one Contact an alias, on Kamailio 5.6 the last; with a `?` it gets none."""
    guest = homes.server.phone(homes.host("hotel"), "3333")
    own = f"<sip:3333@{PRIVATE}:5062>"
    fields = [("Contact", contact.format(own=own)) for contact in contacts]
    uri, to = f"sip:{guest.domain}", f"<{guest.aor}>"
    request = guest.make_request("REGISTER", uri, to=to, fields=[*fields, ("Expires", "600")])
    assert guest.start(request).final().status == 403
    assert homes.server.bindings("3333") == []
    guest.close()


@pytest.mark.parametrize("home", ["public", "behind NAT"])
@pytest.mark.parametrize(
    "parameter", ['received="sip:{}:5060"', "Received = sip:{}:5060", 'q=1;received="sip:{}"']
)
def test_where_a_phone_is_said_to_be_received_from_is_refused(
    homes: Homes, phone: Phone, parameter: str, home: str
) -> None:
    """usrloc would send calls and pings there, whatever the alias says."""
    if home == "behind NAT":
        phone.close()
        phone = homes.server.phone(homes.host("hotel"), "1111")
    contact = f"{phone.contact};{parameter.format(VICTIM)}"
    assert phone.register(contact=contact).status == 403
    assert phone.register(contact=f"{phone.contact}, {contact}").status == 403
    assert homes.server.bindings("1111") == []
    phone.close()


PATHS = [
    *(f"<sip:{VICTIM};lr>", f"<sip:{SERVER};lr>", "<sip:v.example;lr>"),
    *(f'"<sip:{HOST};lr>" <sip:{VICTIM};lr>', f"<sip:{HOST};lr;a=b@{VICTIM}>"),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_another_host_is_refused(homes: Homes, phone: Phone, path: str) -> None:
    headers = {"Path": path, "Supported": "path"}
    assert phone.register(headers=headers).status == 403
    both = {"Path": f"{path}, <sip:{HOST};lr>", "Supported": "path"}
    assert phone.register(headers=both).status == 403
    assert homes.server.bindings("1111") == []


def test_two_phones_with_one_private_contact_are_two_bindings(homes: Homes, bob: Phone) -> None:
    with homes.phone("one", "3333") as one, homes.phone("two", "3333") as two:
        assert one.contact == two.contact
        assert len(homes.server.bindings("3333")) == 2
        sent = bob.request("MESSAGE", one.aor)
        for phone in (one, two):
            phone.expect_request("MESSAGE").reply(200)
        sent.wait_for(200)
