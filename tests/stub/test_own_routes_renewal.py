"""Our own routes on the stub: a phone that says once more what it has said is asked for its
password, and whatever says something else is looked at."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ksr_stub import digest
from ksr_stub.builders import Headers, register
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone
from ksr_stub.tables import Tables
from ksr_stub.traffic import Message

from kemi_routes.subscribers.schema import initialise

from .own_routes import DOMAIN, HOME, LIBRARY, PLACE, alice, answer, challenge, is_stale, start

AOR = f"1111@{DOMAIN}"
SECRET = "a secret of at least thirty-two characters"
CONTACT = "<sip:1111@192.168.0.103:5060>"
BOUND = "sip:1111@192.168.0.103:5060;alias=203.0.113.5~40123~1"
VICTIM = "sip:victim@203.0.113.61:5060;alias=203.0.113.61~5060~1"


@pytest.fixture(params=["1", "0"], ids=["in memory", "in the database"])
def server(ksr: Ksr, tmp_path: Path, request: pytest.FixtureRequest) -> Ksr:
    """A phone has registered, and the HA1 is here or there."""
    initialise(f"sqlite://{tmp_path}/x.sqlite")
    server = start(
        ksr,
        DBURL=f"sqlite://{tmp_path}/x.sqlite",
        CREDENTIALS_CACHE=request.param,
        SERVER_SECRET=SECRET,
    )
    server.listen("udp:203.0.113.10:5060", "tcp:203.0.113.10:5060")
    server.run_timer("listener")
    assert alice(server).register(contact=CONTACT).status == 200
    return server


def looks(server: Ksr, ask: Callable[[], Message]) -> tuple[int, bool]:
    """The status of a reply, and whether the bindings were looked at for it."""
    before = len(server.world.calls)
    status = ask().status
    calls = [call.name for call in server.world.calls[before:]]
    return status, "KSR.registrar.reg_fetch_contacts" in calls


def kept(server: Ksr) -> list[str]:
    """Of whom is kept what the last REGISTER has said."""
    found = server.world.part(Tables).get("renewals")
    assert found is not None
    return sorted(found.cells)


def send(server: Ksr, credentials: str | list[str], **more: object) -> Message:
    """What alice's phone said, with these credentials."""
    headers: Headers = {"Authorization": credentials}
    more = {"call_id": "one", "contact": CONTACT, "headers": headers, **more}
    return server.receive(register("1111", **more), PLACE).reply  # type: ignore[arg-type]


def bound(phone: Phone) -> list[str]:
    """The URIs of its bindings, as a query lists them."""
    listed = phone.register(contact="", expires=None).all("Contact")
    return re.findall(r"<([^>]*)>", ", ".join(listed))


def test_a_phone_that_says_the_same_is_asked_for_its_password_only(server: Ksr) -> None:
    assert looks(server, lambda: alice(server).register(contact=CONTACT)) == (200, False)
    assert bound(alice(server)) == [BOUND]


@pytest.mark.parametrize(
    ("contact", "expires", "headers"),
    [
        (CONTACT, 600, {}),
        (f"{CONTACT};q=0.5", 3600, {}),
        (f"{CONTACT};x={'y' * 9000}", 3600, {}),
        (CONTACT, 3600, {"X-Proxy": "y", "Proxy-Authorization": "Basic eDp5"}),
    ],
)
def test_a_phone_that_says_something_else_is_looked_at(
    server: Ksr, contact: str, expires: int, headers: Headers
) -> None:
    phone = alice(server)
    assert looks(server, lambda: phone.register(expires, contact, headers)) == (200, True)


@pytest.mark.parametrize("name", ["another one", "téléphone", "one\x1ftwo", "x" * 9000])
def test_the_name_of_a_phone_does_not_matter(server: Ksr, name: str) -> None:
    headers = {"Authorization": answer(challenge(server)), "User-Agent": "telephone"}
    data = register("1111", call_id="one", contact=CONTACT, headers=headers)
    data = data.replace(b"telephone", name.encode("latin-1"))
    assert looks(server, lambda: server.receive(data, PLACE).reply) == (200, False)


def test_a_contact_that_is_no_utf_8_is_refused(server: Ksr) -> None:
    headers = {"Authorization": answer(challenge(server))}
    data = register("1111", call_id="one", contact="<sip:x@192.168.0.103>;x=y", headers=headers)
    assert server.receive(data.replace(b"=y", b"=\xe9"), PLACE).reply.status == 400


def test_of_a_contact_that_can_not_be_told_apart_nothing_is_kept(server: Ksr) -> None:
    assert alice(server).register(contact=f"{CONTACT};x=one\x1ftwo").status == 200
    assert kept(server) == []


@pytest.mark.parametrize("domain", [f"{DOMAIN}\x1f1", "other.test\x1f1\x1f"])
def test_a_separator_in_from_hides_nothing(server: Ksr, domain: str) -> None:
    headers = {"From": f"<sip:1111@{domain}>;tag=x", "Authorization": answer(challenge(server))}
    assert send(server, "", headers=headers).status in (400, 403)


@pytest.mark.parametrize("source", [("203.0.113.5", 40124), ("203.0.113.6", 40123)])
def test_a_phone_that_is_elsewhere_is_looked_at(server: Ksr, source: tuple[str, int]) -> None:
    phone = alice(server)
    phone.source = source
    assert looks(server, lambda: phone.register(contact=CONTACT)) == (200, True)
    assert looks(server, lambda: phone.register(contact=CONTACT)) == (200, False)


def test_a_phone_that_takes_another_protocol_is_looked_at(server: Ksr) -> None:
    """Its old binding goes."""
    phone = alice(server)
    assert phone.register(contact=CONTACT).status == 200
    phone.proto, phone.connection = "tcp", 7
    assert looks(server, lambda: phone.register(contact=CONTACT)) == (200, True)
    assert looks(server, lambda: phone.register(contact=CONTACT)) == (200, False)


@pytest.mark.parametrize(
    "contact",
    [f"{CONTACT}, {CONTACT.replace('103', '104')}", "<sip:1111@192.168.0.103:5060?x=y>", ""],
)
def test_of_what_is_no_single_plain_contact_nothing_is_kept(server: Ksr, contact: str) -> None:
    assert kept(server) == [f"sip:{AOR}"]
    assert alice(server).register(contact=contact).status == 200
    assert kept(server) == []


@pytest.mark.parametrize(
    "aor", [f"sip:1111@{DOMAIN.upper()}", f"sip:{AOR}:5060", f"sip:{AOR};x=1", f"SIP:{AOR}"]
)
def test_there_is_one_entry_for_a_subscriber_however_it_is_written(server: Ksr, aor: str) -> None:
    phone = alice(server)
    for _ in range(2):
        reply = phone.register(
            contact=CONTACT, headers={"From": f"<{aor}>;tag=x", "To": f"<{aor}>"}
        )
        assert reply.status in (200, 403)
    assert kept(server) == [f"sip:{AOR}"]


def test_who_has_expired_is_forgotten(server: Ksr) -> None:
    """What comes then is no renewal: it would bring a phone back."""
    server.clock.advance(3700)
    assert kept(server) == []


def test_other_routes_look_at_everybody_again(server: Ksr) -> None:
    """After a reload: they may look at more."""
    server.load(HOME / "kamailio/kemi.py", library=LIBRARY)
    assert kept(server) == []


def test_a_process_that_starts_later_forgets_nobody(server: Ksr) -> None:
    sys.modules["kemi_routes.engine"].child_init(2)
    assert kept(server) == [f"sip:{AOR}"]


# Credentials of a phone that is known


def test_credentials_that_were_never_used_can_only_prolong_the_binding(server: Ksr) -> None:
    """From the phone's own address and port, with another Call-ID."""
    given = answer(challenge(server))
    assert send(server, given, call_id="another", contact="<sip:1111@192.168.0.66>").status == 401
    assert send(server, answer(challenge(server)), call_id="another").status == 200
    assert bound(alice(server)) == [BOUND]


def test_a_wrong_password_is_refused_and_the_next_one_is_looked_at(server: Ksr) -> None:
    assert alice(server, "wrong").register(contact=CONTACT).status == 401
    assert [line for line in server.log if "not authenticated (-2): challenge" in line]
    assert looks(server, lambda: alice(server).register(contact=CONTACT)) == (200, True)


def test_wrong_passwords_are_counted(server: Ksr) -> None:
    guesses = server.world.part(Tables).get("guesses")
    assert guesses is not None
    assert alice(server, "wrong").register(contact=CONTACT).status == 401
    assert len(guesses.cells) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('uri="sip:', 'uri="sip:x.'),
        (f'uri="sip:{DOMAIN}"', f'uri="sip:{DOMAIN}\x1f"'),
        ("response=", "response=x"),
        ("algorithm=MD5", "algorithm=X"),
    ],
)
def test_credentials_for_something_else_are_no_better_than_before(
    server: Ksr, old: str, new: str
) -> None:
    assert send(server, answer(challenge(server)).replace(old, new)).status == 400


@pytest.mark.parametrize(
    "uri", [f"sip:{DOMAIN}:5060", f"sip:{DOMAIN};transport=udp", f"SIP:{DOMAIN}"]
)
def test_a_uri_may_be_written_otherwise(server: Ksr, uri: str) -> None:
    given = answer(challenge(server), uri=uri)
    assert looks(server, lambda: send(server, given)) == (200, False)


def test_no_credentials_that_can_be_read_are_a_challenge(server: Ksr) -> None:
    assert send(server, "Basic eDp5").status == 401


def test_the_right_ones_of_several_are_found(server: Ksr) -> None:
    """They go the whole way."""
    given = answer(challenge(server))
    others = given.replace(f'realm="{DOMAIN}"', 'realm="other.test"')
    assert looks(server, lambda: send(server, [others, given])) == (200, True)


def test_a_phone_may_begin_to_give_its_whole_address(server: Ksr) -> None:
    """Its HA1 is another one then, and the first time the nonce is used up by that."""
    whole = server.phone(
        "1111", "first secret", source=("203.0.113.5", 40123), private=("192.168.0.103", 5060)
    )
    assert whole.register(contact=CONTACT).status == 200
    for _ in range(2):
        asked = challenge(server)
        given = digest.credentials(asked, "REGISTER", f"sip:{DOMAIN}", AOR, "first secret")
        status = send(server, given).status
    assert status == 200


def test_a_repeated_renewal_is_answered_again_and_changes_nothing(server: Ksr) -> None:
    """For 32 seconds: then its credentials are used up."""
    asked = challenge(server)
    data = register(
        "1111", call_id="one", cseq=7, contact=CONTACT, headers={"Authorization": answer(asked)}
    )
    assert server.receive(data, PLACE).reply.status == 200
    server.clock.advance(10)
    again = server.receive(data, PLACE).reply
    assert (again.status, "expires=3590" in again["Contact"]) == (200, True)
    server.clock.advance(22)
    assert is_stale(server.receive(data, PLACE).reply)


def test_a_renewal_whose_bindings_another_worker_is_stuck_with_is_no_repetition(
    server: Ksr,
) -> None:
    """503: it can't be known what it is."""
    given = answer(challenge(server))
    assert send(server, given, cseq=7).status == 200
    queue = f"bindings {hash('1111') % 4096}"
    waiting = server.world.part(Tables).get("waiting")
    assert waiting is not None
    waiting.add(queue, 1, server.clock.now)
    assert send(server, given, cseq=7).status == 503


def test_the_database_is_away(server: Ksr) -> None:
    server.lose_database()
    found = server.world.part(Tables).get("ha1")
    assert found is not None
    status = 200 if found.cells else 503
    assert alice(server).register(contact=CONTACT).status == status


def test_a_subscriber_who_was_forgotten_is_looked_up(server: Ksr) -> None:
    """The HA1 is gone from memory, what the phone said is not."""
    found = server.world.part(Tables).get("ha1")
    assert found is not None
    in_memory = bool(found.cells)
    found.cells.clear()
    assert looks(server, lambda: alice(server).register(contact=CONTACT)) == (200, in_memory)


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
    """RFC 3261 10.3: the binding that it has is of a later one. usrloc sees that as well."""
    phone = alice(server)
    for _ in range(3):
        assert phone.register(contact=CONTACT).status == 200
    phone._cseq = 1
    assert phone.register(contact=CONTACT).status == 400
    reply = phone.register(600, CONTACT)
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
