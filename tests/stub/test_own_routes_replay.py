"""Our own routes on the stub: credentials that somebody has seen are worth nothing to him."""

from __future__ import annotations

import itertools
import re

import pytest
from ksr_stub.builders import invite, message, register
from ksr_stub.harness import Ksr
from ksr_stub.traffic import Message

from .own_routes import DOMAIN, PLACE, answer, challenge, is_stale, start

PHONE, THIEF = PLACE, ("198.51.100.77", 5060)
URI = f"sip:{DOMAIN}"
CSEQ = itertools.count(1)
SECRET = "a secret of at least thirty-two characters"


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr, SERVER_SECRET=SECRET)


def send(
    server: Ksr,
    given: str,
    source: tuple[str, int] = PHONE,
    call_id: str = "one",
    contact: str = "<sip:1111@192.168.0.103:5060>",
) -> Message:
    data = register(
        "1111",
        call_id=call_id,
        cseq=next(CSEQ),
        contact=contact,
        headers={"Authorization": given},
    )
    return server.receive(data, source).reply


def bindings(server: Ksr) -> list[str]:
    """The Contacts of 1111, as a query lists them."""
    asked = challenge(server, "query")
    data = register(
        "1111", call_id="query", contact="", expires=None, headers={"Authorization": answer(asked)}
    )
    return server.receive(data, PHONE).reply.all("Contact")


def test_used_credentials_are_worth_nothing(server: Ksr) -> None:
    """From another address, another port, or with another Contact: stale, and nothing is bound."""
    given = answer(challenge(server))
    assert send(server, given).status == 200
    before = bindings(server)
    assert is_stale(send(server, given, THIEF))
    assert is_stale(send(server, given, ("203.0.113.5", 50000)))
    assert is_stale(send(server, given, contact="<sip:1111@192.168.0.66:5060>"))
    assert bindings(server) == before


def test_unused_credentials_are_worth_nothing(server: Ksr) -> None:
    """From another address or for another Call-ID, even before the phone has used them."""
    given = answer(challenge(server))
    assert is_stale(send(server, given, THIEF))
    assert is_stale(send(server, given, call_id="another"))
    assert send(server, given).status == 200


def test_a_repeated_register_is_answered_again(server: Ksr) -> None:
    """The same bytes from the same address and port, for 32 seconds."""
    headers = {"Authorization": answer(challenge(server))}
    data = register("1111", call_id="one", headers=headers)
    assert server.receive(data, PHONE).reply.status == 200
    assert server.receive(data, PHONE).reply.status == 200
    assert is_stale(server.receive(data, ("203.0.113.5", 50000)).reply)
    server.clock.advance(40)
    assert is_stale(server.receive(data, PHONE).reply)


def test_a_phone_that_counts_needs_one_challenge(server: Ksr) -> None:
    """Until NONCE_EXPIRES or 255 uses; each nc counts once, and none below it."""
    asked = challenge(server)
    for nc in (1, 2, 5):
        assert send(server, answer(asked, nc=nc)).status == 200
    for nc in (1, 4, 5, 256):
        assert is_stale(send(server, answer(asked, nc=nc)))
    server.clock.advance(3600)
    assert send(server, answer(asked, nc=6)).status == 200
    server.clock.advance(3700)
    assert is_stale(send(server, answer(asked, nc=7)))


def test_without_qop_a_nonce_is_good_for_once(server: Ksr) -> None:
    """RFC 2069 phones go on with a new nonce."""
    asked = challenge(server).replace(', qop="auth"', "")
    assert send(server, answer(asked)).status == 200
    assert is_stale(send(server, answer(asked)))


def test_without_a_secret_every_nonce_is_good_for_once(ksr: Ksr) -> None:
    """Then only module auth can tell whom a nonce was given to, and with nc it does not look."""
    server = start(ksr)
    asked = challenge(server)
    assert is_stale(send(server, answer(asked), call_id="another"))
    asked = challenge(server)
    assert send(server, answer(asked)).status == 200
    assert is_stale(send(server, answer(asked, nc=2)))


def test_a_qop_can_not_be_taken_away(server: Ksr) -> None:
    """The response was made with it."""
    bare = re.sub(r', (qop|nc|cnonce)=("[^"]*"|[^,]+)', "", answer(challenge(server)))
    assert "qop" not in bare
    assert send(server, bare).status == 401


@pytest.mark.parametrize(
    "uri", [f"sip:{DOMAIN.upper()}", f"SIP:{DOMAIN}", f"{URI}:5060", f"{URI};transport=udp"]
)
def test_the_uri_may_be_written_a_little_differently(server: Ksr, uri: str) -> None:
    """Letter case of scheme and host, a port where the other has none, parameters."""
    assert send(server, answer(challenge(server), uri=uri)).status == 200


@pytest.mark.parametrize("uri", ["sip:elsewhere.test", f"sip:x@{DOMAIN}", "*"])
def test_another_uri_is_refused(server: Ksr, uri: str) -> None:
    """400, and nothing is bound."""
    reply = send(server, answer(challenge(server), uri=uri))
    assert (reply.status, reply.reason) == (400, "Digest URI Is Not The Request-URI")
    assert bindings(server) == []


def test_a_call_can_not_be_sent_elsewhere(server: Ksr) -> None:
    """Credentials for one callee or one method are no good for another."""
    target = f"sip:2222@{DOMAIN}"
    sender = f"sip:1111@{DOMAIN}"
    first = server.receive(invite(target, sender=sender, call_id="call"), PHONE).reply
    assert first.status == 407
    given = {"Proxy-Authorization": answer(first["Proxy-Authenticate"], "INVITE", target)}
    other = invite(f"sip:3333@{DOMAIN}", sender=sender, call_id="call", headers=given)
    assert server.receive(other, PHONE).reply.status == 400
    text = message(target, sender=sender, call_id="call", headers=given)
    assert server.receive(text, PHONE).reply.status == 407


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("algorithm=MD5", "algorithm=SHA-256", "Digest Algorithm Was Not Offered"),
        ("algorithm=MD5", "algorithm=MD5-sess", "Digest Algorithm Was Not Offered"),
        (r'response="\w+', 'response="' + "0" * 64, "Digest Response Is No MD5"),
        ('response="', 'response="z', "Digest Response Is No MD5"),
        ('username="1111"', 'username=""', "Incomplete Credentials"),
        ('username="1111"', f'username="{"1" * 20000}"', "Username Too Long"),
        ("nonce=", "nonce ", "Malformed Credentials"),
        ('uri="[^"]*"', r'\g<0>, uri="sip:x"', "Digest URI Is Not The Request-URI"),
    ],
)
def test_credentials_that_say_something_else_are_refused(
    server: Ksr, old: str, new: str, reason: str
) -> None:
    """400 with the reason."""
    reply = send(server, re.sub(old, new, answer(challenge(server))))
    assert (reply.status, reply.reason) == (400, reason)
    assert bindings(server) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nonce=", 'realXXXXe="x", nonce='),
        ("nonce=", 'noncXXXXonse="x" , nonce='),
        ("nonce=", 'x=\u00a0"v, nonce=x, z=a", nonce='),
    ],
)
def test_a_field_is_what_module_auth_takes_for_it(server: Ksr, old: str, new: str) -> None:
    """Its parser has ways of its own; what it reads is no right answer."""
    assert send(server, re.sub(old, new, answer(challenge(server)))).status == 401
    assert bindings(server) == []


@pytest.mark.parametrize("part", [b"192.168.0.104", b"q=0.1"])
def test_a_register_that_differs_in_any_byte_is_no_repetition(server: Ksr, part: bytes) -> None:
    """Not even in its second Contact, from the same place."""
    contacts = ["<sip:1111@192.168.0.103>", "<sip:1111@192.168.0.104>;q=0.1"]
    headers = {"Authorization": answer(challenge(server)), "Contact": contacts}
    data = register("1111", call_id="one", headers=headers)
    assert server.receive(data, PHONE).reply.status == 200
    assert server.receive(data, PHONE).reply.status == 200
    assert is_stale(server.receive(data.replace(part, part[:-1] + b"5"), PHONE).reply)


@pytest.mark.parametrize("scheme", ["Digest\u00a0", "Dige\u017ft "])
def test_another_scheme_hides_no_credentials(server: Ksr, scheme: str) -> None:
    """Kamailio passes over what is no Digest to it, and so do we."""
    given = answer(challenge(server))
    own = answer(challenge(server, "thief", THIEF)).replace("Digest ", scheme)
    headers = {"Authorization": [own, given]}
    data = register("1111", call_id="thief", headers=headers)
    assert is_stale(server.receive(data, THIEF).reply)
    assert bindings(server) == []


def test_a_phone_that_has_left_is_not_brought_back_by_its_old_register(server: Ksr) -> None:
    """The very bytes, once their transaction has gone."""
    given = answer(asked := challenge(server))
    seen = register("1111", call_id="one", headers={"Authorization": given})
    assert server.receive(seen, PHONE).reply.status == 200
    leave = {"Authorization": answer(asked, nc=2)}
    left = register("1111", call_id="one", cseq=9, expires=0, headers=leave)
    assert server.receive(left, PHONE).reply.status == 200
    server.clock.advance(60)
    assert server.receive(seen, PHONE).reply.status == 401
    assert bindings(server) == []
