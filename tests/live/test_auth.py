"""Only those who prove who they are register and call; nobody uses the server as a relay."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from .challenges import answer, ask, challenge_of, is_stale, register
from .digest import credentials, quoted
from .message import host_port
from .network import Namespace
from .patience import eventually
from .phone import Phone
from .server import DOMAIN, Server

OTHER_DOMAIN = "example.org"
FOREIGN = "elsewhere.example"
OURS, THEIRS = f"<sip:1111@{DOMAIN}>;tag=1", f"<sip:stranger@{FOREIGN}>;tag=1"
# Bytes that are no UTF-8, as they stand in a str that is encoded with surrogateescape.
NO_UTF8 = "\udcff\udce9"


@pytest.fixture(scope="module")
def shared(host: Namespace) -> Server:
    """One server of two domains. Its single worker meets what earlier requests left behind."""
    server = Server(host, settings={"SIP_DOMAIN": f"{DOMAIN} {OTHER_DOMAIN}", "CHILDREN": "1"})
    for user in ("1111", "2222"):
        server.add_subscriber(f"{user}@{DOMAIN}", f"secret of {user}")
    server.add_subscriber(f"1111@{OTHER_DOMAIN}", f"secret of 1111@{OTHER_DOMAIN}")
    return server


@pytest.fixture
def phone(shared: Server, host: Namespace) -> Phone:
    """A phone of 1111 that knows its password, but leaves it to the test to answer challenges."""
    phone = _phone(shared, host, "1111")
    phone.password = None
    return phone


@pytest.fixture
def callee(shared: Server, host: Namespace) -> Iterator[Phone]:
    """2222, registered for the time of the test."""
    phone = _phone(shared, host, "2222")
    assert phone.register().status == 200
    yield phone
    assert phone.unregister().status == 200


def _phone(server: Server, host: Namespace, user: str) -> Phone:
    return server.phone(host, user, local=("127.0.0.1", 0))


# Challenges


@pytest.mark.parametrize("domain", [DOMAIN, OTHER_DOMAIN])
@pytest.mark.parametrize(
    ("method", "status"),
    [("REGISTER", 401), ("INVITE", 407), ("MESSAGE", 407), ("SUBSCRIBE", 407), ("OPTIONS", 407)],
)
def test_a_request_without_credentials_is_challenged_for_the_domain_in_from(
    phone: Phone, method: str, status: int, domain: str
) -> None:
    aor = f"<sip:1111@{domain}>"
    to = aor if method == "REGISTER" else f"<sip:2222@{domain}>"
    uri = f"sip:{domain}" if method == "REGISTER" else f"sip:2222@{domain}"
    response = ask(phone, method, uri, to=to, sender=f"{aor};tag=1")
    assert response.status == status
    challenge = challenge_of(response)
    assert re.fullmatch(
        rf'Digest realm="{domain}", nonce="[^"]+", qop="auth"(, algorithm=MD5)?', challenge
    )  # Kamailio 6.0 names the algorithm


@pytest.mark.parametrize("domain", [DOMAIN, OTHER_DOMAIN])
def test_the_right_password_registers_the_phone(phone: Phone, domain: str) -> None:
    parts = {"to": f"<sip:1111@{domain}>", "sender": f"<sip:1111@{domain}>;tag=1"}
    password = {DOMAIN: "secret of 1111", OTHER_DOMAIN: f"secret of 1111@{OTHER_DOMAIN}"}
    given = answer(register(phone, **parts), "1111", password[domain])
    response = register(phone, given, **parts)
    assert response.status == 200
    assert response.contact_uri == f"sip:1111@127.0.0.1:{phone.local[1]}"


def test_a_phone_that_knows_no_qop_registers(phone: Phone) -> None:
    """RFC 2069: neither qop nor nc nor cnonce."""
    challenge = challenge_of(register(phone)).replace(', qop="auth"', "")
    old_style = credentials(challenge, "REGISTER", f"sip:{DOMAIN}", "1111", "secret of 1111")
    assert "qop" not in old_style
    assert register(phone, old_style).status == 200
    again = register(phone, old_style)
    assert is_stale(again), "its nonce is good for once"
    challenge = challenge_of(again).replace(', qop="auth"', "")
    wrong = credentials(challenge, "REGISTER", f"sip:{DOMAIN}", "1111", "another password")
    assert register(phone, wrong).status == 401


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE"])
def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(
    shared: Server, phone: Phone, method: str
) -> None:
    wrong = _refused(phone, method, "1111")
    assert wrong == _refused(phone, method, "9999")
    assert "stale" not in wrong
    assert shared.bindings("9999") == []


def _refused(phone: Phone, method: str, user: str) -> str:
    """The answer to credentials with a wrong password, without what differs in any two answers."""
    aor = f"<sip:{user}@{DOMAIN}>"
    uri, to = (f"sip:{DOMAIN}", aor) if method == "REGISTER" else (f"sip:2222@{DOMAIN}",) * 2
    parts = {"to": to, "sender": f"{aor};tag=1", "call_id": "same"}
    given = answer(ask(phone, method, uri, **parts), user, "no password of anybody", uri)
    response = ask(phone, method, uri, given, **parts)
    assert response.status in (401, 407)
    text = re.sub(r'(tag=|branch=|nonce=|CSeq: )"?[^;,"\n]+', r"\1...", str(response))
    return text.replace(user, "USER")


def test_nothing_is_bound_without_the_right_password(shared: Server, phone: Phone) -> None:
    before = shared.bindings("1111")
    phone.contact = "<sip:1111@127.0.0.1:9>"
    given = answer(register(phone), "1111", "wrong")
    assert register(phone, given).status == 401
    assert shared.bindings("1111") == before


def test_an_old_nonce_is_answered_with_stale_and_the_phone_goes_on_by_itself(
    loopback: Namespace,
) -> None:
    server = Server(loopback, settings={"NONCE_EXPIRES": "5"})
    phone = _phone(server, loopback, "1111")
    password, phone.password = phone.password or "", None
    first = register(phone)
    given = answer(first, "1111", password)
    assert register(phone, given).status == 200
    eventually(lambda: register(phone, given).status != 200, "refusal of the old nonce")
    last = register(phone, given)
    assert is_stale(last)
    assert quoted(challenge_of(last), "nonce") != quoted(challenge_of(first), "nonce")
    assert register(phone, answer(last, "1111", password)).status == 200


def test_after_a_restart_a_phone_goes_on_without_asking_for_its_password(
    server: Server, loopback: Namespace
) -> None:
    """Kamailio takes no nonce from before its start, and says that only the nonce is wrong."""
    phone = _phone(server, loopback, "1111")
    password, phone.password = phone.password or "", None
    given = answer(register(phone), "1111", password)
    server.stop()
    issued = int(time.time())
    eventually(lambda: int(time.time()) > issued, "next second", timeout=2)
    server.start()
    refused = register(phone, given)
    assert is_stale(refused)
    assert register(phone, answer(refused, "1111", password)).status == 200


def test_the_server_secret_is_kept_for_the_server_alone(server: Server) -> None:
    secret = server.run_dir / "server-secret"
    kept = secret.read_text()
    assert secret.stat().st_mode & 0o077 == 0
    server.restart()
    assert secret.read_text() == kept
    assert kept not in server.log


# Somebody else's identity


@pytest.mark.parametrize(
    ("user", "sender", "to"),
    [
        ("1111", f"2222@{DOMAIN}", f"2222@{DOMAIN}"),
        ("1111", f"1111@{DOMAIN}", f"2222@{DOMAIN}"),
        ("1111", f"2222@{DOMAIN}", f"1111@{DOMAIN}"),
        ("1111", f"1111@{DOMAIN}", f"1111@{OTHER_DOMAIN}"),
        (f"1111@{DOMAIN}", f"2222@{DOMAIN}", f"2222@{DOMAIN}"),
    ],
    ids=["other-user", "other-to", "other-from", "other-domain", "user-with-domain"],
)
def test_no_password_registers_a_phone_for_somebody_else(
    shared: Server, phone: Phone, user: str, sender: str, to: str
) -> None:
    parts = {"sender": f"<sip:{sender}>;tag=1", "to": f"<sip:{to}>"}
    before = _all_bindings(shared)
    response = register(phone, answer(register(phone, **parts), user, "secret of 1111"), **parts)
    assert response.status == 403
    assert _all_bindings(shared) == before


def _all_bindings(server: Server) -> str:
    return server.kamcmd("ul.dump", "brief")


def test_no_password_calls_in_the_name_of_somebody_else(phone: Phone, callee: Phone) -> None:
    parts = {"sender": f"<sip:2222@{DOMAIN}>;tag=1"}
    given = answer(ask(phone, "MESSAGE", callee.aor, **parts), "1111", "secret of 1111", callee.aor)
    assert ask(phone, "MESSAGE", callee.aor, given, **parts).status == 403
    assert not callee.has_request("MESSAGE")


@pytest.mark.parametrize("place", ["sender", "to", "uri"])
def test_a_foreign_domain_cannot_be_registered_here(
    shared: Server, phone: Phone, place: str
) -> None:
    before = _all_bindings(shared)
    parts = {"uri": f"sip:{DOMAIN}", "sender": OURS, "to": f"<{phone.aor}>"}
    parts[place] = f"sip:{FOREIGN}" if place == "uri" else f"<sip:1111@{FOREIGN}>"
    assert ask(phone, "REGISTER", **parts).status == 403
    assert _all_bindings(shared) == before


# Calls and messages


@pytest.mark.parametrize(
    "sender",
    [
        f"sip:1111@{DOMAIN}",
        f"sip:1111@{DOMAIN.upper()}",
        f"sip:1111@{DOMAIN}:59999",
        f"sips:1111@{DOMAIN}",
        f"SIP:1111@{DOMAIN}",
        f"sIpS:1111@{DOMAIN}",
        f"sip:1111@{DOMAIN}.",
        f"sip:1111@{DOMAIN};transport=tcp",
        f"sip:1111:password@{DOMAIN}",
        f"sip:{DOMAIN}",
        f"sip:1111@{OTHER_DOMAIN}",
        "sip:1111@127.0.0.1:{port}",
    ],
)
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REFER", "NOTIFY"])
def test_whoever_claims_one_of_our_domains_needs_credentials(
    shared: Server, phone: Phone, callee: Phone, method: str, sender: str
) -> None:
    sender = f"<{sender.format(port=shared.address()[1])}>;tag=1"
    assert ask(phone, method, callee.aor, sender=sender).status == 407
    assert ask(phone, method, f"sip:somebody@{FOREIGN}", sender=sender).status == 407
    assert not callee.has_request(method)


@pytest.mark.parametrize(
    "sender", [f"sip:1111@{DOMAIN.upper()}", f"sip:1111@{DOMAIN}:59999", f"SIP:1111@{DOMAIN}"]
)
def test_a_phone_may_write_its_domain_in_any_way(phone: Phone, callee: Phone, sender: str) -> None:
    parts = {"sender": f"<{sender}>;tag=1", "call_id": f"written {sender}".replace(" ", "-")}
    given = answer(ask(phone, "MESSAGE", callee.aor, **parts), "1111", "secret of 1111", callee.aor)
    fields = [("Proxy-Authorization", given)]
    request = phone.make_request("MESSAGE", callee.aor, fields=fields, **parts)  # type: ignore[arg-type]
    sent = phone.start(request)
    callee.expect_request("MESSAGE").reply(200)
    assert sent.wait_for(200)


def test_credentials_stay_between_the_phone_and_its_server(phone: Phone, callee: Phone) -> None:
    phone.password = "secret of 1111"
    call = phone.invite("2222")
    incoming = callee.expect_request("INVITE")
    assert "Proxy-Authorization" in call.invite.request
    assert "Proxy-Authorization" not in incoming.message
    incoming.reply(486)
    call.wait_for(486)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH"])
def test_a_stranger_cannot_relay_to_another_stranger(
    phone: Phone, loopback: Namespace, method: str
) -> None:
    victim = Phone(loopback, "victim", FOREIGN, None, phone.server, local=("127.0.0.1", 0))
    uri = f"sip:victim@127.0.0.1:{victim.local[1]}"
    assert ask(phone, method, uri, sender=THEIRS).status == 403
    assert ask(phone, method, f"sip:victim@{FOREIGN}", sender=THEIRS).status == 403
    assert not victim.has_request(method)
    assert not victim.pings


def test_a_preloaded_route_relays_nothing_for_a_stranger(phone: Phone, loopback: Namespace) -> None:
    victim = Phone(loopback, "victim", FOREIGN, None, phone.server, local=("127.0.0.1", 0))
    uri = f"sip:victim@127.0.0.1:{victim.local[1]}"
    routes = [("Route", f"<sip:127.0.0.1:{phone.server[1]};lr>"), ("Route", f"<{uri};lr>")]
    for target in (uri, f"sip:2222@{DOMAIN}"):
        request = phone.make_request("MESSAGE", target, fields=routes, sender=THEIRS)
        phone.start(request).final()
    assert not victim.has_request("MESSAGE")


@pytest.mark.parametrize("hops", [["server"], ["server", "victim"], ["victim"]], ids="+".join)
def test_a_stranger_cannot_relay_by_feigning_a_dialog(
    phone: Phone, loopback: Namespace, hops: list[str]
) -> None:
    victim = Phone(loopback, "victim", FOREIGN, None, phone.server, local=("127.0.0.1", 0))
    uri = f"sip:victim@127.0.0.1:{victim.local[1]}"
    places = {"server": phone.server, "victim": victim.local}
    fields = [("Route", f"<sip:{host_port(places[hop])};lr>") for hop in hops]
    request = phone.make_request("MESSAGE", uri, fields=fields, sender=THEIRS, to=f"<{uri}>;tag=2")
    phone.transmit(request, along=phone.make_request("MESSAGE", uri))
    eventually(lambda: phone.log[1:] or victim.log, "answer or relayed request")
    assert not victim.log
    assert phone.receive().status in (403, 481)


def test_a_stranger_reaches_our_users_without_credentials(phone: Phone, callee: Phone) -> None:
    request = phone.make_request("MESSAGE", callee.aor, sender=THEIRS)
    sent = phone.start(request)
    callee.expect_request("MESSAGE").reply(200)
    sent.wait_for(200)


# Whatever comes


HEADERS = {
    "User-Agent": f"phone {NO_UTF8}",
    "Subject": NO_UTF8,
    "Call-ID": f"{NO_UTF8}1",
    "From": f'"{NO_UTF8}" <sip:1111@{DOMAIN}>;tag=1',
    "From user": f"<sip:{NO_UTF8}@{DOMAIN}>;tag=1",
    "From host": f"<sip:1111@{NO_UTF8}>;tag=1",
    "From tag": f"<sip:1111@{DOMAIN}>;tag={NO_UTF8}",
    "To": f'"{NO_UTF8}" <sip:1111@{DOMAIN}>',
    "To user": f"<sip:{NO_UTF8}@{DOMAIN}>",
    "To host": f"<sip:1111@{NO_UTF8}>",
    "Contact": f"<sip:{NO_UTF8}@127.0.0.1:9>",
    "Contact parameter": f'<sip:1111@127.0.0.1:9>;+sip.instance="{NO_UTF8}"',
    "Route": f"<sip:{NO_UTF8}@{FOREIGN};lr>",
    "Expires": NO_UTF8,
    "Authorization": f'Digest username="{NO_UTF8}", realm="{DOMAIN}", nonce="1", uri="sip:x", '
    'response="00000000000000000000000000000000"',
    "Authorization nonce": f'Digest username="1111", realm="{DOMAIN}", nonce="{NO_UTF8}", '
    'uri="sip:x", response="00000000000000000000000000000000"',
}


@pytest.mark.parametrize("place", [*HEADERS, "Request-URI"])
@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE"])
def test_bytes_that_are_no_utf8_get_a_reply_and_do_no_harm(
    phone: Phone, method: str, place: str
) -> None:
    uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:2222@{DOMAIN}"
    if place == "Request-URI":
        uri = f"sip:{NO_UTF8}@{DOMAIN}"
    request = phone.make_request(method, uri, fields=[("Contact", phone.contact)], sender=OURS)
    name = place.split()[0]
    if name != "Request-URI":
        request.fields = [item for item in request.fields if item[0] != name]
        request.fields.append((name, HEADERS[place]))
    assert 400 <= phone.start(request).final().status < 500
    assert register(phone).status == 401, "the next request meets no trace of it"


def test_no_request_is_lost_after_others_were_relayed(
    shared: Server, phone: Phone, callee: Phone
) -> None:
    """A callback that is missing or misbehaves shows at the next request of the same worker."""
    phone.password = "secret of 1111"
    mark = shared.mark()
    for _ in range(50):
        sent = phone.request("MESSAGE", "2222")
        callee.expect_request("MESSAGE").reply(200)
        sent.wait_for(200)
        call = phone.invite("2222")
        callee.expect_request("INVITE").reply(603)
        call.wait_for(603)
        keepalive = ask(phone, "OPTIONS", f"sip:127.0.0.1:{phone.server[1]}", sender=THEIRS)
        assert keepalive.status == 200
        assert phone.register().status == 200
    assert [line for line in shared.process.lines[mark:] if "ERROR" in line] == []
