"""Our own routes on the stub: nobody makes the server send to a third party."""

from __future__ import annotations

import re

import pytest
from ksr_stub.builders import request
from ksr_stub.dialog import Call, IncomingCall
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone
from ksr_stub.traffic import Message

from .own_routes import DOMAIN, alice, bob, start

HOST, VICTIM, SERVER = "203.0.113.70", "203.0.113.61", "203.0.113.10"
PEER = ("192.0.2.60", 5060)
PRIVATE = "192.168.0.103"
AIMS = {
    "R-URI": (f"sip:victim@{VICTIM}", []),
    "alias": (f"sip:bob@{PEER[0]};alias={VICTIM}~5060~1", []),
    "Route": ("{target}", [f"<sip:{VICTIM};lr>"]),
    "Route by us": ("{target}", [f"<sip:{SERVER};lr>", f"<sip:{VICTIM};lr>"]),
    "our user": (f"sip:2222@{DOMAIN}", []),
}


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    return start(ksr)


def carol(server: Ksr) -> Phone:
    """A phone of another provider."""
    phone = server.phone("carol", None, source=PEER, domain="other.test")
    phone.aor = f"sip:carol@{PEER[0]}"
    return phone


def sent_to(server: Ksr, host: str) -> int:
    """How many messages went to a host, in all."""
    return sum(one.to.host == host for result in server.results for one in result.sent)


def called_by_a_stranger(server: Ksr) -> tuple[Phone, Call, IncomingCall]:
    """Our user's phone, and both ends of a stranger's call to it, which is answered."""
    callee = bob(server)
    callee.register()
    call = carol(server).call(callee.aor)
    ringing = callee.incoming()
    ringing.answer()
    return callee, call, ringing


def calls_a_stranger(
    server: Ksr, caller: Phone, headers: dict[str, str] | None = None
) -> tuple[Call, IncomingCall]:
    """Both ends of our user's call to a stranger, which nobody has answered yet."""
    callee = carol(server)
    caller.register()
    call = caller.call(callee.aor, headers=headers)
    return call, callee.incoming()


def inside(
    method: str, invite: Message, accepted: Message, target: str, routes: list[str], *, back: bool
) -> bytes:
    """A request inside the dialog: of the caller, or (`back`) of the callee."""
    names = ("To", "From") if back else ("From", "To")
    sender, to = (accepted[name] for name in names)
    headers = {"From": sender, "To": to, "Call-ID": invite["Call-ID"]}
    return request(method, target, route=routes, headers=headers, cseq=77, via=PEER)


def routes_of(one: Message) -> list[str]:
    return one.all("Record-Route")


@pytest.mark.parametrize("name", AIMS)
def test_a_stranger_who_calls_our_user_sends_to_nobody_else(server: Ksr, name: str) -> None:
    """481 in the dialog that he really has; the same request to the other side goes on."""
    _callee, call, ringing = called_by_a_stranger(server)
    target, more = AIMS[name]
    contact = re.search("<(.*?)>", call.final["Contact"])
    assert contact is not None
    routes = routes_of(call.final)
    aimed = inside(
        "INFO", ringing.invite, call.final, target.format(target=contact[1]),
        [*routes, *more], back=False,
    )  # fmt: skip
    result = server.receive(aimed, PEER)
    assert (result.reply.status, result.requests) == (481, [])
    good = inside("INFO", ringing.invite, call.final, contact[1], routes, back=False)
    assert server.receive(good, PEER).requests


@pytest.mark.parametrize("name", AIMS)
def test_a_stranger_whom_our_user_calls_sends_to_nobody_else(server: Ksr, name: str) -> None:
    """Neither with the seal that he has got, nor as if he were the caller."""
    call, ringing = calls_a_stranger(server, bob(server))
    ringing.answer()
    target, more = AIMS[name]
    contact = re.search("<(.*?)>", ringing.invite["Contact"])
    assert contact is not None
    routes = routes_of(ringing.invite)
    for back in (True, False):
        aimed = inside(
            "INFO", ringing.invite, call.final, target.format(target=contact[1]),
            [*routes, *more], back=back,
        )  # fmt: skip
        result = server.receive(aimed, PEER)
        assert (result.reply.status, result.requests) == (481, [])
    good = inside("INFO", ringing.invite, call.final, contact[1], routes, back=True)
    assert server.receive(good, PEER).requests


def test_a_long_record_route_brings_a_stranger_no_other_seal(server: Ksr) -> None:
    """All headers of one name can be too long for a pseudo-variable."""
    callee = bob(server)
    callee.register()
    routes = [f"<sip:{PEER[0]};lr;x={'x' * 900}>"] * 12
    call = carol(server).call(callee.aor, headers={"Record-Route": ", ".join(routes)})
    callee.incoming().ring()
    [seal] = re.findall(r";seal=([0-9a-f-]+)", " ".join(routes_of(call.replies[-1])))
    assert re.fullmatch("[0-9a-f]{18}-[0-9a-f]{12}", seal)


def test_a_phone_that_writes_a_tag_otherwise_brings_a_stranger_no_other_seal(server: Ksr) -> None:
    """The reply is of another dialog then, and the caller's seal his own."""
    callee = bob(server)
    callee.register()
    call = carol(server).call(callee.aor)
    invite = callee.incoming().invite
    data = re.sub(rb"(From: [^;]*;tag=)", rb"\1otherwise-", invite.data)
    callee.reply(Message(data, invite.to), 180, tag="1")
    [route] = routes_of(call.replies[-1])
    assert re.search(r";seal=[0-9a-f]{18}-[0-9a-f]{12}[;>]", route)


def test_a_stranger_in_a_call_speaks_in_no_name_of_ours(server: Ksr) -> None:
    """481 to the same request with a From of ours."""
    _callee, call, ringing = called_by_a_stranger(server)
    contact = re.search("<(.*?)>", call.final["Contact"])
    assert contact is not None
    good = inside("INFO", ringing.invite, call.final, contact[1], routes_of(call.final), back=False)
    feigned = re.sub(rb"From: [^;]*", b"From: <sip:1111@example.test>", good)
    result = server.receive(feigned, PEER)
    assert (result.reply.status, result.requests) == (481, [])
    good = good.replace(b"branch=z9hG4bK", b"branch=z9hG4bKmore")
    assert server.receive(good, PEER).requests


def test_each_side_has_a_seal_of_its_own(server: Ksr) -> None:
    """A stranger's names the place of our user as well."""
    _callee, call, ringing = called_by_a_stranger(server)
    assert re.search(r";seal=[0-9a-f]{18}[;>]", ringing.invite["Record-Route"])
    assert re.search(r";seal=[0-9a-f]{18}-[0-9a-f]{12}[;>]", call.final["Record-Route"])


def test_a_stranger_reaches_our_user_by_way_of_the_proxy_before_us(server: Ksr) -> None:
    """And nobody else by it: its place is what the stranger's seal names."""
    proxies = ["<sip:198.51.100.9:5070;lr>", f"<sip:{VICTIM};lr>"]
    call, ringing = calls_a_stranger(server, bob(server), {"Record-Route": proxies[0]})
    ringing.ring()
    ours, _ = routes_of(ringing.invite)
    for proxy, to in zip(proxies, [[("198.51.100.9", 5070)], []], strict=True):
        data = inside(
            "INFO",
            ringing.invite,
            call.replies[-1],
            f"sip:2222@{PRIVATE}",
            [ours, proxy],
            back=True,
        )
        sent = server.receive(data, PEER).requests
        assert [(one.to.host, one.to.port) for one in sent] == to


def test_a_stranger_reaches_our_user_at_his_public_address(server: Ksr) -> None:
    """Without NAT the Contact is the place."""
    caller = server.phone(
        "2222", "second secret", source=("198.51.100.9", 50999), private=("198.51.100.9", 50999)
    )
    call, ringing = calls_a_stranger(server, caller)
    ringing.ring()
    routes = routes_of(ringing.invite)
    for host, sent in (("198.51.100.9:50999", 1), (VICTIM, 0)):
        data = inside(
            "INFO", ringing.invite, call.replies[-1], f"sip:2222@{host}", routes, back=True
        )
        assert len(server.receive(data, PEER).requests) == sent


def test_a_stranger_reaches_our_user_by_way_of_the_proxy_behind_us(server: Ksr) -> None:
    """A proxy on the way to the phone is what the seal of the caller names."""
    callee, caller = bob(server), carol(server)
    callee.register()
    call = caller.call(callee.aor)
    ringing = callee.incoming()
    proxy = "<sip:198.51.100.9:50999;lr>"
    data = ringing.invite.data
    data = data.replace(b"Record-Route: ", f"Record-Route: {proxy}\r\nRecord-Route: ".encode(), 1)
    passed_on = Message(data, ringing.invite.to)
    callee.reply(passed_on, 180, tag="callee", headers=[("Contact", f"<{callee.contact}>")])
    ringing_reply = call.replies[-1]
    its_own, ours = routes_of(ringing_reply)
    assert its_own == proxy
    target = f"sip:2222@{PRIVATE}"
    for there, sent in (([ours, proxy], 1), ([ours, f"<sip:{VICTIM};lr>"], 0)):
        data = inside("INFO", ringing.invite, ringing_reply, target, there, back=False)
        assert len(server.receive(data, PEER).requests) == sent


def test_a_stranger_whose_user_has_no_binding_goes_nowhere(server: Ksr) -> None:
    """Nor does one whose R-URI leads nowhere."""
    callee, call, ringing = called_by_a_stranger(server)
    callee.unregister()
    routes = routes_of(call.final)
    for target in (f"sip:victim@{VICTIM}", "tel:+4930"):
        data = inside("INFO", ringing.invite, call.final, target, routes, back=False)
        assert server.receive(data, PEER).requests == []


def test_our_user_may_move_to_where_he_registers(server: Ksr) -> None:
    """The stranger's seal leads to his bindings too."""
    callee, call, ringing = called_by_a_stranger(server)
    callee.source = ("198.51.100.9", 51234)
    moved = f"sip:2222@{PRIVATE}:5060;alias=198.51.100.9~51234~1"
    routes = routes_of(call.final)
    data = inside("INFO", ringing.invite, call.final, moved, routes, back=False)
    assert server.receive(data, PEER).reply.status == 481
    callee.register()
    data = data.replace(b"branch=z9hG4bK", b"branch=z9hG4bKmore")
    assert server.receive(data, PEER).requests


@pytest.mark.parametrize("method", ["ACK", "PRACK", "CANCEL", "BYE", "UPDATE", "INFO"])
@pytest.mark.parametrize("tag", ["", "made-up"])
@pytest.mark.parametrize("name", AIMS)
def test_a_request_of_no_dialog_goes_to_no_third_party(
    server: Ksr, method: str, tag: str, name: str
) -> None:
    """With our Route, with a made-up seal, or without any."""
    target, more = AIMS[name]
    uri = target.format(target=f"sip:2222@{DOMAIN}")
    for first in ([f"<sip:{SERVER};lr>"], [f"<sip:{SERVER};lr;seal=0123456789abcdef01>"], []):
        data = request(method, uri, to=f"sip:2222@{DOMAIN}", to_tag=tag, route=[*first, *more])
        assert server.receive(data, PEER).requests == []


ELSEWHERE = [
    f"<sip:1111@{VICTIM}>",
    "<sip:1111@victim.example>",
    f"<sip:1111@{HOST};alias={VICTIM}~5060~1>",
    f"<sip:1111@{PRIVATE};alias={VICTIM}~5060~1>",
    f"<sip:1111@{VICTIM};received=sip:{VICTIM}:5060;maddr={VICTIM}>",
    f"<sip:1111@{SERVER}>",
    f"<sip:2222@{DOMAIN}>",
    f"sip:1111@{VICTIM}:5060",
]
IMPOSSIBLE = [
    "<http://victim.example/>", "<tel:+4930123456>", "<sip:1111@0.0.0.0>",
    "<sip:1111@255.255.255.255>", "<sip:1111@224.0.1.75>", "<sip:1111@[ff02::1]>",
    f"<sip:1111@{HOST}:99999>", f"<sip:1111@{HOST}:0>",
    f"<sip:1111@{HOST};alias={VICTIM}~5060~1;alias={HOST}~5060~1>",
    f"<sip:1111;alias={HOST}~5060~1@{HOST}>", f"<sip:1111@{HOST}?a=;alias={HOST}~5060~1>",
]  # fmt: skip
# A second Contact that Kamailio would bind at the victim: see tests/live/test_registered_aim.py.
HIDDEN = [
    (rf'"a\\" <sip:1111@{HOST}>, "<sip:1111@{VICTIM}>;p=a"', 400),
    (f'<sip:1111@{HOST}>;p=a", <sip:1111@{VICTIM}>;o=b"', 400),
    (f"<sip:1111;alias={HOST}~5060~1@{VICTIM}>", 400),
    (f"<sip:1111@{VICTIM}?a=;alias={HOST}~5060~1>", 400),
    (f"<sip:1111@{VICTIM};alias={HOST}~5060~1>", 403),
    (f"<sip:1111@{VICTIM}>;expires=0;expires=3600", 400),
    (f"<sip:1111@{VICTIM}>;expires=0x", 403),
    (f"<sip:1111@{VICTIM}>;expires=\u0660", 403),
    (f"<sip:1111@{VICTIM}>;\v\u00a0expires=0", 403),
    (f"<sip:1111@{HOST};a=b@{VICTIM}>", 400),
    (f"a:b <sip:1111@{VICTIM}>", 400),
    (f'"a"*, <sip:1111@{VICTIM}>', 400),
]


def public(server: Ksr) -> Phone:
    return server.phone("1111", "first secret", source=(HOST, 5060))


@pytest.mark.parametrize("contact", ELSEWHERE)
def test_a_phone_is_called_where_it_registers_from(server: Ksr, contact: str) -> None:
    """A first Contact gets the alias of the source, a second one at another address is refused."""
    phone, caller = public(server), bob(server)
    both = f"<sip:1111@{HOST}:5060>, {contact}"
    assert phone.register(contact=both).status == 403
    assert phone.register(contact=contact).status == 200
    caller.register()
    caller.call("1111")
    assert phone.incoming()
    assert sent_to(server, VICTIM) == 0


@pytest.mark.parametrize(("contact", "status"), HIDDEN)
def test_a_contact_at_another_address_is_refused_however_it_is_hidden(
    server: Ksr, contact: str, status: int
) -> None:
    """Kamailio and we read the same Contacts, or none."""
    phone, caller = public(server), bob(server)
    assert phone.register(contact=f"<sip:1111@{HOST}:5060>, {contact}").status == status
    caller.register()
    assert caller.call("1111").status == 480


def test_a_contact_is_bound_where_its_own_time_says_so_in_quotes(server: Ksr) -> None:
    """So it must not be at another address, though Expires says that all are to be removed."""
    contact = f'<sip:1111@{HOST}:5060>, <sip:1111@{VICTIM}>;expires="3600"'
    assert public(server).register(contact=contact, expires=0).status == 403


@pytest.mark.parametrize("contact", IMPOSSIBLE)
def test_an_impossible_contact_is_refused(server: Ksr, contact: str) -> None:
    """400, and nothing is bound."""
    for value in (contact, f"<sip:1111@{HOST}:5060>, {contact}"):
        assert public(server).register(contact=value).status == 400
    caller = bob(server)
    caller.register()
    assert caller.call("1111").status == 480


@pytest.mark.parametrize(
    "contact",
    [
        *("{brought}, {own}", "{own}, {brought}", "{brought}, {own};expires=0", '"?" {brought}'),
        f"<sip:1111@{PRIVATE};alias={VICTIM}~5060~1?a=b>",
    ],
)
def test_an_alias_that_ours_does_not_replace_is_refused(server: Ksr, contact: str) -> None:
    """nathelper gives one Contact an alias, on Kamailio 5.6 the last; with a `?` it gets none."""
    brought, own = f"<sip:1111@{PRIVATE};alias={VICTIM}~5060~1>", f"<sip:1111@{PRIVATE}:5062>"
    refused = alice(server).register(contact=contact.format(brought=brought, own=own))
    assert refused.status == 403


@pytest.mark.parametrize("value", [f'received="sip:{VICTIM}:5060"', f"Received = sip:{VICTIM}"])
def test_where_a_phone_is_said_to_be_received_from_is_refused(server: Ksr, value: str) -> None:
    """usrloc would send calls there, whatever the alias says."""
    for place in (HOST, PRIVATE):
        contact = f"<sip:1111@{place}:5060>;{value}"
        assert public(server).register(contact=contact).status == 403
    removed = f"<sip:1111@{HOST}:5060>;{value};expires=0"
    assert public(server).register(contact=removed).status == 200


@pytest.mark.parametrize("path", [
    f"<sip:{VICTIM};lr>", f"<sip:{SERVER};lr>", "<sip:v.test;lr>",
    f'"<sip:{HOST};lr>" <sip:{VICTIM};lr>', f"<sip:{HOST};lr;a=b@{VICTIM}>",
])  # fmt: skip
def test_a_path_of_another_host_is_refused(ksr: Ksr, path: str) -> None:
    """403, unless it comes from a trusted peer or CONTACT_ELSEWHERE allows it."""
    headers = {"Path": path, "Supported": "path"}
    assert public(start(ksr)).register(headers=headers).status == 403


@pytest.mark.parametrize("setting", [{"CONTACT_ELSEWHERE": "1"}, {"TRUSTED_PEERS": HOST}])
def test_a_path_that_is_believed(ksr: Ksr, setting: dict[str, str]) -> None:
    """An edge proxy with another address than the one it sends from."""
    headers = {"Path": f"<sip:{VICTIM};lr>", "Supported": "path"}
    assert public(start(ksr, **setting)).register(headers=headers).status == 200


def test_a_contact_elsewhere_that_is_believed(ksr: Ksr) -> None:
    """With CONTACT_ELSEWHERE phones may say where they are."""
    reply = public(start(ksr, CONTACT_ELSEWHERE="1")).register(contact=f"<sip:1111@{VICTIM}>")
    assert (reply.status, reply["Contact"].partition(">")[0]) == (200, f"<sip:1111@{VICTIM}")


@pytest.mark.parametrize("private", [PEER, (PRIVATE, 5060)])
def test_an_alias_that_a_caller_gives_himself_is_not_followed(
    server: Ksr, private: tuple[str, int]
) -> None:
    """Behind NAT ours replaces it, else it is no alias any more."""
    callee = bob(server)
    callee.register()
    contact = f"<sip:carol@{private[0]}:5060;alias={VICTIM}~5060~1>"
    server.receive(
        request(
            "INVITE", callee.aor, sender="sip:carol@other.test", contact=contact, via=private
        ),
        PEER,
    )  # fmt: skip
    assert f";alias={VICTIM}" not in callee.incoming().invite["Contact"]


def test_two_phones_with_one_private_contact_both_ring(server: Ksr) -> None:
    """Two NATs, two bindings."""
    first, second = alice(server), alice(server)
    second.source = ("203.0.113.6", 40999)
    assert first.register().status == second.register().status == 200
    caller = bob(server)
    caller.register()
    caller.call("1111")
    assert first.incoming()
    assert second.incoming()
