"""Builders and what a test sees of messages."""

from __future__ import annotations

import pytest
from ksr_stub import builders, digest
from ksr_stub.message import Address, parse
from ksr_stub.traffic import Message, parameter


def built(data: bytes) -> Message:
    return Message(data, Address("", 0))


def test_requests_are_complete() -> None:
    """Every builder gives what RFC 3261 8.1.1 asks for, and a Content-Length that fits."""
    made = [
        builders.register(), builders.invite(), builders.options(), builders.message(),
        builders.bye(), builders.cancel(builders.invite()), builders.ack(builders.invite()),
    ]  # fmt: skip
    for data in made:
        request = built(data)
        for name in ("Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq"):
            assert request[name], name
        assert int(request["Content-Length"]) == len(data.partition(b"\r\n\r\n")[2])
        assert request["CSeq"].split()[1] == request.method


def test_no_two_requests_are_retransmissions() -> None:
    """Branch and Call-ID are new each time."""
    first, second = built(builders.invite()), built(builders.invite())
    assert first["Call-ID"] != second["Call-ID"]
    assert first.parameter("Via", "branch") != second.parameter("Via", "branch")


def test_every_header_can_be_replaced() -> None:
    """None leaves a header out, a list gives several, a new name is added."""
    request = built(
        builders.invite(headers={"contact": None, "Route": ["<sip:a>", "<sip:b>"], "To": "<sip:x>"})
    )
    assert "Contact" not in request
    assert request.all("Route") == ["<sip:a>", "<sip:b>"]
    assert request.all("To") == ["<sip:x>"]


def test_a_cancel_belongs_to_its_invite() -> None:
    """RFC 3261 9.1: the same Via, R-URI, Call-ID, From and CSeq number."""
    invite = builders.invite(cseq=7)
    cancel, request = built(builders.cancel(invite)), built(invite)
    assert cancel["Via"] == request["Via"]
    assert cancel.uri == request.uri
    assert cancel["CSeq"] == "7 CANCEL"
    assert "Contact" not in cancel


def test_an_ipv6_phone_has_brackets() -> None:
    """In Via and Contact an IPv6 address stands in brackets."""
    request = built(builders.register(via=("2001:db8::7", 5062)))
    assert "SIP/2.0/UDP [2001:db8::7]:5062;" in request["Via"]
    assert request["Contact"] == "<sip:alice@[2001:db8::7]:5062>"


def test_bytes_stay_bytes() -> None:
    """A body of bytes is sent as it is, and shown one character a byte where it is no UTF-8."""
    request = built(builders.message(body=b"\xff\xfe"))
    assert request.data.endswith(b"\r\n\r\n\xff\xfe")
    assert request.body == "\xff\xfe"
    assert parse(request.data).body == "\xff\xfe"


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ("<sip:a;tag=no@b>;tag=yes", "tag", "yes"),
        ("<sip:a@b>", "tag", None),
        ('"x;tag=1" <sip:a@b>;expires=60', "expires", "60"),
        ("SIP/2.0/UDP a;rport;branch=z9", "rport", ""),
        ('<sip:a@b>;+sip.instance="<urn:x>"', "+sip.instance", "<urn:x>"),
    ],
)
def test_parameters_are_those_of_the_header(value: str, name: str, expected: str | None) -> None:
    """Parameters within the URI or a quoted name are not the header's."""
    assert parameter(value, name) == expected


def test_digest_of_rfc_2617() -> None:
    """The example of RFC 2617 3.5."""
    value = digest.credentials(
        'Digest realm="testrealm@host.com", qop="auth,auth-int",'
        ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
        "GET", "/dir/index.html", "Mufasa", "Circle Of Life", cnonce="0a4f113b",
    )  # fmt: skip
    assert digest.fields(value)["response"] == "6629fae49393a05397450978507c4ef1"


def test_digest_of_rfc_7616() -> None:
    """The SHA-256 example of RFC 7616 3.9.1."""
    value = digest.credentials(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,'
        ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
        ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
        "GET", "/dir/index.html", "Mufasa", "Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )  # fmt: skip
    assert digest.fields(value)["response"] == (
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )
