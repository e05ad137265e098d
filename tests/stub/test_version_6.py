"""What Kamailio 6.0.1 does otherwise than 5.6.3, as the conformance tests found it."""

from __future__ import annotations

import KSR
import pytest
from ksr_stub import message
from ksr_stub.builders import options
from ksr_stub.errors import Unpredictable, WrongArguments
from ksr_stub.harness import Ksr

OLD, NEW = pytest.mark.ksr(version="5.6"), pytest.mark.ksr(version="6.0")


def routed(ksr: Ksr, uri: str = "sip:example.test", via: str = "") -> None:
    """A request that is being routed; `via` in place of its own Via."""
    data = options(uri)
    if via:
        head, _, rest = data.partition(b"Via: ")
        data = head + f"Via: {via}".encode() + rest[rest.index(b"\r\n") :]
    source = message.Address("203.0.113.5", 1024)
    ksr.world.message = message.parse(data, source, ksr.world.sockets[0])


def via_of_reply(ksr: Ksr, via: str) -> str:
    """The Via of the answer to a request with this one."""
    routed(ksr, via=via)
    KSR.sl.sl_send_reply(200, "OK")
    sent = ksr.world.sent[0].data.decode()
    return sent.partition("Via: ")[2].partition("\r\n")[0]


BRANCH_FIRST = "SIP/2.0/UDP 192.168.0.103;branch=z9hG4bKa"
NO_BRANCH = "SIP/2.0/UDP 192.168.0.103"


@OLD
@pytest.mark.parametrize(
    ("via", "answered"),
    [
        (
            "SIP/2.0/UDP 192.168.0.103;rport;branch=z9hG4bKa",
            "SIP/2.0/UDP 192.168.0.103;rport=1024;branch=z9hG4bKa;received=203.0.113.5",
        ),
        (f"{BRANCH_FIRST};x=1", f"{BRANCH_FIRST};x=1;received=203.0.113.5"),
    ],
)
def test_in_5_6_received_is_the_last_parameter_of_the_via(
    ksr: Ksr, via: str, answered: str
) -> None:
    assert via_of_reply(ksr, via) == answered


@NEW
@pytest.mark.parametrize(
    ("via", "answered"),
    [
        (
            "SIP/2.0/UDP 192.168.0.103;rport;branch=z9hG4bKa",
            "SIP/2.0/UDP 192.168.0.103;rport=1024;received=203.0.113.5;branch=z9hG4bKa",
        ),
        (f"{BRANCH_FIRST};x=1", f"{BRANCH_FIRST};received=203.0.113.5;x=1"),
        (f"{NO_BRANCH};x=1", f"{NO_BRANCH};x=1;received=203.0.113.5"),
    ],
)
def test_in_6_0_received_follows_rport_or_else_branch(ksr: Ksr, via: str, answered: str) -> None:
    assert via_of_reply(ksr, via) == answered


@pytest.mark.parametrize(
    ("host", "user"),
    [
        pytest.param("b", "aa", marks=OLD),
        pytest.param("aa:b", "", marks=NEW),
    ],
)
def test_a_urn_of_6_0_has_no_user(ksr: Ksr, host: str, user: str) -> None:
    routed(ksr)
    KSR.pv.sets("$var(x)", "urn:aa:b")
    assert KSR.pv.get("$(var(x){uri.host})") == host
    assert KSR.pv.gete("$(var(x){uri.user})") == user


@pytest.mark.parametrize(
    ("kind", "rewritten"),
    [
        pytest.param("tel", "sip:2@example.test;user=phone", marks=OLD),
        pytest.param("tels", "sips:2@example.test;user=phone", marks=NEW),
    ],
)
def test_a_sips_uri_of_a_telephone_stays_one_in_6_0(ksr: Ksr, kind: str, rewritten: str) -> None:
    routed(ksr, "sips:1@example.test;user=phone")
    assert KSR.pv.get("$rz") == kind
    KSR.pv.sets("$rU", "2")
    assert KSR.pv.get("$ru") == rewritten


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(2**32 - 1, marks=OLD),
        pytest.param(2**64 - 1, marks=NEW),
    ],
)
def test_a_negative_number_in_a_list_is_shown_without_a_sign(ksr: Ksr, shown: int) -> None:
    routed(ksr)
    KSR.pvx.xavp_child_seti("a", "x", -1)
    assert KSR.pvx.xavp_params_implode("a", "$var(o)") == 1
    assert KSR.pv.get("$var(o)") == f"x={shown};"


@NEW
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$En$Er$Et$Es$Ec$Eq$Ek$Ei$Ej$Eb$Ev", "\n\r\t ,\"':;\\`"),
        ("$(var(x){s.escape.crlf})", "a\\r\\n \tb\\nc\\r\\n"),
        ("$(var(x){s.escape.crlf}{s.unescape.crlf})", "a\r\n \tb\nc\r\n"),
        ("$(var(x){s.rmhdws})", "a bc"),
        ("$(var(x){s.rmhlws})", "abc"),
    ],
)
def test_6_0_has_characters_and_unfolds(ksr: Ksr, text: str, value: str) -> None:
    routed(ksr)
    KSR.pv.sets("$var(x)", "a\r\n \tb\nc\r\n")
    assert KSR.pvx.evalx("$var(y)", text) == 1
    assert KSR.pv.get("$var(y)") == value


@NEW
@pytest.mark.parametrize(
    ("contact", "uri", "star"),
    [('"A" <sip:a@b;x=1>;q=1, <sip:c@d>', "sip:c@d", 0), ("*", None, 1), ("<sip:a", None, None)],
)
def test_6_0_has_the_uri_of_the_first_contact(
    ksr: Ksr, contact: str, uri: str | None, star: int | None
) -> None:
    """Which is the last value of its header field."""
    ksr.world.message = message.parse(options(headers={"Contact": contact}))
    assert KSR.pv.get("$ctu") == uri
    assert KSR.pv.get("$cts") == star


@NEW
@pytest.mark.parametrize("name", ["$ctu", "$cts"])
def test_6_0_crashes_without_a_contact(ksr: Ksr, name: str) -> None:
    ksr.world.message = message.parse(options(headers={"Contact": None}))
    with pytest.raises(Unpredictable, match=r"without Contact crashes Kamailio 6\.0"):
        KSR.pv.get(name)


@NEW
def test_6_0_counts_with_a_shared_variable(ksr: Ksr) -> None:
    ksr.param("pv", "shvset", ["n=i:5", "t=s:text"])
    routed(ksr)
    assert [KSR.pv.get("$shvinc(n)"), KSR.pv.get("$shvinc(n)"), KSR.pv.get("$shv(n)")] == [6, 7, 7]
    assert (KSR.pv.get("$shvinc(t)"), KSR.pv.get("$shv(t)")) == (0, "text")
    assert (KSR.pvx.shvinc_get("n"), KSR.pvx.shvinc_get("unknown")) == (8, 0)


@NEW
@pytest.mark.parametrize(
    ("written", "read"), [("9999999999x", 9999999999), ("-1", -1), ("x", 0), ("9" * 20, 2**63 - 1)]
)
def test_6_0_reads_numbers_of_64_bits(ksr: Ksr, written: str, read: int) -> None:
    routed(ksr)
    KSR.pv.sets("$var(x)", written)
    assert KSR.pv.getl("$var(x)") == read
    assert KSR.pv.getl("$avp(none)") == 0
    assert KSR.pv.setl("$var(x)", 2**40 + 5)
    assert KSR.pv.getl("$var(x)") == 2**40 + 5
    assert (KSR.pv.get("$var(x)"), KSR.pv.geti("$var(x)")) == (5, 5)
    with pytest.raises(WrongArguments, match="no 32-bit int"):
        KSR.pv.seti("$var(x)", 2**40)
    with pytest.raises(WrongArguments, match="no 64-bit int"):
        KSR.pv.setl("$var(x)", 2**63)
    ksr.world.faults.clear()


@NEW
def test_6_0_substitutes_in_a_text(ksr: Ksr) -> None:
    """The variable keeps what it has where nothing matches."""
    routed(ksr)
    assert KSR.textops.subst_v("a1b22", "/([0-9]+)/<\\1>/g", "$var(x)") == 1
    assert KSR.pv.get("$var(x)") == "a<1>b<22>"
    assert KSR.textops.subst_v("abc", "/[0-9]+//", "$var(x)") == -1
    assert KSR.textops.subst_v("abc", "no expression", "$var(x)") == -1
    assert KSR.textops.subst_v("a1", "/[0-9]//", "$rm") == -1
    assert KSR.pv.get("$var(x)") == "a<1>b<22>"


@NEW
@pytest.mark.parametrize(
    ("text", "among", "code"), [("a+b", "+-", 1), ("ab", "+-", -1), ("", "a", -1)]
)
def test_6_0_looks_for_any_of_some_characters(ksr: Ksr, text: str, among: str, code: int) -> None:
    assert KSR.textops.str_any_in(text, among) == code


@pytest.mark.ksr(version="6.1")
@pytest.mark.parametrize(
    ("text", "all_of", "code"), [("a+b-", "+-", 1), ("a+b", "+-", -1), ("a", "", -1)]
)
def test_6_1_looks_for_all_of_some_characters(ksr: Ksr, text: str, all_of: str, code: int) -> None:
    assert KSR.textops.str_all_in(text, all_of) == code


@NEW
def test_6_0_says_whether_all_headers_can_be_read(ksr: Ksr) -> None:
    routed(ksr)
    assert KSR.siputils.sip_parse_headers() == 1
    broken = options().replace(b"Content-Length:", b"Content Length")
    ksr.world.message = message.parse(broken)
    assert KSR.siputils.sip_parse_headers() == -1
