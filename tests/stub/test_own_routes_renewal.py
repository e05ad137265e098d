"""Our own routes on the stub: a phone that says once more where it is is not examined again, and
whatever is said otherwise is."""

from __future__ import annotations

import re

import pytest
from ksr_stub.builders import Headers
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone

from .own_routes import alice, start

CONTACT = "<sip:1111@192.168.0.103:5060>"
BOUND = "sip:1111@192.168.0.103:5060;alias=203.0.113.5~40123~1"
VICTIM = "sip:victim@203.0.113.61:5060;alias=203.0.113.61~5060~1"


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    server = start(ksr)
    assert alice(server).register(contact=CONTACT).status == 200
    return server


def bound(phone: Phone) -> list[str]:
    """The URIs of its bindings, as a query lists them."""
    listed = phone.register(contact="", expires=None).all("Contact")
    return re.findall(r"<([^>]*)>", ", ".join(listed))


@pytest.mark.parametrize(("contact", "expires"), [(CONTACT, 3600), (f"{CONTACT};expires=600", 600)])
def test_a_phone_renews_its_binding_from_another_call_id(
    server: Ksr, contact: str, expires: int
) -> None:
    """It has been restarted, say."""
    reply = alice(server).register(contact=contact)
    assert (reply.status, reply["Contact"]) == (
        200,
        f'<{BOUND}>;expires={expires};received="sip:203.0.113.5:40123"',
    )
    assert bound(alice(server)) == [BOUND]


@pytest.mark.parametrize(
    ("expires", "contact"), [(0, CONTACT), (3600, f"{CONTACT};expires=0"), (0, "*")]
)
def test_a_phone_removes_its_binding(server: Ksr, expires: int, contact: str) -> None:
    assert alice(server).register(expires, contact).status == 200
    assert bound(alice(server)) == []


@pytest.mark.parametrize(
    ("contact", "headers", "status"),
    [
        (CONTACT.removesuffix(">"), {}, 400),
        (f'{CONTACT};received="{VICTIM}"', {}, 403),
        (f"{CONTACT};q=0.5;q=0.6", {}, 400),
        (f"{CONTACT}, <{VICTIM}>", {}, 403),
        (CONTACT, {"Path": f"<{VICTIM};lr>"}, 403),
        (CONTACT, {"Contact": [CONTACT, f"<{VICTIM}>"]}, 403),
    ],
)
def test_what_is_not_all_the_same_is_examined(
    server: Ksr, contact: str, headers: Headers, status: int
) -> None:
    assert alice(server).register(contact=contact, headers=headers).status == status
    assert bound(alice(server)) == [BOUND]


def test_an_older_register_of_the_same_phone_is_refused(server: Ksr) -> None:
    """RFC 3261 10.3: the binding that it has is of a later one."""
    phone = alice(server)
    for _ in range(3):
        assert phone.register(contact=CONTACT).status == 200
    phone._cseq = 1
    reply = phone.register(contact=CONTACT)
    assert (reply.status, reply.reason) == (400, "CSeq Out Of Order")


def test_a_phone_whose_nat_has_another_port_for_it_is_examined(server: Ksr) -> None:
    """Its old binding goes: somebody else may have that port now."""
    phone = alice(server)
    assert phone.register(contact=CONTACT).status == 200
    phone.source = ("203.0.113.5", 40999)
    assert phone.register(contact=CONTACT).status == 200
    assert bound(alice(server)) == [BOUND.replace("40123", "40999")]


def test_a_phone_without_nat_renews_as_well(server: Ksr) -> None:
    phone = server.phone("2222", "second secret", source=("198.51.100.9", 5060))
    for _ in range(2):
        assert phone.register().status == 200
    assert bound(phone) == ["sip:2222@198.51.100.9:5060"]
