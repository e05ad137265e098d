"""Kamailio's own kamailio-basic-kemi-python.py, unmodified, as Debian's package ships it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ksr_stub import lint
from ksr_stub.builders import options, register
from ksr_stub.errors import MissingCallback, ReturnCodeAsTruth, UnknownFunction, WrongArguments
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone

EXAMPLES = Path(os.environ.get("KEMI_EXAMPLES", "/usr/share/doc/kamailio/examples/kemi"))
SCRIPT = EXAMPLES / "kamailio-basic-kemi-python.py"
pytestmark = [
    pytest.mark.skipif(
        not SCRIPT.exists(), reason=f"{SCRIPT} is not there: install kamailio or set KEMI_EXAMPLES"
    ),
    # Debian's package of Kamailio 6 has no examples any more
    pytest.mark.kamailio("5.6"),
]


@pytest.fixture
def stock(ksr: Ksr) -> Ksr:
    ksr.define(WITH_CFGPYTHON3="")
    ksr.config(EXAMPLES / "kamailio-basic-kemi.cfg")
    ksr.listen("udp:203.0.113.10:5060")
    ksr.serve("example.test")
    ksr.answer("rtpproxy.rtpproxy_manage", 1)
    ksr.load(SCRIPT)
    for user in ("1111", "2222"):
        ksr.subscribers.add(f"{user}@example.test", f"secret {user}")
    return ksr


def phones(ksr: Ksr) -> tuple[Phone, Phone]:
    alice = ksr.phone("1111", "secret 1111", source=("203.0.113.5", 5060), domain="example.test")
    bob = ksr.phone("2222", "secret 2222", source=("198.51.100.9", 5060), domain="example.test")
    return alice, bob


@pytest.mark.ksr(mode="faithful")
def test_it_challenges_and_registers(stock: Ksr) -> None:
    """A phone registers, one with a wrong password does not, and steps are methods."""
    result = stock.receive(register("1111"))
    assert result.reply.status == 401
    assert "kamailio.ksr_route_auth" in result.steps
    alice, _ = phones(stock)
    assert alice.register().status == 200
    alice.password = "wrong"
    assert alice.register().status == 401


@pytest.mark.ksr(mode="faithful")
def test_it_answers_a_ping(stock: Ksr) -> None:
    """An OPTIONS without a user is answered, a scanner too."""
    assert stock.receive(options("sip:example.test")).reply.reason == "Keepalive"
    scan = options("sip:example.test", headers={"User-Agent": "sipvicious"})
    assert stock.receive(scan).reply.reason == "Processed"


@pytest.mark.ksr(mode="faithful", version="6.0")
def test_it_carries_a_call(stock: Ksr) -> None:
    """On 6.0 a call goes from INVITE to BYE."""
    alice, bob = phones(stock)
    assert alice.register().status == 200
    assert bob.register().status == 200
    call = alice.call("2222")
    ringing = bob.incoming()
    ringing.ring()
    ringing.answer()
    assert call.status == 200
    assert ringing.acknowledged
    assert call.hang_up().status == 200


@pytest.mark.ksr(mode="faithful")
def test_it_has_no_onsend_callback(stock: Ksr) -> None:
    """On 5.6 the missing ksr_onsend_route makes t_relay raise, after it has sent."""
    alice, bob = phones(stock)
    alice.register()
    bob.register()
    alice.call("2222")
    assert bob.is_ringing
    assert any("ksr_onsend_route" in line for line in stock.log)
    assert any("SystemError" in line for line in stock.log)


def test_strict_mode_names_the_missing_callback(stock: Ksr) -> None:
    """Strict mode stops at the missing ksr_onsend_route."""
    alice, bob = phones(stock)
    alice.register()
    bob.register()
    with pytest.raises(MissingCallback, match="ksr_onsend_route"):
        alice.call("2222")


def test_strict_mode_finds_the_wrong_condition(stock: Ksr) -> None:
    """With that mended, strict mode finds `if not KSR.siputils.has_totag()`."""
    stock.param("core", "kemi.onsend_route_callback", "none")
    alice, bob = phones(stock)
    alice.private = ("192.168.0.5", 5060)
    alice.register()
    bob.register()
    with pytest.raises(ReturnCodeAsTruth, match="has_totag"):
        alice.call("2222")


def test_strict_mode_finds_the_user_agent_that_is_no_utf_8(stock: Ksr) -> None:
    """Kamailio logs the exception, and the request has no answer."""
    data = options("sip:example.test", headers={"User-Agent": "phone"})
    with pytest.raises(UnicodeDecodeError):
        stock.receive(data.replace(b"phone", b"\xff"))


def test_strict_mode_finds_the_from_without_a_domain(stock: Ksr) -> None:
    """auth_check gets the None of `$fd`."""
    with pytest.raises(WrongArguments, match="wants a str, got None"):
        stock.receive(register("1111", headers={"From": "<tel:+1>;tag=1"}))


def test_a_register_that_is_refused_has_two_replies(stock: Ksr) -> None:
    """That of save() and that of the script, for every test to see."""
    stock.answer("auth_db.auth_check", 1)
    result = stock.receive(register("1111", headers={"Contact": "<sip:1111@192.0.2.1"}))
    assert [reply.status for reply in result.replies] == [400, 500]


def test_strict_mode_finds_a_module_that_is_not_loaded(stock: Ksr) -> None:
    """The script asks for rtpproxy, whatever media relay kamailio.cfg has."""
    stock.world.modules.remove("rtpproxy")
    stock.world.answers.clear()
    alice, bob = phones(stock)
    alice.private = ("192.168.0.5", 5060)
    alice.register()
    bob.register()
    with pytest.raises(UnknownFunction, match=r'kamailio.cfg has no loadmodule "rtpproxy.so"'):
        alice.call("2222")


def test_ksr_lint_finds_faults_without_running_it() -> None:
    lines = SCRIPT.read_text().splitlines()
    found = [(one.code, lines[one.line - 1].strip()) for one in lint.lint(lint.read([SCRIPT]))]
    assert found == [
        ("KSR303", "def ksr_request_route(self, msg):"),
        ("KSR204", 'if KSR.auth_db.auth_check(KSR.pv.get("$fd"), "subscriber", 1)<0 :'),
        ("KSR204", 'KSR.auth.auth_challenge(KSR.pv.get("$fd"), 0)'),
        ("KSR101", "if not KSR.siputils.has_totag() :"),
    ]
