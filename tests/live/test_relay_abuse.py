"""Nobody makes the server send to a third party, not even who was really called."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .call import Call
from .conversation import PATIENCE, connect, exchange, hang_up, reinvite
from .homes import Homes, two_homes
from .link import Link
from .message import Message, host_port, parameter
from .network import SERVER
from .phone import Phone

PEER = "203.0.113.60"
VICTIM = "203.0.113.61"
AIMS = {
    "R-URI": (f"sip:victim@{VICTIM}", []),
    "port": (f"sip:victim@{VICTIM}:5060", []),
    "TCP": (f"sip:victim@{VICTIM};transport=tcp", []),
    "alias": (f"sip:bob@{PEER};alias={VICTIM}~5060~1", []),
    "alias in the user": (f"sip:bob;alias={VICTIM}~5060~1@{VICTIM}", []),
    "alias of a name": (f"sip:bob@{VICTIM};alias=bob.invalid~5060~1", []),
    "Route": ("{target}", [f"<sip:{VICTIM};lr>"]),
    "Route to a strict router": ("{target}", [f"<sip:{VICTIM}>"]),
    "Route by us": ("{target}", [f"<sip:{SERVER};lr>", f"<sip:{VICTIM};lr>"]),
    "back to us": (f"sip:bob@{SERVER}", []),
    "user of us": ("sip:2222@example.test", []),
}


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    """The homes around a server with one worker: what it has sent, it has sent before its answer
    to the next request."""
    with two_homes({"CHILDREN": "1"}) as homes:
        yield homes


@pytest.fixture
def carol(homes: Homes) -> Iterator[Phone]:
    """A phone of another provider, with no account here."""
    phone = Phone(homes.public_host(PEER), "carol", PEER, None)
    yield phone
    phone.close()


@pytest.fixture
def victim(homes: Homes) -> Iterator[Phone]:
    """Somebody who has nothing to do with us; TCP to him is refused, and seen as no message."""
    phone = Phone(homes.public_host(VICTIM), "victim", VICTIM, None)
    yield phone
    phone.close()


def aim(call: Call, name: str) -> None:
    """Let the next request of a call lead to the victim."""
    target, more = AIMS[name]
    call.target = target.format(target=call.target)
    call.routes = [*call.routes, *more]


def settle(phone: Phone) -> None:
    """Wait until the server has done with what the phone has sent."""
    phone.request("OPTIONS", f"sip:{SERVER}").wait_for(200, PATIENCE)


# Strangers in a dialog


@pytest.mark.parametrize("name", AIMS)
@pytest.mark.parametrize("begun_by", ["the stranger", "our user"])
def test_a_stranger_in_a_call_sends_to_nobody_else(
    bob: Phone, carol: Phone, victim: Phone, begun_by: str, name: str
) -> None:
    both = connect(carol, bob) if begun_by == "the stranger" else connect(bob, carol)[::-1]
    mine, theirs = both
    target, routes = mine.target, list(mine.routes)
    for method in ("INFO", "INVITE", "BYE", "REFER"):
        aim(mine, name)
        assert mine.request(method).final().status in (404, 481)
        mine.target, mine.routes = target, list(routes)
    assert victim.log == []
    assert not bob.has_request("INFO")
    hang_up(mine, theirs)


def test_a_long_record_route_brings_a_stranger_no_other_seal(bob: Phone, carol: Phone) -> None:
    """He gets one for the place where our user is, never the one that our user gets."""
    routes = [("Record-Route", f"<sip:{PEER};lr;x={'x' * 900}>") for _ in range(12)]
    fields = [("Contact", carol.contact), *routes]
    asked = carol.start(carol.make_request("INVITE", bob.aor, fields=fields))
    incoming = bob.expect_request("INVITE", PATIENCE)
    incoming.reply(180)
    [seal] = [parameter(r, "seal") for r in asked.wait_for(180).all("Record-Route") if "seal" in r]
    assert re.fullmatch("[0-9a-f]{18}-[0-9a-f]{12}", seal)
    incoming.reply(486)
    asked.wait_for(486)


def test_a_phone_that_writes_a_tag_otherwise_brings_a_stranger_no_other_seal(
    bob: Phone, carol: Phone
) -> None:
    """Some phones write `%41` as `A`: the reply is of another dialog then, and his seal his own."""
    sender = f"<{carol.aor}>;tag=%41bc"
    fields = [("Contact", carol.contact)]
    asked = carol.start(carol.make_request("INVITE", bob.aor, sender=sender, fields=fields))
    incoming = bob.expect_request("INVITE", PATIENCE)
    parts = [(n, v.replace("%41", "A")) for n, v in incoming.message.fields]
    kept = ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")
    parts = [(n, f"{v};tag=1" if n == "To" else v) for n, v in parts if n in kept]
    bob.send_raw(bytes(Message("SIP/2.0 180 Ringing", [*parts, ("Contact", bob.contact)])))
    [route] = asked.wait_for(180).all("Record-Route")
    assert re.fullmatch("[0-9a-f]{18}-[0-9a-f]{12}", parameter(route, "seal"))
    incoming.reply(486)
    asked.wait_for(486)


@pytest.mark.parametrize("begun_by", ["the stranger", "our user"])
def test_a_stranger_in_a_call_speaks_in_no_name_of_ours(
    bob: Phone, carol: Phone, begun_by: str
) -> None:
    both = connect(carol, bob) if begun_by == "the stranger" else connect(bob, carol)[::-1]
    mine, theirs = both
    name = mine.local
    mine.local = name.replace(carol.aor, "sip:1111@example.test")
    assert mine.local != name
    for method in ("INVITE", "UPDATE", "MESSAGE"):
        assert mine.request(method).final().status == 481
        assert not bob.has_request(method)
    mine.local = name
    hang_up(mine, theirs)


@pytest.mark.parametrize("name", ["R-URI", "alias", "Route"])
def test_a_stranger_acknowledges_to_nobody_else(
    bob: Phone, carol: Phone, victim: Phone, name: str
) -> None:
    call = carol.invite(bob.aor)
    incoming = bob.expect_request("INVITE", PATIENCE)
    incoming.reply(200)
    call.wait_for(200, PATIENCE)
    target, routes = call.target, list(call.routes)
    for keep_routes in (True, False):
        aim(call, name)
        call.routes = call.routes if keep_routes else []
        call.phone.link.send(bytes(call._make("ACK", 1, {}, "")), (SERVER, 5060))
        settle(carol)
        call.target, call.routes = target, list(routes)
    assert victim.log == []
    call.ack()
    bob.expect_request("ACK", PATIENCE)
    hang_up(call, incoming.call)


@pytest.mark.parametrize("begun_by", ["the stranger", "our user"])
def test_the_seal_of_the_other_side_is_worth_nothing(
    bob: Phone, carol: Phone, victim: Phone, begun_by: str
) -> None:
    """The stranger speaks as if he were our user."""
    both = connect(carol, bob) if begun_by == "the stranger" else connect(bob, carol)[::-1]
    mine, theirs = both
    feigned = Call(carol, None)
    feigned.call_id, feigned.local, feigned.remote = mine.call_id, mine.remote, mine.local
    feigned.routes, feigned.target = list(mine.routes), f"sip:victim@{VICTIM}"
    assert feigned.request("INFO").final().status == 481
    assert victim.log == []
    hang_up(mine, theirs)


def test_a_stranger_whose_reply_comes_late_sends_it_to_nobody_else(
    bob: Phone, carol: Phone, victim: Phone
) -> None:
    """RFC 3261 16.7: a 2xx passes without a transaction, but only to where the caller is."""
    call, theirs = connect(bob, carol)
    accepted = next(m for way, m in carol.log if way == ">" and m.status == 200)
    ours = accepted.all("Via")[0]
    forged = f"SIP/2.0/UDP {VICTIM}:5060;branch=z9hG4bKforged"
    fields = [("Via", ours.replace("branch=z9hG4bK", "branch=z9hG4bKnone")), ("Via", forged)]
    fields += [(name, value) for name, value in accepted.fields if name != "Via"]
    carol.link.send(bytes(Message(accepted.start_line, fields)), (SERVER, 5060))
    settle(carol)
    assert victim.log == []
    hang_up(call, theirs)


# Strangers without a dialog


@pytest.mark.parametrize("method", ["ACK", "PRACK", "CANCEL", "BYE", "UPDATE", "INFO", "NOTIFY"])
@pytest.mark.parametrize("to_tag", ["", ";tag=made-up"])
@pytest.mark.parametrize("name", ["R-URI", "alias", "Route", "Route by us"])
def test_a_request_of_no_dialog_goes_to_nobody(
    bob: Phone, carol: Phone, victim: Phone, method: str, to_tag: str, name: str
) -> None:
    target, more = AIMS[name]
    for first in ([f"<sip:{SERVER};lr>"], [f"<sip:{SERVER};lr;seal=0123456789abcdef01>"], []):
        request = carol.make_request(
            method,
            target.format(target=bob.aor),
            fields=[("Route", route) for route in [*first, *more]],
            to=f"<{bob.aor}>{to_tag}",
        )
        carol.link.send(bytes(request), (SERVER, 5060))
    settle(carol)
    assert victim.log == []
    if not (method in ("INFO", "NOTIFY") and not to_tag and name.startswith("Route")):
        assert not bob.has_request(method), "nor to our user"
    answered = {m.status for way, m in carol.log if way == "<"} - {200}
    assert answered <= {403, 404, 480, 481}


@pytest.mark.parametrize("place", ["maddr", "received", "host", "rport"])
def test_a_via_leads_no_answer_to_somebody_else(carol: Phone, victim: Phone, place: str) -> None:
    vias = {
        "maddr": f"{PEER}:5060;maddr={VICTIM};branch=z9hG4bK1",
        "received": f"{PEER}:5060;received={VICTIM};branch=z9hG4bK2",
        "host": f"{VICTIM}:5060;branch=z9hG4bK3",
        "rport": f"{VICTIM}:5060;rport=5060;branch=z9hG4bK4",
    }
    for method in ("OPTIONS", "INVITE", "REGISTER"):
        request = carol.make_request(method, f"sip:{SERVER}")
        via = ("Via", f"SIP/2.0/UDP {vias[place]}{method}")
        request.fields = [via if name == "Via" else (name, v) for name, v in request.fields]
        carol.send_raw(bytes(request), (SERVER, 5060))
        assert carol.receive().status >= 200
    assert victim.log == []


def test_a_maddr_is_not_followed(bob: Phone, carol: Phone, victim: Phone) -> None:
    mine, theirs = connect(carol, bob)
    mine.target += f";maddr={VICTIM}"
    exchange(mine, theirs, "INFO")
    assert victim.log == []
    hang_up(mine, theirs)


def test_an_alias_that_a_caller_gives_himself_is_replaced(
    homes: Homes, bob: Phone, carol: Phone, victim: Phone
) -> None:
    carol.contact = f"<sip:carol@{PEER}:5060;alias={VICTIM}~5060~1>"
    mine, theirs = connect(carol, bob)
    assert parameter(theirs.target, "alias") in ("", f"{PEER}~5060~1")
    hang_up(theirs, mine)
    theirs, mine = connect(bob, carol)
    assert parameter(theirs.target, "alias") in ("", f"{PEER}~5060~1")
    hang_up(theirs, mine)
    assert victim.log == []


# What has to go on


def test_a_stranger_may_move_and_our_user_follows(homes: Homes, bob: Phone, carol: Phone) -> None:
    """RFC 3261 12.2.1: a re-INVITE changes the remote target."""
    for theirs, mine in (connect(bob, carol), connect(carol, bob)[::-1]):
        other = Link(carol.host, (PEER, 5070), (SERVER, 5060))
        carol.contact = f"<sip:carol@{host_port(other.local)}>"
        reinvite(mine, theirs)
        theirs.target = carol.contact[1:-1]
        theirs.bye()
        assert any(data.startswith(b"BYE ") for data, _ in other.read(5))
        other.close()
        carol.contact = f"<sip:carol@{PEER}:5060>"


def test_our_user_may_move_to_where_he_registers(homes: Homes, bob: Phone, carol: Phone) -> None:
    mine, theirs = connect(carol, bob)
    homes.nat("office").rebind()
    bob.register()
    reinvite(theirs, mine)
    hang_up(mine, theirs)
