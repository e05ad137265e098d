"""registrar and usrloc: replies and bindings, as Kamailio 5.6.3 gave them."""

from __future__ import annotations

import KSR
import pytest
from ksr_stub import message
from ksr_stub.harness import Ksr
from ksr_stub.message import Address, SipMessage

PHONE = "<sip:a@10.0.0.1>"


@pytest.fixture(autouse=True)
def table(ksr: Ksr) -> None:
    """Under KEMI the table must be preloaded."""
    ksr.param("usrloc", "preload", "location")
    ksr.param("usrloc", "use_domain", 1)


def coming(
    ksr: Ksr,
    *contacts: str,
    cseq: int = 1,
    call_id: str = "1",
    headers: str = "",
    source: tuple[str, int] = ("198.51.100.7", 5060),
) -> SipMessage:
    """A REGISTER that is being routed."""
    shown = "".join(f"Contact: {contact}\r\n" for contact in contacts)
    data = (
        "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\n"
        "From: <sip:1111@example.test>;tag=1\r\nTo: <sip:1111@example.test>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{shown}{headers}Content-Length: 0\r\n\r\n"
    )
    parsed = message.parse(data.encode(), Address(*source), ksr.world.sockets[0])
    ksr.world.message = parsed
    return parsed


def calling(ksr: Ksr, method: str = "INVITE", user: str = "1111") -> SipMessage:
    """A request to the user."""
    data = (
        f"{method} sip:{user}@example.test SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK2\r\nFrom: <sip:x@example.test>;tag=1\r\n"
        f"To: <sip:{user}@example.test>\r\nCall-ID: 2\r\nCSeq: 1 {method}\r\n\r\n"
    )
    parsed = message.parse(data.encode(), Address("198.51.100.7", 5060), ksr.world.sockets[0])
    ksr.world.message = parsed
    return parsed


def reply(ksr: Ksr) -> str:
    """The last reply."""
    return ksr.world.sent[-1].data.decode()


def header(ksr: Ksr, name: str) -> str:
    """A header of the last reply, '' without one."""
    return reply(ksr).partition(f"\r\n{name}: ")[2].partition("\r\n")[0]


def test_save_sends_its_own_200_with_all_bindings(ksr: Ksr) -> None:
    """1 for a new binding, 2 for one that is refreshed, 4 for a query."""
    coming(ksr, PHONE)
    assert KSR.registrar.save("location", 0) == 1
    assert reply(ksr).startswith("SIP/2.0 200 OK\r\n")
    assert header(ksr, "Contact") == "<sip:a@10.0.0.1>;expires=3600"
    coming(ksr, f"{PHONE};expires=600", cseq=2)
    assert KSR.registrar.save("location", 0) == 2
    assert header(ksr, "Contact") == "<sip:a@10.0.0.1>;expires=600"
    coming(ksr, cseq=3)
    assert KSR.registrar.save("location", 0) == 4
    assert header(ksr, "Contact") == "<sip:a@10.0.0.1>;expires=600"


def test_a_table_that_is_not_preloaded_gets_no_reply(ksr: Ksr) -> None:
    """-1, and only the log says why."""
    coming(ksr, PHONE)
    assert KSR.registrar.save("elsewhere", 0) == -1
    assert ksr.world.sent == []
    assert any("usrloc domain [elsewhere] not found" in line for line in ksr.world.log_lines())


def test_expires_0_removes_one_binding_and_a_star_all(ksr: Ksr) -> None:
    """3 in both cases."""
    coming(ksr, PHONE, "<sip:b@10.0.0.2>")
    KSR.registrar.save("location", 0)
    coming(ksr, f"{PHONE};expires=0", cseq=2)
    assert KSR.registrar.save("location", 0) == 3
    assert header(ksr, "Contact") == "<sip:b@10.0.0.2>;expires=3600"
    coming(ksr, "*", cseq=3, headers="Expires: 0\r\n")
    assert KSR.registrar.save("location", 0) == 3
    assert header(ksr, "Contact") == ""
    assert ksr.location.bindings("1111@example.test") == []


@pytest.mark.parametrize(
    ("contact", "headers", "text"),
    [
        ("*", "", "* used in contact and expires is not zero"),
        (f"{PHONE};q=2", "", "Invalid q param in contact"),
        ("garbage", "", "Contact parse error"),
        (f"<sip:{'a' * 600}@h>", "", "Contact/received too long"),
        (PHONE, "Expires:\r\n", "Expires parse error"),
    ],
)
def test_a_wrong_register_is_refused_by_save_itself(
    ksr: Ksr, contact: str, headers: str, text: str
) -> None:
    """-1 and 400, and P-Registrar-Error says why."""
    coming(ksr, contact, headers=headers)
    assert KSR.registrar.save("location", 0) == -1
    assert reply(ksr).startswith("SIP/2.0 400 Bad Request\r\n")
    assert header(ksr, "P-Registrar-Error") == text


def test_too_short_an_expiry_is_lengthened_or_refused(ksr: Ksr) -> None:
    """min_expires_mode=1 answers 423 with Min-Expires (RFC 3261 10.3)."""
    coming(ksr, f"{PHONE};expires=10")
    assert KSR.registrar.save("location", 0) == 1
    assert header(ksr, "Contact") == "<sip:a@10.0.0.1>;expires=60"
    ksr.param("registrar", "min_expires_mode", 1)
    coming(ksr, f"{PHONE};expires=10", cseq=2)
    assert KSR.registrar.save("location", 0) == -1
    assert reply(ksr).startswith("SIP/2.0 423 Interval Too Brief\r\n")
    assert header(ksr, "Min-Expires") == "60"


def test_one_contact_too_many_is_503(ksr: Ksr) -> None:
    """-2, with the bindings that are there and Retry-After."""
    ksr.param("registrar", "max_contacts", 1)
    ksr.param("registrar", "retry_after", 10)
    coming(ksr, PHONE)
    KSR.registrar.save("location", 0)
    coming(ksr, "<sip:b@10.0.0.2>", cseq=2)
    assert KSR.registrar.save("location", 0) == -2
    assert reply(ksr).startswith("SIP/2.0 503 Service Unavailable\r\n")
    assert header(ksr, "P-Registrar-Error") == "Too many registered contacts"
    assert header(ksr, "Retry-After") == "10"
    assert header(ksr, "Contact") == "<sip:a@10.0.0.1>;expires=3600"


def test_an_older_cseq_of_the_same_call_is_refused(ksr: Ksr) -> None:
    """The same CSeq is a retransmission for 20 seconds; another Call-ID starts anew."""
    coming(ksr, PHONE, cseq=5)
    KSR.registrar.save("location", 0)
    coming(ksr, PHONE, cseq=5)
    assert KSR.registrar.save("location", 0) == 1
    coming(ksr, PHONE, cseq=4)
    assert KSR.registrar.save("location", 0) == -1
    assert header(ksr, "P-Registrar-Error") == "Invalid CSeq number"
    coming(ksr, PHONE, cseq=1, call_id="2")
    assert KSR.registrar.save("location", 0) == 2


def test_a_phone_with_an_instance_keeps_one_binding_when_it_moves(ksr: Ksr) -> None:
    """RFC 5626: the instance says that it is the same phone."""
    coming(ksr, f'{PHONE};+sip.instance="<urn:uuid:1>"')
    KSR.registrar.save("location", 0)
    coming(ksr, '<sip:a@10.0.0.9>;+sip.instance="<urn:uuid:1>"', cseq=2)
    assert KSR.registrar.save("location", 0) == 2
    assert header(ksr, "Contact") == ('<sip:a@10.0.0.9>;expires=3600;+sip.instance="<urn:uuid:1>"')


def test_the_alias_and_the_received_address_are_part_of_the_binding(ksr: Ksr) -> None:
    """What nathelper did to the Contact is what save stores."""
    for module in ("nathelper", "registrar"):
        ksr.param(module, "received_avp", "$avp(received)")
    coming(ksr, "<sip:a@192.168.0.103>", source=("198.51.100.7", 40123))
    KSR.nathelper.set_contact_alias_trim()
    KSR.nathelper.fix_nated_register()
    KSR.setbflag(6)
    KSR.registrar.save("location", 0)
    (binding,) = ksr.location.bindings("1111@example.test")
    assert binding.uri == "sip:a@192.168.0.103;alias=198.51.100.7~40123~1"
    assert binding.received == "sip:198.51.100.7:40123"
    request = calling(ksr)
    assert KSR.registrar.lookup("location") == 1
    assert (request.uri, request.dst_uri) == (binding.uri, binding.received)
    assert KSR.isbflagset(6)


def test_lookup_forks_to_the_greatest_q_first(ksr: Ksr) -> None:
    """The first binding becomes the R-URI, the others become branches."""
    coming(ksr, f"{PHONE};q=0.1", "<sip:b@10.0.0.2>;q=1", "<sip:c@10.0.0.3>;q=0.5")
    KSR.registrar.save("location", 0)
    request = calling(ksr)
    assert KSR.registrar.lookup("location") == 1
    branches = [KSR.pv.get(f"$(branch(uri)[{i}])") for i in range(2)]
    assert [request.uri, *branches] == ["sip:b@10.0.0.2", "sip:c@10.0.0.3", "sip:a@10.0.0.1"]


def test_lookup_says_why_it_found_nothing(ksr: Ksr) -> None:
    """-1 nobody is there, -2 nobody takes the method."""
    ksr.param("registrar", "method_filtering", 1)
    coming(ksr, PHONE, headers="Allow: INVITE, ACK\r\n")
    KSR.registrar.save("location", 0)
    calling(ksr, "MESSAGE")
    assert KSR.registrar.lookup("location") == -2
    calling(ksr, user="2222")
    assert KSR.registrar.lookup("location") == -1
    assert KSR.registrar.registered("location") == -1


def test_a_path_is_the_way_to_the_phone(ksr: Ksr) -> None:
    """RFC 3327; path_mode=0 does not tell the phone."""
    ksr.param("registrar", "use_path", 1)
    ksr.param("registrar", "path_mode", 0)
    coming(ksr, PHONE, headers="Path: <sip:p@192.0.2.5;lr>\r\nSupported: path\r\n")
    KSR.registrar.save("location", 0)
    assert header(ksr, "Path") == ""
    request = calling(ksr)
    KSR.registrar.lookup("location")
    assert request.dst_uri == "sip:p@192.0.2.5;lr"
    assert request.path_vector == "<sip:p@192.0.2.5;lr>"


def test_an_unknown_path_is_refused_after_it_was_saved(ksr: Ksr) -> None:
    """path_mode=2, the default: 420, and yet save returns 1."""
    ksr.param("registrar", "use_path", 1)
    coming(ksr, PHONE, headers="Path: <sip:p@192.0.2.5;lr>\r\n")
    assert KSR.registrar.save("location", 0) == 1
    assert reply(ksr).startswith("SIP/2.0 420 Bad Extension\r\n")


def test_ulc_reads_what_was_fetched(ksr: Ksr) -> None:
    """A copy: what happens afterwards does not show."""
    coming(ksr, f"{PHONE};q=0.5", call_id="abc", cseq=7)
    KSR.registrar.save("location", 0)
    assert KSR.registrar.reg_fetch_contacts("location", "sip:1111@example.test", "p") == 1
    assert KSR.registrar.unregister("location", "sip:1111@example.test") == 1
    shown = [KSR.pv.get(f"$ulc(p=>{name})") for name in ("aor", "addr", "callid", "cseq", "q")]
    assert shown == ["1111@example.test", "sip:a@10.0.0.1", "abc", 7, 500]
    assert KSR.pv.get("$(ulc(p=>addr)[1])") is None
    assert KSR.registrar.reg_fetch_contacts("location", "sip:1111@example.test", "p") == -1
    assert KSR.pv.get("$ulc(p=>count)") is None


def test_unregister_ruid_removes_one_binding(ksr: Ksr) -> None:
    """-3 where there is no such binding."""
    coming(ksr, PHONE, "<sip:b@10.0.0.2>")
    KSR.registrar.save("location", 0)
    aor = "sip:1111@example.test"
    ruid = ksr.location.bindings("1111@example.test")[0].ruid
    assert KSR.registrar.unregister_ruid("location", aor, ruid) == 1
    assert KSR.registrar.unregister_ruid("location", aor, ruid) == -3
    assert len(ksr.location.bindings("1111@example.test")) == 1


def test_a_binding_is_gone_when_it_has_expired(ksr: Ksr) -> None:
    """lookup sees it at once, the timer removes it within timer_interval."""
    coming(ksr, f"{PHONE};expires=100")
    KSR.registrar.save("location", 0)
    ksr.clock.advance(99)
    calling(ksr)
    assert KSR.registrar.registered("location") == 1
    ksr.clock.advance(1)
    assert KSR.registrar.registered("location") == -1
    assert len(ksr.location.bindings("1111@example.test")) == 1
    ksr.clock.advance(60)
    assert ksr.location.bindings("1111@example.test") == []
