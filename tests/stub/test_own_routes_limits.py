"""Our own routes on the stub: loops, limits, guesses and floods."""

from __future__ import annotations

import pytest
from ksr_stub.builders import cancel, invite, message, options, register
from ksr_stub.harness import Ksr
from ksr_stub.models.tcpops import Lifetimes

from kemi_routes.loops import tm_senders

from .own_routes import STRANGER, alice, bob, count_apart, registered, start

OURS = "SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK07ae.60cefd202cef0c9118690cb5daf8d808.0"
THEIRS = OURS.replace("203.0.113.10", "198.51.100.1")
PHONES = OURS.replace("z9hG4bK07ae.60cefd202cef0c9118690cb5daf8d808.0", "z9hG4bK7")


@pytest.fixture
def server(ksr: Ksr, monkeypatch: pytest.MonkeyPatch) -> Ksr:
    ksr.listen("udp:203.0.113.10:5060", "tcp:203.0.113.10:5060")
    start(ksr)
    count_apart(monkeypatch)
    return ksr


def after(data: bytes, via: str) -> bytes:
    """The same request, with another Via below the first."""
    head, line, rest = data.partition(b"Max-Forwards")
    return head + f"Via: {via}\r\n".encode() + line + rest


# Loops


@pytest.mark.parametrize("target", ["2222", "1111"])
def test_a_request_that_comes_back_is_482(server: Ksr, target: str) -> None:
    data = message(f"sip:{target}@example.test", sender=STRANGER)
    assert server.receive(after(data, OURS)).reply.status == 482
    assert server.receive(after(data, f"{THEIRS}, {OURS}")).reply.status == 482


@pytest.mark.parametrize("via", [THEIRS, PHONES])
def test_a_request_of_another_proxy_is_no_loop(server: Ksr, via: str) -> None:
    """Not even with the address that one of our interfaces has, where a phone has it too."""
    bob(server).register()
    data = message("sip:2222@example.test", sender=STRANGER)
    assert server.receive(after(data, via)).requests != []


@pytest.mark.parametrize("via", ["SIP/2.0/UDP a;", "SIP / 2.0 / UDP ", "SIP/2.0/UDP a;branch="])
def test_a_long_via_is_read_once(via: str) -> None:
    """To look for an end from each place that may begin one would take minutes."""
    assert tm_senders(f"{OURS};{via * 4000}, {THEIRS}") == [
        "203.0.113.10:5060",
        "198.51.100.1:5060",
    ]


def test_one_request_becomes_ten_at_most(server: Ksr) -> None:
    phone = server.phone("2222", "second secret", source=("198.51.100.9", 5060))
    contacts = [f"<sip:line{i}@198.51.100.9:5060>" for i in range(11)]
    assert phone.register(contact=", ".join(contacts)).status == 503
    assert phone.register(contact=", ".join(contacts[:10])).status == 200
    forked = server.receive(invite("sip:2222@example.test", sender=STRANGER)).requests
    assert len(forked) == 10
    for request in forked:
        back = request.data.replace(b"\r\n", b"\r\nVia: SIP/2.0/UDP 198.51.100.9:5060\r\n", 1)
        assert server.receive(back, source=("198.51.100.9", 5060)).reply.status == 482


@pytest.mark.parametrize(("given", "passed_on"), [("255", "70"), ("71", "70"), ("70", "69")])
def test_max_forwards_is_capped(server: Ksr, given: str, passed_on: str) -> None:
    bob(server).register()
    data = message("sip:2222@example.test", sender=STRANGER, headers={"Max-Forwards": given})
    assert server.receive(data).relayed["Max-Forwards"] == passed_on


# How much and how long


@pytest.mark.parametrize(
    ("expires", "status"), [("4294967296", 400), ("4294967297", 400), ("soon", 400), ("59", 423)]
)
def test_an_expires_out_of_range_changes_no_binding(server: Ksr, expires: str, status: int) -> None:
    phone = bob(server)
    phone.register()
    assert phone.register(expires=None, headers={"Expires": expires}).status == status
    assert len(server.location.bindings("2222@example.test")) == 1


def test_a_message_that_is_too_large_is_513(server: Ksr) -> None:
    bob(server).register()
    large = message("sip:2222@example.test", "x" * 40000, sender=STRANGER)
    assert server.receive(large).reply.status == 513
    fits = message("sip:2222@example.test", "x" * 20000, sender=STRANGER)
    assert len(server.receive(fits).relayed.body) == 20000


# Smuggling


@pytest.mark.parametrize("smuggled", [b"\rRoute: <sip:192.0.2.9;lr>", b"\nRoute: <sip:x>", b"\0"])
def test_a_header_that_another_server_could_read_otherwise_is_400(
    server: Ksr, smuggled: bytes
) -> None:
    bob(server).register()
    data = message("sip:2222@example.test", sender=STRANGER, headers={"Subject": "S"})
    result = server.receive(data.replace(b"Subject: S", b"Subject: S" + smuggled))
    assert result.reply.status == 400
    assert result.requests == []


def test_it_is_400_inside_a_dialog_too(server: Ksr) -> None:
    caller, callee = registered(server)
    call = caller.call("2222")
    callee.incoming().answer()
    assert call.request("INFO", headers={"Subject": "S\rRoute: <sip:192.0.2.9;lr>"}).status == 400


def test_a_cancel_is_400_too(server: Ksr) -> None:
    """Its Reason goes on with the CANCEL that tm makes (RFC 3326)."""
    caller, callee = registered(server)
    call = caller.call("2222")
    callee.incoming().ring()
    assert call.transaction is not None
    data = cancel(call.transaction.data, headers={"Reason": "SIP\rRoute: <sip:192.0.2.9;lr>"})
    result = caller.send(data)
    assert (result.reply.status, result.requests) == (400, [])
    assert call.cancel().requests


def test_a_reply_that_the_caller_could_read_otherwise_goes_no_further(server: Ksr) -> None:
    caller, callee = registered(server)
    caller.call("2222")
    ringing = callee.incoming()
    smuggled = [("Subject", "S\rP-Asserted-Identity: <sip:bank@example.test>")]
    assert callee.reply(ringing.invite, 180, headers=smuggled).sent == []
    assert callee.reply(ringing.invite, 180).sent


def test_white_space_that_the_rfc_allows_goes_on_as_it_is(server: Ksr) -> None:
    bob(server).register()
    headers = {"Subject ": "a\r\n\tRoute: <sip:192.0.2.9;lr>"}
    data = message("sip:2222@example.test", sender=STRANGER, headers=headers)
    assert b"Subject : a\r\n\tRoute: <sip" in server.receive(data).relayed.data


def test_a_body_that_is_no_utf_8_goes_on(server: Ksr) -> None:
    bob(server).register()
    body = b"\xff\n\r\x00"
    data = message("sip:2222@example.test", sender=STRANGER)
    data = data.replace(b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 4\r\n\r\n" + body)
    assert server.receive(data).relayed.data.endswith(body)


# Floods


def test_a_flood_is_dropped_and_others_are_served(ksr: Ksr) -> None:
    """The address's own registered phone is one of the others; it has its own, lower limit."""
    server = start(ksr, MAX_RATE="40")
    phone = alice(server)
    phone.register()
    flooder = (phone.source[0], 9999)
    answered = [bool(server.receive(register("1111"), source=flooder).sent) for _ in range(60)]
    assert answered[:30] == [True] * 30
    assert answered[-10:] == [False] * 10
    assert server.receive(options()).reply.status == 200
    own = options("sip:example.test", sender=phone.aor)
    assert [bool(server.receive(own, source=phone.source).sent) for _ in range(3)] == [
        *(True, True, False)
    ]
    server.clock.advance(3)
    assert server.receive(register("1111"), source=flooder).reply.status == 401


@pytest.mark.parametrize(
    "agent", ["friendly-scanner", "FRIENDLY-Scanner/1", "sipcli/v1.8", "SIPVicious", "x\xffsipcli"]
)
def test_a_scanner_hears_nothing(server: Ksr, agent: str) -> None:
    named = {"User-Agent": "A"}
    for data in (options("sip:example.test", headers=named), register("1111", headers=named)):
        scan = data.replace(b"User-Agent: A", b"User-Agent: " + agent.encode("latin-1"))
        assert server.receive(data).reply.status in (200, 401)
        assert server.receive(scan).sent == []


# Connections


def test_a_connection_lives_as_long_as_a_binding_once_it_brought_something(server: Ksr) -> None:
    """One that brings nothing but requests that are refused gets no more time."""
    lifetimes = server.world.part(Lifetimes).seconds
    server.receive(register("1111"), proto="tcp", connection=99)
    server.receive(options(), proto="tcp", connection=99)
    assert lifetimes == {}
    callee = server.phone("2222", "second secret", source=("198.51.100.9", 5060), proto="tcp")
    assert callee.register().status == 200
    assert list(lifetimes.values()) == [3650]
    server.receive(invite("sip:2222@example.test", sender=STRANGER), proto="tcp", connection=98)
    assert set(lifetimes.values()) == {3650}
    assert 98 in lifetimes
