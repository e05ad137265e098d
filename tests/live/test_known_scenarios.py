"""What the test suites of Kamailio and OpenSIPS ask of a registrar, asked of this one.

kamailio-tests (github.com/kamailio/kamailio-tests) and the tests of SIPssert
(github.com/OpenSIPS/sipssert-opensips-tests), each in our own words. Where we do something else on
purpose, the test says what and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kemi_routes.subscribers.database import connect as open_database

from .call import contact_of
from .conversation import answer, hang_up, ring
from .digest import md5
from .message import parameter
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .server import DOMAIN, Server, free_port

ANY_PORT = ("127.0.0.1", 0)
OTHER_DOMAIN = "second.test"
# Seconds. The suites register for 5 or 10: that only makes the wait longer.
SHORT = 2


@contextmanager
def serving(host: Namespace, **settings: str) -> Iterator[Server]:
    """A server that writes its bindings every second."""
    server = Server(host, settings={"PING_INTERVAL": "1", "MIN_EXPIRES": "1", **settings})
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(host: Namespace) -> Iterator[Server]:
    """One with two domains, for all tests that need no settings of their own."""
    with serving(host, SIP_DOMAIN=f"{DOMAIN} {OTHER_DOMAIN}") as server:
        yield server


def rows(server: Server, user: str) -> int:
    """How many bindings of a user are in the database."""
    with open_database(server.settings["DBURL"]) as database:
        query = "SELECT count(*) FROM location WHERE username = ?"
        ((count,),) = database.rows(query, (user,))
    assert isinstance(count, int)
    return count


def is_bound(server: Server, phone: Phone) -> None:
    """It is bound now, and soon in the database as well."""
    assert len(server.bindings(phone.user)) == 1
    eventually(lambda: rows(server, phone.user) == 1, "row of the binding")


def is_gone(server: Server, phone: Phone) -> None:
    """No binding is left, and soon no row."""
    eventually(lambda: not server.bindings(phone.user), "end of the binding")
    eventually(lambda: rows(server, phone.user) == 0, "end of its row")


def granted(phone: Phone, expires: int) -> int:
    """The seconds for which a phone is bound that asks for so many."""
    done = phone.register(expires)
    assert done.status == 200
    return int(parameter(done["Contact"], "expires"))


# kamailio-tests


def test_who_has_registered_is_reached(server: Server, host: Namespace) -> None:
    """tulocx0001, with the default settings: a phone registers, and what is sent to its user comes
    to it. There without a password, which we ask for."""
    phone = server.phone(host, "1001", local=ANY_PORT)
    assert phone.register().status == 200
    sent = phone.request("MESSAGE", phone.aor, "hello", {"Content-Type": "text/plain"})
    phone.expect_request("MESSAGE").reply(200)
    sent.wait_for(200)
    assert [challenge.status for challenge in sent.challenges] == [407]


@pytest.mark.parametrize("domain", [DOMAIN, OTHER_DOMAIN])
def test_a_subscriber_of_the_database_is_authenticated(
    server: Server, host: Namespace, domain: str
) -> None:
    """tauthx0001: with one domain and with several. A user of this name in each of them is two
    people, so that the password of the one is none of the other's."""
    passwords = {DOMAIN: "alice123", OTHER_DOMAIN: "alice456"}
    other = next(one for one in passwords if one != domain)
    for one in passwords:
        if f"alice@{one}" not in server.passwords:
            server.add_subscriber(f"alice@{one}", passwords[one])
    alice = Phone(host, "alice", domain, passwords[domain], server.address(), local=ANY_PORT)
    sent = alice.request("OPTIONS", f"sip:bob@{domain}")
    assert sent.final().status == 404, "nobody is bob, but she may ask for him"
    assert [challenge.status for challenge in sent.challenges] == [407]
    alice.password = passwords[other]
    assert alice.request("OPTIONS", f"sip:bob@{domain}").final().status == 407
    assert alice.register().status == 401
    alice.close()


# SIPssert: registration


def test_a_phone_registers_and_unregisters(server: Server, host: Namespace) -> None:
    """registration/01.no-db and 02.db: bound in memory and in the database, then in neither."""
    phone = server.phone(host, "2001", local=ANY_PORT)
    assert phone.register().status == 200
    is_bound(server, phone)
    assert phone.register(None, contact=f"{phone.contact};expires=0").status == 200
    assert server.bindings(phone.user) == []
    is_gone(server, phone)


def test_a_binding_expires(server: Server, host: Namespace) -> None:
    """registration/03.expire: from memory and from the database."""
    phone = server.phone(host, "2002", local=ANY_PORT)
    assert granted(phone, SHORT) == SHORT
    is_bound(server, phone)
    is_gone(server, phone)


def test_a_registration_is_not_shorter_than_allowed(host: Namespace) -> None:
    """registration/04.expire-min: OpenSIPS silently makes it longer. We say 423 (RFC 3261 10.3):
    a phone that asked for less would not know for how long it is bound, nor when it is not."""
    with serving(host, MIN_EXPIRES=str(SHORT)) as server:
        phone = server.phone(host, "2003", local=ANY_PORT)
        refused = phone.register(SHORT - 1)
        assert (refused.status, refused["Min-Expires"]) == (423, str(SHORT))
        assert server.bindings(phone.user) == []
        assert granted(phone, int(refused["Min-Expires"])) == SHORT
        is_bound(server, phone)
        is_gone(server, phone)


def test_a_registration_is_not_longer_than_allowed(host: Namespace) -> None:
    """registration/05.expire-max: twice as long is asked for, and it ends in time."""
    limits = {"MAX_EXPIRES": str(SHORT), "DEFAULT_EXPIRES": str(SHORT)}
    with serving(host, **limits) as server:
        phone = server.phone(host, "2004", local=ANY_PORT)
        assert granted(phone, 2 * SHORT) == SHORT
        is_bound(server, phone)
        is_gone(server, phone)


def test_a_phone_that_registers_again_for_less_is_gone_earlier(
    server: Server, host: Namespace
) -> None:
    """registration/06.reregister-expire: the same binding, and the later expiry counts."""
    phone = server.phone(host, "2005", local=ANY_PORT)
    assert granted(phone, 60) == 60
    is_bound(server, phone)
    assert granted(phone, SHORT) == SHORT
    assert len(server.bindings(phone.user)) == 1
    is_gone(server, phone)


def test_the_number_of_bindings_is_limited(host: Namespace) -> None:
    """registration/07.limit: after two phones a third has 503 and changes nothing; both expire."""
    with serving(host, MAX_CONTACTS="2") as server:
        first, second, third = (server.phone(host, "2006", local=ANY_PORT) for _ in range(3))
        assert first.register().status == 200
        assert second.register().status == 200
        eventually(lambda: rows(server, "2006") == 2, "rows of the two")
        before = server.bindings("2006")
        assert len(before) == 2
        assert third.register().status == 503
        assert server.bindings("2006") == before
        assert rows(server, "2006") == 2
        assert granted(first, SHORT) == SHORT
        eventually(lambda: len(server.bindings("2006")) == 1, "end of the first binding")
        assert granted(second, SHORT) == SHORT
        is_gone(server, second)


def test_a_phone_that_moves_takes_the_place_of_its_former_binding(host: Namespace) -> None:
    """registration/08.overwrite: with one binding allowed, the later one replaces the earlier. For
    OpenSIPS those are any two phones; we let none put out another one, and know a phone that has
    moved by its Call-ID."""
    with serving(host, MAX_CONTACTS="1") as server:
        phone = server.phone(host, "2007", local=ANY_PORT)
        other = server.phone(host, "2007", local=ANY_PORT)
        assert phone.register().status == 200
        for _ in range(2):
            phone.local = ("127.0.0.1", free_port())
            phone.contact = contact_of(phone)
            phone.reconnect()
            assert phone.register().status == 200
            assert server.bindings("2007") == [phone.contact.strip("<>")]
        assert other.register().status == 503
        assert server.bindings("2007") == [phone.contact.strip("<>")]


def test_a_call_comes_to_the_phone_that_has_registered(server: Server, host: Namespace) -> None:
    """registration/09.lookup: a stranger calls, both sides see one Record-Route and no Route of
    somebody else, and ACK and BYE find their way, with no Record-Route any more."""
    callee = server.phone(host, "2008", local=ANY_PORT)
    assert callee.register().status == 200
    caller = Phone(host, "caller", "elsewhere.test", None, server.address(), local=ANY_PORT)
    ringing, incoming = ring(caller, callee)
    assert len(incoming.message.all("Record-Route")) == 1
    assert "Route" not in incoming.message
    ends = answer(ringing, incoming)
    accepted = ringing.wait_for(200)
    assert len(accepted.all("Record-Route")) == 1
    assert "Route" not in accepted
    bye = hang_up(*ends)
    ack = next(m for way, m in callee.log if way == "<" and m.method == "ACK")
    for message in (ack, bye):
        assert "Record-Route" not in message
        assert "Route" not in message
    caller.close()


# SIPssert: auth


def by_password(server: Server, domain: str) -> None:
    """As our own command adds a subscriber."""
    server.add_subscriber(f"3001@{domain}", f"secret of {domain}")


def by_hash(server: Server, domain: str) -> None:
    """As another tool does that knows the hash alone."""
    ha1 = md5(f"3001:{domain}:secret of {domain}")
    with open_database(server.settings["DBURL"]) as database:
        statement = "INSERT INTO subscriber (username, domain, ha1) VALUES ('3001', ?, ?)"
        database.execute(statement, (domain, ha1))


@pytest.fixture(scope="module", params=[by_password, by_hash])
def with_subscribers(request: pytest.FixtureRequest, host: Namespace) -> Iterator[Server]:
    """A server whose 3001 of each domain has another password."""
    with serving(host, SIP_DOMAIN=f"{DOMAIN} {OTHER_DOMAIN}") as server:
        for domain in (DOMAIN, OTHER_DOMAIN):
            request.param(server, domain)
        yield server


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
@pytest.mark.parametrize("domain", [DOMAIN, OTHER_DOMAIN])
def test_a_phone_answers_a_challenge(
    with_subscribers: Server, host: Namespace, domain: str, method: str
) -> None:
    """auth/01 to 08: REGISTER (www) and INVITE (proxy), passwords and hashes, one domain and
    several. We keep hashes only, of both kinds, and a user is always one of his own domain."""
    address = with_subscribers.address()
    phone = Phone(host, "3001", domain, f"secret of {domain}", address, local=ANY_PORT)
    fields = [("Contact", phone.contact), ("Expires", "5")]
    uri = {"REGISTER": f"sip:{domain}", "INVITE": f"sip:nobody@{domain}"}[method]
    to = f"<{phone.aor}>" if method == "REGISTER" else f"<{uri}>"
    asked, allowed = {"REGISTER": (401, 200), "INVITE": (407, 404)}[method]
    sent = phone.start(phone.make_request(method, uri, fields=fields, to=to))
    assert sent.final().status == allowed
    assert [challenge.status for challenge in sent.challenges] == [asked]
    phone.password = f"secret of {DOMAIN if domain == OTHER_DOMAIN else OTHER_DOMAIN}"
    refused = phone.start(phone.make_request(method, uri, fields=fields, to=to))
    assert refused.final().status == asked
    phone.close()
