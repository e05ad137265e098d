"""Credentials that somebody has seen on their way are worth nothing to him."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from .challenges import (
    answer,
    ask,
    by_hand,
    challenge_of,
    is_stale,
    make,
    prove,
    register,
    repeat,
)
from .digest import credentials, quoted
from .installation import InstalledServer
from .installation import make as run_make
from .message import Message
from .network import Namespace
from .phone import Phone
from .server import DOMAIN, Server

PASSWORD = "secret of 1111"
ELSEWHERE = ("127.0.0.2", 0)
URI = f"sip:{DOMAIN}"
CALLEE = f"sip:2222@{DOMAIN}"


@pytest.fixture(scope="module")
def shared(host: Namespace) -> Server:
    """One server with one subscriber."""
    server = Server(host)
    server.add_subscriber(f"1111@{DOMAIN}", PASSWORD)
    return server


@pytest.fixture
def phone(shared: Server, host: Namespace) -> Iterator[Phone]:
    """A phone of 1111; the test answers its challenges."""
    phone = by_hand(shared, host)
    yield phone
    shared.kamcmd("ul.rm", "location", f"1111@{DOMAIN}")
    phone.close()


@pytest.fixture
def thief(shared: Server, host: Namespace) -> Iterator[Phone]:
    """Somebody at another address, who has seen what the phone sent."""
    thief = by_hand(shared, host, ELSEWHERE)
    yield thief
    thief.close()


def stolen(request: Message, thief: Phone, **changes: str) -> Message:
    """The thief's answer to a request of the phone, sent again with these headers changed."""
    given = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    given.setdefault("contact", thief.contact)
    given["via"] = make(thief, request.method, request.uri)["Via"]
    fields = [(name, given.get(name.lower(), value)) for name, value in request.fields]
    return thief.start(Message(request.start_line, fields, request.body)).final()


def registered(phone: Phone) -> tuple[Message, Message]:
    """Register: the challenge, and the REGISTER that was accepted."""
    challenge, request, accepted = prove(phone, PASSWORD)
    assert accepted.status == 200
    return challenge, request


# After use


def test_a_register_that_was_seen_binds_nobody_from_another_address(
    shared: Server, phone: Phone, thief: Phone
) -> None:
    _, request = registered(phone)
    before = shared.bindings("1111")
    refused = stolen(request, thief)
    assert refused.status == 401
    assert is_stale(refused)
    assert shared.bindings("1111") == before


def test_a_register_that_was_seen_binds_nobody_behind_the_same_nat(
    shared: Server, host: Namespace, phone: Phone
) -> None:
    """Same address, another port."""
    _, request = registered(phone)
    before = shared.bindings("1111")
    neighbour = by_hand(shared, host)
    assert is_stale(stolen(request, neighbour))
    assert is_stale(stolen(request, neighbour, contact=request["Contact"]))
    assert shared.bindings("1111") == before


def test_a_register_with_a_forged_source_changes_nothing(shared: Server, phone: Phone) -> None:
    """Who can send from the phone's own address and port still can't change what it asked for."""
    _, request = registered(phone)
    before = shared.bindings("1111")
    for changed in ({"contact": "<sip:1111@127.0.0.1:9>"}, {"contact": "*", "expires": "0"}):
        assert is_stale(stolen(request, phone, **changed))
    assert shared.bindings("1111") == before


def test_a_phone_that_has_left_is_not_brought_back_by_its_old_register(
    shared: Server, phone: Phone
) -> None:
    challenge, request = registered(phone)
    leave = answer(challenge, "1111", PASSWORD, nc=2)
    fields = [("Contact", phone.contact), ("Expires", "0"), ("Authorization", leave)]
    last = phone.make_request(
        "REGISTER", URI, fields=fields, to=f"<{phone.aor}>", call_id=request["Call-ID"], cseq=9999
    )
    assert phone.start(last).final().status == 200
    assert repeat(phone, request).status == 401
    assert shared.bindings("1111") == []


def test_a_register_that_the_phone_repeats_has_the_same_answer(
    shared: Server, phone: Phone
) -> None:
    """RFC 3261 17.1.2: over UDP it does so until it hears the answer."""
    _, request = registered(phone)
    for _ in range(3):
        assert repeat(phone, request).status == 200
    assert len(shared.bindings("1111")) == 1


@pytest.mark.parametrize("nc", [1, 2, 3], ids="nc={}".format)
def test_an_nc_counts_once(phone: Phone, nc: int) -> None:
    challenge = register(phone)
    assert register(phone, answer(challenge, "1111", PASSWORD, nc=3)).status == 200
    assert is_stale(register(phone, answer(challenge, "1111", PASSWORD, nc=nc)))


@pytest.mark.parametrize("nc", ["1", "0000000g", "-0000001", "000000001", "99999999", "00000000"])
def test_an_impossible_nc_is_no_credential(shared: Server, phone: Phone, nc: str) -> None:
    given = answer(register(phone), "1111", PASSWORD).replace("nc=00000001", f"nc={nc}")
    assert register(phone, given).status == 401
    assert shared.bindings("1111") == []


# Before use


def test_credentials_that_never_arrived_are_no_good_from_another_address(
    phone: Phone, thief: Phone
) -> None:
    """The thief is first; the phone then goes on as if nothing had happened."""
    given = answer(register(phone), "1111", PASSWORD)
    request = make(phone, "REGISTER", URI, given, to=f"<{phone.aor}>")
    assert is_stale(stolen(request, thief))
    assert phone.start(request).final().status == 200


# We would read the thief's own nonce, and module auth the captured one.
HIDDEN = [
    ['Digest {own}, realXXXXe="{nonce}"'],
    ['Digest {own}, x=\u00a0"v, nonce={nonce}, z=a"'],
    ["Digest\u00a0{own}", "Digest {given}"],
    ["Dige\u017ft {own}", "Digest {given}"],
    ["Digest {own}", "Digest {given}"],
    ['Digest {own}, x="\\", nonce="{nonce}", z="'],
]


@pytest.mark.parametrize("headers", HIDDEN)
def test_a_nonce_of_his_own_hides_no_captured_one(
    shared: Server, phone: Phone, thief: Phone, headers: list[str]
) -> None:
    """Both read the same credentials, or none."""
    given = answer(register(phone), "1111", PASSWORD).removeprefix("Digest ")
    nonce = quoted(given, "nonce")
    own = given.replace(nonce, quoted(challenge_of(register(thief)), "nonce"))
    request = make(thief, "REGISTER", URI, to=f"<{thief.aor}>")
    shown = [header.format(own=own, given=given, nonce=nonce) for header in headers]
    request.fields += [("Authorization", header) for header in shown]
    assert thief.start(request).final().status in (400, 401)
    assert shared.bindings("1111") == []


def test_credentials_of_one_call_id_are_no_good_for_another(phone: Phone) -> None:
    given = answer(register(phone), "1111", PASSWORD)
    assert is_stale(register(phone, given, call_id="another"))
    assert register(phone, given).status == 200


def test_credentials_for_one_callee_call_nobody_else(phone: Phone) -> None:
    challenge = ask(phone, "INVITE", CALLEE)
    given = answer(challenge, "1111", PASSWORD, CALLEE)
    refused = ask(phone, "INVITE", f"sip:9999@{DOMAIN}", given)
    assert refused.status == 400
    assert ask(phone, "INVITE", CALLEE, given).status == 404


def test_credentials_for_one_method_are_no_good_for_another(phone: Phone) -> None:
    given = answer(register(phone), "1111", PASSWORD)
    assert ask(phone, "MESSAGE", URI, given, to=f"<{phone.aor}>").status == 407
    given = answer(ask(phone, "MESSAGE", CALLEE), "1111", PASSWORD, CALLEE)
    assert ask(phone, "INVITE", CALLEE, given).status == 407


def test_a_qop_can_not_be_taken_away(phone: Phone) -> None:
    given = answer(register(phone), "1111", PASSWORD)
    bare = re.sub(r', (qop|nc|cnonce)=("[^"]*"|[^,]+)', "", given)
    assert "qop" not in bare
    assert register(phone, bare).status == 401
    assert register(phone, given.replace("qop=auth", "qop=auth-int")).status == 401


# The uri


@pytest.mark.parametrize(
    ("uri", "digest_uri"),
    [
        (URI, URI),
        (URI, f"sip:{DOMAIN.upper()}"),
        (URI, f"SIP:{DOMAIN}"),
        (URI, f"{URI}:5060"),
        (URI, f"{URI};transport=udp"),
        (f"{URI};transport=udp", URI),
        (f"{URI}:{{port}}", URI),
        (URI, "sip:127.0.0.1:{port}"),
    ],
)
def test_a_phone_may_write_the_uri_a_little_differently(
    shared: Server, phone: Phone, uri: str, digest_uri: str
) -> None:
    port = shared.address()[1]
    uri, digest_uri = uri.format(port=port), digest_uri.format(port=port)
    parts = {"to": f"<{phone.aor}>"}
    challenge = ask(phone, "REGISTER", uri, **parts)
    given = answer(challenge, "1111", PASSWORD, digest_uri)
    assert ask(phone, "REGISTER", uri, given, **parts).status == 200


@pytest.mark.parametrize(
    "digest_uri",
    [
        "sip:example.org",
        f"sip:1111@{DOMAIN}",
        f"sip:{DOMAIN}.",
        f"sip:x{DOMAIN}",
        f"{URI}, sip:x",
        "x",
        "*",
    ],
)
def test_another_uri_is_refused_with_400(shared: Server, phone: Phone, digest_uri: str) -> None:
    given = answer(register(phone), "1111", PASSWORD, digest_uri)
    refused = register(phone, given)
    assert refused.start_line == "SIP/2.0 400 Digest URI Is Not The Request-URI"
    assert shared.bindings("1111") == []


def test_the_uri_of_other_credentials_does_not_count(phone: Phone) -> None:
    """Module auth checks the first credentials of our realm; those must have the right uri."""
    challenge = register(phone)
    other = answer(challenge, "1111", PASSWORD, "sip:elsewhere.example")
    right = answer(challenge, "1111", PASSWORD)
    foreign = right.replace(f'realm="{DOMAIN}"', 'realm="elsewhere.example"')
    for name, first in (
        ("Proxy-Authorization", right),
        ("Authorization", foreign),
        ("Authorization", 'Basic uri="x"'),
    ):
        request = make(phone, "REGISTER", URI, other, to=f"<{phone.aor}>")
        request.fields.insert(5, (name, first))
        assert phone.start(request).final().status == 400


# What it says of itself


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5-sess", "SHA-512-256", "md6", "token"])
def test_an_algorithm_that_was_not_offered_is_refused(
    shared: Server, phone: Phone, algorithm: str
) -> None:
    """RFC 7616: an MD5 that calls itself something else, too."""
    given = answer(register(phone), "1111", PASSWORD)
    refused = register(phone, given.replace("algorithm=MD5", f"algorithm={algorithm}"))
    assert refused.start_line == "SIP/2.0 400 Digest Algorithm Was Not Offered"
    assert shared.bindings("1111") == []


@pytest.mark.parametrize("algorithm", ["algorithm=md5", 'algorithm="MD5"', "opaque=x"])
def test_md5_may_be_written_as_phones_write_it(phone: Phone, algorithm: str) -> None:
    given = answer(register(phone), "1111", PASSWORD)
    assert register(phone, given.replace("algorithm=MD5", algorithm)).status == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('response="', 'response="0'),
        (r'response="\w+', 'response="' + "z" * 32),
        (r'response="\w+', 'response="' + "0" * 64),
        (r'username="1111"', 'username=""'),
        (r'username="1111", ', ""),
        ('uri="[^"]*"', r'\g<0>, uri="sip:x"'),
        ("nonce=", "nonce "),
        ('uri="', "uri="),
    ],
)
def test_credentials_that_cannot_be_read_are_refused_with_400(
    shared: Server, phone: Phone, old: str, new: str
) -> None:
    given = re.sub(old, new, answer(register(phone), "1111", PASSWORD))
    assert register(phone, given).status == 400
    assert shared.bindings("1111") == []


def test_credentials_that_module_auth_can_not_read_are_one_line_of_the_log(
    shared: Server, phone: Phone
) -> None:
    since = shared.mark()
    assert register(phone, "Basic MTExMTp4").status == 401
    assert register(phone, 'Digest username=""').status == 401
    assert register(phone, f'Digest realm="{DOMAIN}"').status == 400
    shared.wait_for_log("not authenticated .*: malformed", since=since)
    lines = [line for line in shared.process.lines[since:] if " ERROR" in line]
    assert len(lines) == 1, lines


# Phones that do as they should


def test_a_phone_that_counts_needs_one_challenge_for_two_hours(phone: Phone) -> None:
    challenge = register(phone)
    raw = base64.b64decode(quoted(challenge_of(challenge), "nonce"))
    expires, issued = struct.unpack(">II", raw[:8])
    assert expires - issued == 7200
    for nc in range(1, 21):
        assert register(phone, answer(challenge, "1111", PASSWORD, nc=nc)).status == 200


def test_a_nonce_ends_after_254_uses_and_the_phone_goes_on(phone: Phone) -> None:
    challenge = register(phone)
    assert register(phone, answer(challenge, "1111", PASSWORD, nc=255)).status == 200
    last = register(phone, answer(challenge, "1111", PASSWORD, nc=256))
    assert is_stale(last)
    assert register(phone, answer(last, "1111", PASSWORD)).status == 200


def test_a_phone_whose_address_changes_goes_on_without_asking_for_its_password(
    phone: Phone, thief: Phone
) -> None:
    challenge, request = registered(phone)
    parts = {"call_id": request["Call-ID"]}
    moved = register(thief, answer(challenge, "1111", PASSWORD, nc=2), **parts)
    assert is_stale(moved)
    assert register(thief, answer(moved, "1111", PASSWORD), **parts).status == 200


def test_a_phone_that_knows_no_qop_gets_a_nonce_for_each_register(phone: Phone) -> None:
    """RFC 2069: safe, with one more round trip."""
    response = register(phone)
    for _ in range(3):
        challenge = challenge_of(response).replace(', qop="auth"', "")
        old_style = credentials(challenge, "REGISTER", URI, "1111", PASSWORD)
        assert register(phone, old_style).status == 200
        response = register(phone, old_style)
        assert is_stale(response)


def test_without_a_server_secret_every_nonce_is_good_for_once(
    host: Namespace, tmp_path: Path
) -> None:
    """Only who knows the secret can tell whom a nonce was given to, once there is an nc."""
    run_make("install", f"PREFIX={tmp_path}")
    server = InstalledServer(host, tmp_path)
    server.control("subscriber", "add", f"1111@{DOMAIN}", "--password-stdin", stdin=f"{PASSWORD}\n")
    server.passwords[f"1111@{DOMAIN}"] = PASSWORD
    phone, thief = (by_hand(server, host, place) for place in (("127.0.0.1", 0), ELSEWHERE))
    challenge = register(phone)
    parts = {"call_id": f"of-{phone.local[1]}"}
    assert is_stale(register(thief, answer(challenge, "1111", PASSWORD), **parts))
    challenge = register(phone)
    assert register(phone, answer(challenge, "1111", PASSWORD)).status == 200
    again = register(phone, answer(challenge, "1111", PASSWORD, nc=2))
    assert is_stale(again)
    assert register(phone, answer(again, "1111", PASSWORD)).status == 200
