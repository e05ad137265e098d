"""nathelper: the answers are those that Kamailio 5.6.3 gave to the same messages."""

from __future__ import annotations

import KSR
import pytest
from ksr_stub import headers, message
from ksr_stub.harness import Ksr
from ksr_stub.message import Address, SipMessage

SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def coming(
    ksr: Ksr,
    contact: str = "<sip:a@192.168.0.103>",
    *,
    via: str = "192.168.0.103",
    source: tuple[str, int] = ("198.51.100.7", 5060),
    uri: str = "sip:example.test",
    sdp: str = "",
) -> SipMessage:
    """A request that is being routed."""
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    data = (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\n"
        "From: <sip:1111@example.test>;tag=1\r\nTo: <sip:2222@example.test>\r\nCall-ID: 1\r\n"
        f"CSeq: 1 INVITE\r\nContact: {contact}\r\n{kind}Content-Length: {len(sdp)}\r\n\r\n{sdp}"
    )
    parsed = message.parse(data.encode(), Address(*source), ksr.world.sockets[0])
    ksr.world.message = parsed
    return parsed


def sent_contact(routed: SipMessage) -> str:
    """The Contact as it would be sent."""
    text = routed.applied()
    return text.partition("Contact: ")[2].partition("\r\n")[0]


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.1.2.3", 1), ("192.168.0.1", 1), ("172.31.255.255", 1), ("172.32.0.1", -1),
        ("100.64.0.1", 1), ("100.128.0.1", -1), ("192.0.0.5", 1), ("192.0.0.200", 1),
        ("192.0.1.1", -1), ("169.254.1.1", -1), ("127.0.0.1", -1), ("[fd00::1]", -1),
        ("10.1", 1), ("167772161", 1), ("012.0.0.1", 1), ("example.com", -1),
    ],
)  # fmt: skip
def test_private_is_what_inet_aton_and_the_list_of_nets_say(
    ksr: Ksr, host: str, private: int
) -> None:
    """Loopback, link-local and all IPv6 addresses are public for nathelper."""
    coming(ksr)
    assert KSR.nathelper.is_rfc1918(host) == private


def test_192_0_0_0_24_is_private_by_default_only(ksr: Ksr) -> None:
    """nat_addr_mode=0 leaves the /29 of RFC 7335."""
    coming(ksr)
    ksr.param("nathelper", "nat_addr_mode", 0)
    assert KSR.nathelper.is_rfc1918("192.0.0.200") == -1
    assert KSR.nathelper.is_rfc1918("192.0.0.5") == 1


def test_each_bit_of_nat_uac_test_is_its_own_test(ksr: Ksr) -> None:
    """A phone with a private address behind a NAT that changed its port."""
    coming(ksr, source=("198.51.100.7", 40123), sdp=SDP.format("192.168.0.103"))
    hits = [bit for bit in range(10) if KSR.nathelper.nat_uac_test(1 << bit) > 0]
    assert hits == [0, 1, 2, 3, 4, 7, 8]


def test_a_phone_in_the_open_passes_every_test(ksr: Ksr) -> None:
    """Via, Contact, SDP and source all agree."""
    coming(ksr, "<sip:a@198.51.100.7>", via="198.51.100.7", sdp=SDP.format("198.51.100.7"))
    assert KSR.nathelper.nat_uac_test(1023) == -1


def test_the_via_host_is_compared_as_text(ksr: Ksr) -> None:
    """Another way to write the same IPv6 address is another address."""
    coming(ksr, via="[2001:db8::7]", source=("2001:db8::7", 5060))
    assert KSR.nathelper.nat_uac_test(2) == -1
    coming(ksr, via="[2001:db8:0:0:0:0:0:7]", source=("2001:db8::7", 5060))
    assert KSR.nathelper.nat_uac_test(2) == 1


def test_of_several_contacts_in_one_header_the_last_one_counts(ksr: Ksr) -> None:
    """Kamailio's parser stores them in reverse."""
    routed = coming(ksr, "<sip:a@192.168.0.103>, <sip:b@198.51.100.9>")
    assert KSR.nathelper.nat_uac_test(1) == -1
    assert KSR.nathelper.set_contact_alias() == 1
    assert sent_contact(routed) == (
        "<sip:a@192.168.0.103>, <sip:b@198.51.100.9;alias=198.51.100.7~5060~1>"
    )


def test_a_media_stream_without_an_address_makes_the_body_unreadable(ksr: Ksr) -> None:
    """Then even the private address of another stream is no hit."""
    sdp = SDP.format("10.0.0.1").replace("c=IN IP4 10.0.0.1\r\n", "") + "c=IN IP4 10.0.0.1\r\n"
    coming(ksr, sdp=sdp)
    assert KSR.nathelper.nat_uac_test(8) == 1
    coming(ksr, sdp=sdp + "m=video 4002 RTP/AVP 31\r\n")
    assert KSR.nathelper.nat_uac_test(8) == -1


def test_the_alias_is_appended_and_brackets_come_where_there_are_none(ksr: Ksr) -> None:
    """The Contact that came stays what it is for the routes."""
    routed = coming(ksr, "sip:a@192.168.0.103;expires=5")
    assert KSR.nathelper.set_contact_alias() == 1
    assert sent_contact(routed) == "<sip:a@192.168.0.103;alias=198.51.100.7~5060~1>;expires=5"
    assert routed.get("contact") == "sip:a@192.168.0.103;expires=5"


def test_the_second_alias_is_refused(ksr: Ksr) -> None:
    """So is fix_nated_contact after it."""
    coming(ksr)
    assert KSR.nathelper.set_contact_alias_trim() == 1
    assert KSR.nathelper.set_contact_alias_trim() == -1
    assert KSR.nathelper.fix_nated_contact() == -1


def test_trim_takes_the_last_alias_away(ksr: Ksr) -> None:
    """Without trim the old one stays, and handle_ruri_alias would follow that one first."""
    old = "<sip:a@192.168.0.103;alias=1.2.3.4~50~1;ob>"
    routed = coming(ksr, old)
    KSR.nathelper.set_contact_alias_trim()
    assert sent_contact(routed) == "<sip:a@192.168.0.103;ob;alias=198.51.100.7~5060~1>"
    routed = coming(ksr, old)
    KSR.nathelper.set_contact_alias()
    assert sent_contact(routed) == (
        "<sip:a@192.168.0.103;alias=1.2.3.4~50~1;ob;alias=198.51.100.7~5060~1>"
    )


@pytest.mark.parametrize("contact", ["*", "<tel:123>", "garbage"])
def test_there_is_no_alias_for_what_is_no_sip_contact(ksr: Ksr, contact: str) -> None:
    """-1, and nothing is changed."""
    routed = coming(ksr, contact)
    assert KSR.nathelper.set_contact_alias() == -1
    assert sent_contact(routed) == contact


def test_fix_nated_contact_writes_the_source(ksr: Ksr) -> None:
    """maddr makes no sense any more and goes."""
    routed = coming(ksr, "<sip:a@192.168.0.103:5062;maddr=1.1.1.1;ob>")
    assert KSR.nathelper.fix_nated_contact() == 1
    assert sent_contact(routed) == "<sip:a@198.51.100.7:5060;ob>"


@pytest.mark.parametrize(
    ("uri", "code", "left", "to"),
    [
        ("sip:a@h;alias=1.2.3.4~50~1", 1, "sip:a@h", "sip:1.2.3.4:50"),
        ("sip:a@h;x=1;alias=1.2.3.4~50~2;ob", 1, "sip:a@h;x=1;ob", "sip:1.2.3.4:50;transport=tcp"),
        ("sip:a@h;alias=[2001:db8::1]~5~6", 1, "sip:a@h", "sip:[2001:db8::1]:5;transport=ws"),
        ("sip:a@h;ob", 2, "sip:a@h;ob", None),
        ("sip:a@h;alias=1.2.3.4~50~7", -1, "sip:a@h;alias=1.2.3.4:50~7", None),
    ],
)
def test_handle_ruri_alias_sends_to_the_first_alias(
    ksr: Ksr, uri: str, code: int, left: str, to: str | None
) -> None:
    """2 means that there is none; a broken one is damaged further."""
    routed = coming(ksr, uri=uri)
    assert KSR.nathelper.handle_ruri_alias() == code
    assert (routed.uri, routed.dst_uri) == (left, to)


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("sip:a@h;alias=1.2.3.4~50~1", -1),
        ("sip:a@h;alias=1.2.3.4~50~1;ob", 1),
        ("sip:a@h;alias=1.2.3.4~50~1;transport=udp", -1),
    ],
)
def test_the_mode_of_handle_ruri_alias_is_broken_in_5_6(ksr: Ksr, uri: str, code: int) -> None:
    """It counts the characters behind the alias wrongly; later versions are right."""
    coming(ksr, uri=uri)
    assert KSR.nathelper.handle_ruri_alias_mode(1) == code
    ksr.world.version = "6.0"
    coming(ksr, uri=uri)
    assert KSR.nathelper.handle_ruri_alias_mode(1) == 1


def test_fix_nated_register_keeps_the_source_in_its_avp(ksr: Ksr) -> None:
    """Without received_avp it does nothing, and says that it worked."""
    coming(ksr, source=("198.51.100.7", 40123))
    assert KSR.nathelper.fix_nated_register() == 1
    assert KSR.pv.get("$avp(received)") is None
    ksr.param("nathelper", "received_avp", "$avp(received)")
    assert KSR.nathelper.fix_nated_register() == 1
    assert KSR.pv.get("$avp(received)") == "sip:198.51.100.7:40123"


def test_fix_nated_sdp_replaces_and_remembers_the_address(ksr: Ksr) -> None:
    """The old one goes to the end of the body, unless append_sdp_oldmediaip is off."""
    routed = coming(ksr, sdp=SDP.format("10.0.0.1"))
    assert KSR.nathelper.fix_nated_sdp(2) == 1
    body = routed.applied().partition("\r\n\r\n")[2]
    assert "c=IN IP4 198.51.100.7\r\n" in body
    assert body.endswith("\r\na=oldmediaip:10.0.0.1\r\n")
    assert KSR.nathelper.fix_nated_sdp(0) == 2


def test_set_alias_to_pv_tells_where_an_alias_leads(ksr: Ksr) -> None:
    """Here udp is named, and a variable that can't be written is -1."""
    coming(ksr, "<sip:a@192.168.0.103;alias=1.2.3.4~50~1>")
    assert KSR.nathelper.set_alias_to_pv("$avp(x)") == 1
    assert KSR.pv.get("$avp(x)") == "sip:1.2.3.4:50;transport=udp"
    assert KSR.nathelper.set_alias_to_pv("$si") == -1
    coming(ksr)
    assert KSR.nathelper.set_alias_to_pv("$avp(x)") == -1


def test_the_alias_names_the_transport(ksr: Ksr) -> None:
    """By a number: 2 is TCP, 6 is secure WebSocket, which is asked for as ws."""
    for proto, number in (("tcp", 2), ("tls", 3), ("wss", 6)):
        routed = coming(ksr)
        routed.proto = proto
        assert KSR.nathelper.nat_uac_test(64) == (1 if proto == "wss" else -1)
        KSR.nathelper.set_contact_alias()
        assert sent_contact(routed) == (f"<sip:a@192.168.0.103;alias=198.51.100.7~5060~{number}>")


@pytest.mark.parametrize(("second", "code"), [("", 2), ("CSeq: 7 INVITE\r\n", -1)])
def test_an_alias_for_no_contact_is_nothing_to_do_where_the_headers_can_be_read(
    ksr: Ksr, second: str, code: int
) -> None:
    """A second CSeq ends the reading, as a new seed of the conformance tests has found."""
    lines = "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa\r\nFrom: <sip:a@b>\r\nTo: <sip:c@d>\r\n"
    head = f"INVITE sip:c@d SIP/2.0\r\nCSeq: 7 INVITE\r\n{lines}Call-ID: c1\r\n{second}"
    ksr.world.message = message.parse(f"{head}Content-Length: 0\r\n\r\n".encode())
    headers.check(ksr.world.message)
    assert KSR.nathelper.add_contact_alias() == code
    assert KSR.nathelper.add_contact_alias_addr("192.0.2.1", "5060", "udp") == code
