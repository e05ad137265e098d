"""What a request may ask of us: loops end, lists are short, and nothing passes that another server
could read otherwise than Kamailio does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conversation import PATIENCE, ring, stop_ringing
from .homes import Homes, registered
from .link import RawSocket
from .message import Message, parameter
from .patience import eventually
from .phone import Phone

PEER, MANY = "203.0.113.60", "203.0.113.61"
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def carol(homes: Homes) -> Iterator[Phone]:
    """A phone of another provider, who needs no password to call our users."""
    phone = Phone(homes.public_host(PEER), "carol", PEER, None)
    yield phone
    phone.close()


@pytest.fixture
def switchboard(homes: Homes) -> Iterator[Phone]:
    """A phone with the ten bindings that a user may have, all at its own address."""
    phone = homes.server.phone(homes.public_host(MANY), "5555")
    phone.contact = contacts(phone, 10)
    with registered(homes.server, phone):
        yield phone


def contacts(phone: Phone, count: int) -> str:
    """A Contact header with so many places of a phone."""
    return ", ".join(f"<sip:line{i}@{phone.local[0]}:{phone.local[1]}>" for i in range(count))


def taken(phone: Phone) -> Message:
    """The MESSAGE that has come to a phone, which answers it."""
    incoming = phone.expect_request("MESSAGE", PATIENCE)
    incoming.reply(200)
    return incoming.message


def sent_back(phone: Phone, message: Message, uri: str) -> bytes:
    """A request as a proxy at a phone's place passes it on."""
    via = f"SIP/2.0/UDP {phone.local[0]}:{phone.local[1]};branch=z9hG4bKback{id(message):x}"
    kept = [(n, v) for n, v in message.fields if n != "Content-Length"]
    return bytes(Message(f"{message.method} {uri} SIP/2.0", [("Via", via), *kept], message.body))


def asks(phone: Phone) -> None:
    """Wait for an answer to another request: what was sent before has been dealt with."""
    phone.request("OPTIONS", f"sip:{phone.server[0]}").wait_for(200, PATIENCE)


# Loops


def test_a_request_that_comes_back_is_482(carol: Phone, bob: Phone) -> None:
    carol.request("MESSAGE", bob.aor, "hello", TEXT)
    bob.send_raw(sent_back(bob, taken(bob), bob.aor))
    assert bob.receive(PATIENCE).status == 482
    assert not bob.has_request("MESSAGE")


def test_a_request_that_comes_back_for_somebody_else_is_482(
    carol: Phone, alice: Phone, bob: Phone
) -> None:
    """Each round could ring all phones of the next user, and so on."""
    carol.request("MESSAGE", bob.aor, "hello", TEXT)
    bob.send_raw(sent_back(bob, taken(bob), alice.aor))
    assert bob.receive(PATIENCE).status == 482
    assert not alice.has_request("MESSAGE")


def test_one_request_to_bindings_that_all_send_it_back_becomes_ten(
    carol: Phone, switchboard: Phone
) -> None:
    carol.invite(switchboard.aor)
    for _ in range(10):
        incoming = switchboard.expect_request("INVITE", PATIENCE)
        switchboard.send_raw(sent_back(switchboard, incoming.message, switchboard.aor))
        assert switchboard.receive(PATIENCE).status == 482
    asks(switchboard)
    assert not switchboard.has_request("INVITE")


def test_a_request_of_another_proxy_is_no_loop(carol: Phone, bob: Phone) -> None:
    """Neither by the number of its Vias nor by a Kamailio's branch in one of them."""
    request = carol.make_request("MESSAGE", bob.aor)
    far = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK07ae.60cefd202cef0c9118690cb5daf8d808.0"
    request.fields.insert(1, ("Via", far))
    carol.start(request)
    assert taken(bob).all("Via")[2] == far


def test_a_long_via_keeps_nobody_waiting(carol: Phone, bob: Phone) -> None:
    """Nor do some more of them than there are workers."""
    for i in range(8):
        request = carol.make_request("MESSAGE", bob.aor)
        request.fields.insert(1, ("Via", f"SIP/2.0/UDP {'a' * 57_000}{i}"))
        carol.send_raw(bytes(request))
    asks(carol)


@pytest.mark.parametrize(("given", "passed_on"), [("255", "70"), ("71", "70"), ("70", "69")])
def test_max_forwards_is_capped(carol: Phone, bob: Phone, given: str, passed_on: str) -> None:
    request = carol.make_request("MESSAGE", bob.aor)
    request.fields = [(n, given if n == "Max-Forwards" else v) for n, v in request.fields]
    carol.start(request)
    assert taken(bob)["Max-Forwards"] == passed_on


# How much and how long


def test_a_user_has_so_many_bindings_and_no_more(homes: Homes, switchboard: Phone) -> None:
    before = homes.server.bindings(switchboard.user)
    assert len(before) == 10
    response = switchboard.register(contact=contacts(switchboard, 11))
    assert (response.status, response["Retry-After"]) == (503, "10")
    assert homes.server.bindings(switchboard.user) == before


def test_a_registration_of_too_many_contacts_binds_none(homes: Homes, alice: Phone) -> None:
    before = homes.server.bindings(alice.user)
    assert alice.register(contact=contacts(alice, 50)).status == 503
    assert homes.server.bindings(alice.user) == before


@pytest.mark.parametrize(
    ("expires", "status"),
    [
        *(("4294967296", 400), ("4294967297", 400), ("99999999999999999999", 400)),
        *(("-1", 400), ("soon", 400), ("1.5", 400), ("1", 423), ("59", 423)),
    ],
)
def test_an_expires_out_of_range_changes_no_binding(
    homes: Homes, alice: Phone, expires: str, status: int
) -> None:
    """Of 4294967296 Kamailio sees the lower 32 bits, which would be 0: remove it."""
    before = homes.server.bindings(alice.user)
    assert alice.register(expires=None, headers={"Expires": expires}).status == status
    assert len(before) == 1
    assert homes.server.bindings(alice.user) == before


@pytest.mark.parametrize("expires", ["3601", "2147483648", "4294967295"])
def test_a_long_expires_is_shortened(alice: Phone, expires: str) -> None:
    response = alice.register(expires=None, headers={"Expires": expires})
    assert parameter(response["Contact"], "expires") == "3600"


@pytest.mark.parametrize("expires", ["4294967296", "4294967297", "-1", "99999999999999999999"])
def test_an_expires_parameter_that_is_no_number_of_seconds_counts_as_the_default(
    alice: Phone, expires: str
) -> None:
    """RFC 3261 20.10: malformed values are equivalent to 3600."""
    response = alice.register(expires=None, contact=f"{alice.contact};expires={expires}")
    assert parameter(response["Contact"], "expires") == "3600"


def test_a_message_that_is_too_large_is_513(carol: Phone, bob: Phone) -> None:
    carol.request("MESSAGE", bob.aor, "x" * 40000, TEXT).wait_for(513, PATIENCE)
    carol.request("MESSAGE", bob.aor, "x" * 20000, TEXT)
    assert len(taken(bob).body) == 20000


# Smuggling

SMUGGLED = [
    "Subject: a\rRoute: <sip:203.0.113.99;lr>\r\n",
    "Subject: a\nRoute: <sip:203.0.113.99;lr>\r\n",
    "Subject: a\0Route: <sip:203.0.113.99;lr>\r\n",
]


@pytest.mark.parametrize("line", SMUGGLED)
def test_a_header_that_another_server_could_read_otherwise_is_400(
    carol: Phone, bob: Phone, line: str
) -> None:
    carol.send_raw(with_line(carol.make_request("MESSAGE", bob.aor), line))
    assert carol.receive(PATIENCE).status == 400
    asks(carol)
    assert not bob.has_request("MESSAGE")


def test_a_cancel_whose_reason_could_be_read_otherwise_is_400(carol: Phone, bob: Phone) -> None:
    """tm passes a Reason on with the CANCEL that it makes (RFC 3326)."""
    call, incoming = ring(carol, bob)
    invite = call.invite.request
    parts = {"call_id": call.call_id, "to": invite["To"], "sender": call.local}
    request = carol.make_request("CANCEL", invite.uri, branch=invite.branch, **parts)
    carol.send_raw(with_line(request, "Reason: SIP\rRoute: <sip:203.0.113.99;lr>\r\n"))
    asks(carol)
    assert not bob.has_request("CANCEL")
    call.cancel()
    stop_ringing(incoming)
    call.wait_for(487, PATIENCE)


def test_a_reply_that_the_caller_could_read_otherwise_goes_no_further(
    homes: Homes, carol: Phone, bob: Phone
) -> None:
    """It could have the claims that were removed. Its transaction ends like any other."""
    sent = carol.request("MESSAGE", bob.aor, "hello", TEXT)
    incoming = bob.expect_request("MESSAGE", PATIENCE)
    reply = answer_to(incoming.message)
    claim = "Subject: a\rP-Asserted-Identity: <sip:bank@example.test>\r\n"
    bob.send_raw(with_line(Message.parse(reply), claim))
    asks(bob)
    assert sent.responses == []
    bob.send_raw(reply)
    sent.wait_for(200, PATIENCE)
    eventually(lambda: "current: 0" in homes.server.kamcmd("tm.stats"), "end of transactions", 60)


@pytest.mark.parametrize(
    "line",
    [
        "From: <sip:2222@example.test>;tag=1\r\n",
        "f : <sip:2222@example.test>;tag=1\r\n",
        "To: <sip:1111@example.test>\r\n",
        "i: another\r\n",
        "CSeq: 2 MESSAGE\r\n",
        "Max-Forwards: 3\r\n",
        "l: 1\r\n",
    ],
)
def test_a_header_given_twice_goes_no_further(carol: Phone, bob: Phone, line: str) -> None:
    """Kamailio's parser refuses it, and can't make a reply either."""
    carol.send_raw(with_line(carol.make_request("MESSAGE", bob.aor), line))
    asks(carol)
    assert not bob.has_request("MESSAGE")


def test_what_follows_the_body_is_400(carol: Phone, bob: Phone) -> None:
    """On a connection it would be the next message, of ours."""
    request = carol.make_request("MESSAGE", bob.aor, body="hello")
    carol.send_raw(bytes(request) + bytes(carol.make_request("BYE", bob.aor)))
    assert carol.receive(PATIENCE).status == 400


@pytest.mark.parametrize(
    "line", ["Subject : a\r\n", "Subject: a\r\n\tRoute: <sip:203.0.113.99;lr>\r\n", "s\t:a\r\n"]
)
def test_white_space_that_the_rfc_allows_goes_on_as_it_is(
    homes: Homes, carol: Phone, line: str
) -> None:
    """Even to a phone that takes folds and colons literally, it is no other header."""
    host = homes.public_host("203.0.113.62")
    phone = homes.server.phone(host, "6666")
    with registered(homes.server, phone):
        phone.close()
        with_eyes = RawSocket(host, phone.local)
        carol.send_raw(with_line(carol.make_request("MESSAGE", phone.aor), line))
        data, _ = with_eyes.receive_bytes(PATIENCE)
        assert line.encode() in data
        assert b"\nRoute" not in data
        with_eyes.send(answer_to(Message.parse(data)))
        with_eyes.close()


def answer_to(request: Message) -> bytes:
    kept = [(n, v) for n, v in request.fields if n in ("Via", "From", "To", "Call-ID", "CSeq")]
    return bytes(Message("SIP/2.0 200 OK", kept))


def with_line(request: Message, line: str) -> bytes:
    """A request with one more line, as it is written."""
    head, blank, body = bytes(request).partition(b"\r\n\r\n")
    return head + b"\r\n" + line.encode().removesuffix(b"\r\n") + blank + body


# One answer


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        *(("INVITE", "9999", 404), ("MESSAGE", "9999", 404), ("INVITE", "sip:example.test", 484)),
        *(("BYE", "2222", 481), ("INVITE", "sip:x@198.51.100.7", 403), ("CANCEL", "2222", 481)),
        ("REGISTER", "sip:elsewhere.test", 403),
    ],
)
def test_a_refusal_is_one_answer(carol: Phone, method: str, target: str, status: int) -> None:
    asked = carol.request(method, target if ":" in target else f"sip:{target}@example.test")
    asked.wait_for(status, PATIENCE)
    asks(carol)
    answers = [m.status for way, m in carol.log if way == "<" and m.branch == asked.request.branch]
    assert answers == [status]
