"""Whose name a request carries: only what is proved, or said by a trusted peer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .challenges import answer, ask, challenge_of, make, register
from .conversation import answer as answer_call
from .conversation import hang_up
from .digest import credentials
from .message import Message
from .network import Namespace
from .phone import Phone
from .server import DOMAIN, Server

PASSWORD = "secret of 1111"
PEER = ("127.0.0.9", 0)
FOREIGN = "elsewhere.example"
URI = f"sip:{DOMAIN}"
THEIRS = f"<sip:stranger@{FOREIGN}>;tag=1"
# as phones, gateways and attackers write them
CLAIMS = {
    "P-Asserted-Identity": '"The Bank" <sip:+4930@bank.example>, <tel:+4930>',
    "P-PREFERRED-IDENTITY": "<sip:2222@example.test>",
    "remote-party-id": "<sip:+4930@bank.example>;party=calling;screen=yes",
    "Diversion": "<sip:+4930@bank.example>;reason=unconditional",
    "History-Info": "<sip:+4930@bank.example>;index=1",
    "P-Access-Network-Info": "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=00000001",
    "P-Charging-Vector": "icid-value=1234",
    "P-Charging-Function-Addresses": "ccf=192.0.2.1",
    "P-Visited-Network-ID": '"Visited"',
    "P-Asserted-Service": "urn:urn-7:3gpp-service.ims.icsi.mmtel",
    "P-Served-User": "<sip:+4930@bank.example>;sescase=orig",
}
KEPT = {"Privacy": "id", "Subject": "hello", "X-Diversion": "mine"}


@pytest.fixture(scope="module")
def shared(host: Namespace) -> Server:
    """One server, which trusts what 127.0.0.9 says."""
    settings = {"TRUSTED_PEERS": "127.0.0.9 2001:db8::/32", "CHILDREN": "1"}
    server = Server(host, settings=settings)
    for user in ("1111", "2222", "alice"):
        server.add_subscriber(f"{user}@{DOMAIN}", f"secret of {user}")
    return server


@pytest.fixture
def phone(shared: Server, host: Namespace) -> Iterator[Phone]:
    """A phone of 1111."""
    phone = shared.phone(host, "1111", local=("127.0.0.1", 0))
    yield phone
    shared.kamcmd("ul.rm", "location", f"1111@{DOMAIN}")
    phone.close()


@pytest.fixture
def callee(shared: Server, host: Namespace) -> Iterator[Phone]:
    """2222, registered for the time of the test."""
    phone = shared.phone(host, "2222", local=("127.0.0.1", 0))
    assert phone.register().status == 200
    yield phone
    assert phone.unregister().status == 200
    phone.close()


def stranger(server: Server, host: Namespace, local: tuple[str, int]) -> Phone:
    """A phone of another provider at an address of loopback."""
    return Phone(host, "stranger", FOREIGN, None, server.address(), local=local)


def names(message: Message) -> set[str]:
    """The names of its headers."""
    return {name.lower() for name, _ in message.fields}


def lower(claims: dict[str, str]) -> set[str]:
    """Names in lower case."""
    return {name.lower() for name in claims}


# Claims


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REFER", "SUBSCRIBE"])
@pytest.mark.parametrize("caller", ["our user", "a stranger"])
def test_claims_of_phones_and_strangers_end_here(
    shared: Server, host: Namespace, phone: Phone, callee: Phone, caller: str, method: str
) -> None:
    sender = phone if caller == "our user" else stranger(shared, host, ("127.0.0.3", 0))
    sent = sender.request(method, callee.aor, headers=CLAIMS | KEPT)
    incoming = callee.expect_request(method)
    assert not names(incoming.message) & lower(CLAIMS)
    assert lower(KEPT) <= names(incoming.message)
    incoming.reply(486)
    sent.wait_for(486)


def test_claims_of_a_trusted_peer_are_kept(shared: Server, host: Namespace, callee: Phone) -> None:
    peer = stranger(shared, host, PEER)
    sent = peer.request("MESSAGE", callee.aor, headers=CLAIMS | {"Privacy": "none"})
    incoming = callee.expect_request("MESSAGE")
    assert lower(CLAIMS) <= names(incoming.message)
    incoming.reply(200)
    sent.wait_for(200)


@pytest.mark.parametrize("privacy", ["id", "header;id", "user, ID ;critical"])
def test_who_wants_privacy_is_not_named_to_our_phones(
    shared: Server, host: Namespace, callee: Phone, privacy: str
) -> None:
    """RFC 3325 7: phones are outside of the trust domain."""
    peer = stranger(shared, host, PEER)
    sent = peer.request("MESSAGE", callee.aor, headers=CLAIMS | {"Privacy": privacy})
    incoming = callee.expect_request("MESSAGE")
    assert "P-Asserted-Identity" not in incoming.message
    assert incoming.message["Privacy"] == privacy
    incoming.reply(200)
    sent.wait_for(200)


def test_claims_inside_a_dialog_and_in_replies_end_here(phone: Phone, callee: Phone) -> None:
    call = phone.invite("2222")
    incoming = callee.expect_request("INVITE")
    incoming.reply(180, headers=CLAIMS)
    assert not names(call.wait_for(180)) & lower(CLAIMS)
    ends = answer_call(call, incoming)
    info = call.request("INFO", headers=CLAIMS)
    inside = callee.expect_request("INFO")
    assert not names(inside.message) & lower(CLAIMS)
    inside.reply(200, headers=CLAIMS)
    assert not names(info.wait_for(200)) & lower(CLAIMS)
    hang_up(*ends)


def test_a_trusted_peer_still_proves_who_it_is_and_relays_nothing(
    shared: Server, host: Namespace
) -> None:
    peer = stranger(shared, host, PEER)
    ours = f"<sip:1111@{DOMAIN}>;tag=1"
    assert ask(peer, "MESSAGE", f"sip:2222@{DOMAIN}", sender=ours).status == 407
    assert ask(peer, "MESSAGE", f"sip:victim@{FOREIGN}").status == 403


# Odd names


NAMES = {
    "SQL": "1111'OR'1'='1",
    "SQL comment": "1111'--",
    "SQL statement": "1111';DROP/**/TABLE/**/subscriber;--",
    "LIKE": "111_",
    "wildcard": "%",
    "percent-encoded": "%31111",
    "encoded NUL": "1111%00",
    "case": "ALICE",
    "quote": "11'11",
    "long": "1" * 20000,
    "longer than the column": "1" * 65,
    "with our domain": f"1111@{DOMAIN}@{DOMAIN}",
    "with another domain": f"1111@{FOREIGN}",
    "as URI": f"sip:1111@{FOREIGN}",
    "not ASCII": "1111é",
    "no UTF-8": "1111\udcff",
}
# In To, Kamailio's core finds no URI in these and drops the request: it can't even answer it.
NO_NAMES = {
    "SQL with spaces": "1111' OR '1'='1",
    "backslash": "1111\\",
    "space": "1111 ",
    "NUL": "\x00",
    "ends in NUL": "1111\x00",
    "quoted": '"1111"',
    "bracketed": "<1111>",
    "two lines": "11\r\n11",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE"])
@pytest.mark.parametrize("place", ["digest", "digest and From", "From"])
def test_an_odd_name_is_refused_and_does_no_harm(
    shared: Server, phone: Phone, method: str, place: str, name: str
) -> None:
    phone.password = None
    before, mark = shared.kamcmd("ul.dump", "brief"), shared.mark()
    uri = URI if method == "REGISTER" else f"sip:2222@{DOMAIN}"
    user = name if "From" in place else "1111"
    parts = {"sender": f"<sip:{user}@{DOMAIN}>;tag=1", "call_id": "odd"}
    parts["to"] = f"<sip:{user}@{DOMAIN}>" if method == "REGISTER" else f"<{uri}>"
    refused = ask(phone, method, uri, **parts)
    if refused.status in (401, 407):
        given = answer(refused, name if "digest" in place else "1111", PASSWORD, uri)
        refused = ask(phone, method, uri, given, **parts)
    assert 400 <= refused.status < 500
    assert shared.kamcmd("ul.dump", "brief") == before
    assert_all_is_well(shared, phone, mark)


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_what_is_no_name_binds_nobody(shared: Server, phone: Phone, name: str) -> None:
    phone.password = None
    before, mark = shared.kamcmd("ul.dump", "brief"), shared.mark()
    given = answer(register(phone), "1111", PASSWORD)
    aor = f"<sip:{name}@{DOMAIN}>"
    request = make(phone, "REGISTER", URI, given, sender=f"{aor};tag=1", to=aor)
    assert status_of(phone, request) == 0
    assert shared.kamcmd("ul.dump", "brief") == before
    assert_all_is_well(shared, phone, mark)


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_what_is_no_name_is_no_digest_user(shared: Server, phone: Phone, name: str) -> None:
    phone.password = None
    before, mark = shared.kamcmd("ul.dump", "brief"), shared.mark()
    given = answer(register(phone), name, PASSWORD)
    request = make(phone, "REGISTER", URI, given, to=f"<{phone.aor}>")
    expected = {0} if name == NO_NAMES["two lines"] else {400, 401, 403}
    assert status_of(phone, request) in expected
    assert shared.kamcmd("ul.dump", "brief") == before
    assert_all_is_well(shared, phone, mark)


def status_of(phone: Phone, request: Message) -> int:
    """The status of the answer, 0 where there is none before the next request is answered: the
    server has one worker."""
    phone.send_raw(bytes(request))
    assert ask(phone, "OPTIONS", URI, sender=THEIRS).status == 200
    answers = [m.status for way, m in phone.log if way == "<" and m.branch == request.branch]
    return answers[0] if answers else 0


def assert_all_is_well(server: Server, phone: Phone, mark: int) -> None:
    """No step has failed (but for want of UTF-8, which is answered with 400), the database has its
    tables, and the phone registers."""
    failures = re.compile(r"Traceback|failed: (?!UnicodeDecodeError)")
    assert [line for line in server.process.lines[mark:] if failures.search(line)] == []
    phone.password = PASSWORD
    assert phone.register().status == 200
    assert phone.unregister().status == 200


@pytest.mark.parametrize("user", ["1111;x=y", "1111:secret"])
def test_one_person_has_one_address_however_it_is_written(
    shared: Server, phone: Phone, user: str
) -> None:
    """What is bound, if anything, is bound to 1111; and only with his password."""
    phone.password = None
    parts = {"sender": f"<sip:{user}@{DOMAIN}>;tag=1", "to": f"<sip:{user}@{DOMAIN}>"}
    response = register(phone, **parts)
    assert response.status == 401
    response = register(phone, answer(response, "1111", PASSWORD), **parts)
    aors = set(re.findall(r"AoR: (\S+)", shared.kamcmd("ul.dump", "brief")))
    assert aors <= {f"1111@{DOMAIN}", f"2222@{DOMAIN}"}
    assert (response.status == 200) == (f"1111@{DOMAIN}" in aors)


@pytest.mark.parametrize("domain", [FOREIGN, f"{DOMAIN}.{FOREIGN}", f"x{DOMAIN}", f"{DOMAIN}%00"])
@pytest.mark.parametrize("uri", [URI, "sip:{domain}"])
def test_a_foreign_domain_is_refused_without_a_challenge(
    shared: Server, phone: Phone, domain: str, uri: str
) -> None:
    """Also with credentials that are right but for the realm: there is no lookup."""
    phone.password = None
    challenge = challenge_of(register(phone))
    uri = uri.format(domain=domain)
    given = credentials(challenge, "REGISTER", uri, "1111", PASSWORD)
    given = given.replace(f'realm="{DOMAIN}"', f'realm="{domain}"')
    parts = {"sender": f"<sip:1111@{domain}>;tag=1", "to": f"<sip:1111@{domain}>"}
    for authorization in ("", given):
        assert ask(phone, "REGISTER", uri, authorization, **parts).status in (400, 403)
    assert shared.bindings("1111") == []
