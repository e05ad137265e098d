"""Conversations with our routes: the stub sends what the real Kamailio sends, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ksr_stub import builders

from ..live.network import Namespace
from ..live.requirement import require
from ..live.server import LAUNCHER
from .scenarios import DOMAIN, PASSWORDS, RealSide, Talk, difference, faithful_stub

pytestmark = pytest.mark.live
Scenario = Callable[[Talk], None]
SCENARIOS: dict[str, Scenario] = {}
# The name of a scenario, and why the stub may do otherwise: none now.
KNOWN_DIFFERENCES: dict[str, str] = {}
SDP = builders.SDP.format(host="192.168.0.9")
BOB, CAROL, NOBODY = (f"sip:{user}@{DOMAIN}" for user in ("2222", "3333", "9999"))


def scenario(run: Scenario) -> Scenario:
    """Compare this conversation."""
    SCENARIOS[run.__name__] = run
    return run


@pytest.fixture(scope="module")
def real() -> Iterator[RealSide]:
    """One Kamailio for all scenarios; `forget` lies between them."""
    require("kamailio", "kamcmd", LAUNCHER)
    with Namespace() as host:
        yield RealSide(host)


def test_known_differences_are_scenarios() -> None:
    """No scenario is excused that does not exist."""
    assert set(KNOWN_DIFFERENCES) <= set(SCENARIOS)


def run(name: str, real: RealSide) -> tuple[Talk, Talk]:
    """The scenario with the stub and with the real server."""
    real.forget()
    with faithful_stub(real) as stub:
        talks = Talk(stub, name.replace("_", "")), Talk(real, name.replace("_", ""))
        for talk in talks:
            SCENARIOS[name](talk)
    return talks


# Registering


@scenario
def register_challenge(talk: Talk) -> None:
    """401 to a REGISTER without credentials."""
    talk.register("alice", "1111", password=None)
    talk.compare_bindings("1111")


@scenario
def register_success(talk: Talk) -> None:
    """200 with the binding."""
    talk.register("alice", "1111", headers={"User-Agent": "Phone 1", "Expires": "600"})
    talk.compare_bindings("1111")


@scenario
def register_behind_nat(talk: Talk) -> None:
    """A private Contact gets its alias."""
    talk.register("alice", "1111", contact_host="192.168.0.103")
    talk.compare_bindings("1111")


@scenario
def register_with_instance(talk: Talk) -> None:
    """An RFC 5626 Contact with q, instance and reg-id, and an Allow."""
    contact = '<sip:1111@127.0.0.1:5070;ob>;q=0.5;reg-id=1;+sip.instance="<urn:uuid:0-1-2>"'
    headers = {"Contact": contact, "Allow": "INVITE, ACK, BYE, CANCEL", "Supported": "path"}
    talk.register("alice", "1111", headers=headers)
    talk.compare_bindings("1111")


@scenario
def register_through_an_edge_proxy(talk: Talk) -> None:
    """A Path is stored, and named in the 200."""
    headers = {"Path": "<sip:127.0.0.1:5999;lr>", "Supported": "path"}
    talk.register("alice", "1111", headers=headers)
    talk.compare_bindings("1111")


@scenario
def register_path_not_supported(talk: Talk) -> None:
    """A Path of a phone that does not know of it."""
    talk.register("alice", "1111", headers={"Path": "<sip:127.0.0.1:5999;lr>"})
    talk.compare_bindings("1111")


@scenario
def register_wrong_password(talk: Talk) -> None:
    """401 again."""
    talk.register("alice", "1111", password="wrong")
    talk.compare_bindings("1111")


@scenario
def register_unknown_user(talk: Talk) -> None:
    """401 again: nobody learns who exists."""
    aor = f"sip:9999@{DOMAIN}"
    talk.request("alice", "REGISTER", f"sip:{DOMAIN}", user="9999", to=aor, password="any")


@scenario
def register_somebody_else(talk: Talk) -> None:
    """403 to credentials of another user."""
    talk.register("alice", "1111", password=PASSWORDS["2222"], digest_user="2222")
    talk.compare_bindings("1111")


@scenario
def register_stale_nonce(talk: Talk) -> None:
    """A nonce that was never given out."""
    digest = (
        f'Digest username="1111", realm="{DOMAIN}", nonce="Z0000000Z0000001", uri="sip:{DOMAIN}",'
        ' algorithm=MD5, response="00000000000000000000000000000000"'
    )
    talk.register("alice", "1111", password=None, headers={"Authorization": digest})


@scenario
def register_too_brief(talk: Talk) -> None:
    """423 with Min-Expires."""
    talk.register("alice", "1111", headers={"Expires": "5"})
    talk.compare_bindings("1111")


@scenario
def register_too_long(talk: Talk) -> None:
    """MAX_EXPIRES is the most."""
    talk.register("alice", "1111", headers={"Expires": "99999"})


@scenario
def unregister(talk: Talk) -> None:
    """Expires 0 removes the binding."""
    talk.register("alice", "1111")
    talk.register("alice", "1111", headers={"Expires": "0"}, call="second")
    talk.compare_bindings("1111")


@scenario
def unregister_all(talk: Talk) -> None:
    """The star removes all bindings."""
    talk.register("alice", "1111")
    talk.register("carol", "1111", call="second")
    talk.compare_bindings("1111")
    talk.register("alice", "1111", headers={"Expires": "0", "Contact": "*"}, call="third")
    talk.compare_bindings("1111")


@scenario
def star_without_zero(talk: Talk) -> None:
    """The star with another Expires is 400."""
    talk.register("alice", "1111", headers={"Expires": "60", "Contact": "*"})


@scenario
def query(talk: Talk) -> None:
    """A REGISTER without Contact lists the bindings."""
    talk.register("alice", "1111")
    talk.register("carol", "1111", call="second", contact_host="192.168.0.103")
    talk.register("alice", "1111", headers={"Contact": None}, call="third")
    talk.compare_bindings("1111")


@scenario
def query_nothing(talk: Talk) -> None:
    """A query of a user without bindings."""
    talk.register("alice", "1111", headers={"Contact": None})


@scenario
def refresh(talk: Talk) -> None:
    """The same Contact again replaces its binding."""
    talk.register("alice", "1111")
    talk.register("alice", "1111", call="second", headers={"Expires": "900"})
    talk.compare_bindings("1111")


@scenario
def too_many_contacts(talk: Talk) -> None:
    """More Contacts than MAX_CONTACTS."""
    contacts = [f"<sip:1111@127.0.0.1:{port}>" for port in range(7000, 7011)]
    talk.register("alice", "1111", headers={"Contact": ", ".join(contacts)})
    talk.compare_bindings("1111")


@scenario
def register_elsewhere(talk: Talk) -> None:
    """403 to a REGISTER for a domain that is not ours."""
    talk.request("alice", "REGISTER", "sip:elsewhere.test", to="sip:1111@elsewhere.test")


# Calling


def ringing(talk: Talk, **more: object) -> bytes:
    """Alice calls bob, whose phone rings."""
    talk.register("bob", "2222", contact_host="192.168.0.9")
    data = call(talk, BOB, **more)
    talk.reply("bob", 100, "Trying")
    talk.reply("bob", 180, "Ringing")
    return data


def call(talk: Talk, uri: str, **more: object) -> bytes:
    """An INVITE of alice, with credentials."""
    given = {"body": SDP, "content_type": "application/sdp", **more}
    return talk.request("alice", "INVITE", uri, password=PASSWORDS["1111"], **given)  # type: ignore[arg-type]


@scenario
def invite_unauthenticated(talk: Talk) -> None:
    """407, and its ACK goes nowhere."""
    data = talk.request("alice", "INVITE", BOB)
    talk.say("alice", builders.ack(data, talk.inbox["alice"][-1]["To"]))


@scenario
def a_whole_call(talk: Talk) -> None:
    """INVITE, 100, 180, 200, ACK, re-INVITE, BYE."""
    data = ringing(talk, contact_host="192.168.0.103")
    talk.reply("bob", 200, "OK", sdp=SDP)
    answer = talk.inbox["alice"][-1]
    talk.within("alice", "ACK", answer, data, 2)
    talk.within("alice", "INVITE", answer, data, 3)
    talk.reply("bob", 200, "OK", sdp=SDP)
    talk.within("alice", "ACK", answer, data, 3)
    talk.within("alice", "BYE", answer, data, 4)
    talk.reply("bob", 200, "OK", method="BYE")


@scenario
def the_callee_hangs_up(talk: Talk) -> None:
    """A BYE of the callee, along the Record-Route that it got."""
    data = ringing(talk, contact_host="192.168.0.103")
    talk.reply("bob", 200, "OK", sdp=SDP)
    talk.within("alice", "ACK", talk.inbox["alice"][-1], data, 2)
    asked = talk.last("bob", "INVITE")
    bye = builders.request(
        "BYE", asked["Contact"].strip("<>"), sender=BOB, to=f"sip:1111@{DOMAIN}",
        via=("127.0.0.1", talk.side.ports["bob"]), branch="z9hG4bKbye", from_tag="bobtag",
        to_tag="1111tag", call_id=asked["Call-ID"], route=asked.all("Record-Route"),
    )  # fmt: skip
    talk.say("bob", bye)
    talk.reply("alice", 200, "OK", method="BYE")


@scenario
def cancel(talk: Talk) -> None:
    """200 to the CANCEL, CANCEL to the callee, 487 to the caller."""
    data = ringing(talk)
    talk.say("alice", builders.cancel(data))
    talk.reply("bob", 200, "OK", method="CANCEL")
    talk.reply("bob", 487, "Request Terminated")
    talk.say("alice", builders.ack(data, talk.inbox["alice"][-1]["To"]))


@scenario
def cancel_of_nothing(talk: Talk) -> None:
    """481."""
    talk.request("alice", "CANCEL", BOB)


@scenario
def busy(talk: Talk) -> None:
    """486 goes to the caller, the ACK to the callee is Kamailio's own."""
    data = ringing(talk)
    talk.reply("bob", 486, "Busy Here")
    talk.say("alice", builders.ack(data, talk.inbox["alice"][-1]["To"]))


@scenario
def retransmitted_invite(talk: Talk) -> None:
    """The last reply comes again, nothing goes to the callee."""
    talk.say("alice", ringing(talk))


@scenario
def retransmitted_200(talk: Talk) -> None:
    """A 200 that comes again is passed on again."""
    ringing(talk)
    for _ in range(2):
        talk.reply("bob", 200, "OK", sdp=SDP)


@scenario
def forked(talk: Talk) -> None:
    """Two phones of a user ring; who does not answer is cancelled."""
    talk.register("carol", "2222", call="second")
    ringing(talk)
    talk.reply("carol", 180, "Ringing")
    talk.reply("carol", 200, "OK", sdp=SDP)
    talk.reply("bob", 200, "OK", method="CANCEL")
    talk.reply("bob", 487, "Request Terminated")


@scenario
def forked_and_declined(talk: Talk) -> None:
    """The best of two failures goes to the caller."""
    talk.register("carol", "2222", call="second")
    ringing(talk)
    talk.reply("carol", 404, "Not Found")
    talk.reply("bob", 603, "Decline")


@scenario
def redirected(talk: Talk) -> None:
    """A 302 goes to the caller with its Contact as it is."""
    ringing(talk)
    talk.reply("bob", 302, "Moved Temporarily")


@scenario
def unknown_callee(talk: Talk) -> None:
    """404."""
    call(talk, NOBODY)


@scenario
def offline_callee(talk: Talk) -> None:
    """480."""
    call(talk, CAROL)


@scenario
def method_not_allowed(talk: Talk) -> None:
    """405 with the Allow of the callee's phone."""
    talk.register("bob", "2222", headers={"Allow": "INVITE, ACK, BYE, CANCEL"})
    talk.request("alice", "MESSAGE", BOB, password=PASSWORDS["1111"], body="hello")


@scenario
def address_incomplete(talk: Talk) -> None:
    """484."""
    call(talk, f"sip:{DOMAIN}")


@scenario
def too_many_hops(talk: Talk) -> None:
    """483."""
    talk.request("stranger", "INVITE", BOB, headers={"Max-Forwards": "0"})


@scenario
def stranger_to_stranger(talk: Talk) -> None:
    """403: no relay for others."""
    talk.request("stranger", "INVITE", "sip:x@elsewhere.test", user="x", domain="other.test")


@scenario
def stranger_calls_a_subscriber(talk: Talk) -> None:
    """A stranger may call our users."""
    talk.register("bob", "2222")
    talk.request("stranger", "INVITE", BOB, user="x", domain="other.test")
    talk.reply("bob", 486, "Busy Here")


@scenario
def keepalive(talk: Talk) -> None:
    """200 to an OPTIONS to the server itself."""
    talk.request("stranger", "OPTIONS", f"sip:{DOMAIN}", user="x", domain="other.test")
    talk.request("stranger", "OPTIONS", f"sip:127.0.0.1:{talk.side.port}", call="second")


@scenario
def scanner(talk: Talk) -> None:
    """Nothing."""
    talk.request("stranger", "OPTIONS", f"sip:{DOMAIN}", headers={"User-Agent": "sipvicious"})


@scenario
def text_message(talk: Talk) -> None:
    """A MESSAGE and its 200, without Record-Route."""
    talk.register("bob", "2222")
    kind, text = "text/plain;charset=utf-8", "hello \u00e9"
    password = PASSWORDS["1111"]
    talk.request("alice", "MESSAGE", BOB, password=password, body=text, content_type=kind)
    talk.reply("bob", 200, "OK", method="MESSAGE")


@scenario
def subscription(talk: Talk) -> None:
    """A SUBSCRIBE, its 202 and a NOTIFY."""
    talk.register("bob", "2222")
    settings = {"password": PASSWORDS["1111"], "headers": {"Event": "presence"}}
    talk.request("alice", "SUBSCRIBE", BOB, **settings)  # type: ignore[arg-type]
    talk.reply("bob", 202, "Accepted", method="SUBSCRIBE")


@scenario
def in_dialog_without_seal(talk: Talk) -> None:
    """481 to a request that only looks as if in a dialog."""
    route = [f"<sip:127.0.0.1:{talk.side.port};lr>"]
    talk.request("stranger", "INVITE", f"sip:x@127.0.0.1:{talk.side.port}", to_tag="x", route=route)
    talk.request("stranger", "BYE", BOB, to_tag="x", call="second")
    talk.request("stranger", "INFO", BOB, to_tag="x", route=route, call="third")


@scenario
def bye_without_dialog(talk: Talk) -> None:
    """481 to BYE, UPDATE and PRACK without a To tag, nothing to an ACK."""
    for method in ("BYE", "UPDATE", "PRACK", "ACK"):
        talk.request("stranger", method, BOB, call=method)


@scenario
def faulty_requests(talk: Talk) -> None:
    """What sanity refuses: 400, 416, 420."""
    faults: tuple[tuple[str, dict[str, str | None]], ...] = (
        (BOB, {"CSeq": "1 OPTIONS"}),
        (BOB, {"Content-Length": "99"}),
        (BOB, {"Expires": "soon"}),
        (BOB, {"Proxy-Require": "teleport"}),
        (BOB, {"Call-ID": None}),
        ("tel:+15551234", {}),
        ("mailto:x@example.test", {}),
        ("sips:2222@example.test", {}),
    )
    for number, (uri, headers) in enumerate(faults):
        talk.request("stranger", "INVITE", uri, call=str(number), headers=headers)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(real: RealSide, name: str, request: pytest.FixtureRequest) -> None:
    """Each phone gets the same bytes from both, in the same order; the bindings are the same."""
    if reason := KNOWN_DIFFERENCES.get(name):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    stubbed, live = run(name, real)
    assert len(live.transcript) > 1 or name == "scanner"
    assert difference(stubbed, live) == ""
