"""What Kamailio 5.6.3 answered, and the stub: header fields that are broken or stand twice."""

from __future__ import annotations

import pytest
from ksr_stub import headers, message

from tests.stub.recorded_calls import differences


def test_it_answers_as_the_real_one_did() -> None:
    assert differences("broken") == []


_GOOD = b"\r\n".join(
    [
        b"INVITE sip:bob@example.test SIP/2.0",
        b"Via: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bKa",
        b"From: <sip:alice@example.org>;tag=f",
        b"To: <sip:bob@example.test>",
        b"Call-ID: c1",
        b"CSeq: 7 INVITE",
        b"",
        b"",
    ]
)


@pytest.mark.parametrize(
    ("good", "broken"),
    [
        (b"To: <sip:bob@example.test>", b'To: q=0.7"a\\"b"'),
        (b"To: <sip:bob@example.test>", b"From: <sip:x@y>\r\nTo: <sip:bob@example.test>"),
        (b"CSeq: 7 INVITE", b"CSeq: 7"),
        (b"SIP/2.0/UDP 203", b"nonsense 203"),
        (b"From: <sip:alice@example.org>;tag=f\r\n", b""),
    ],
    ids=["broken To", "From twice before To", "CSeq without method", "broken Via", "no From"],
)
def test_a_request_broken_before_what_it_must_have_reaches_no_route(
    good: bytes, broken: bytes
) -> None:
    def parsed(data: bytes) -> message.SipMessage:
        found = message.parse(data)
        headers.check(found)
        return found

    assert parsed(_GOOD).get("cseq") == "7 INVITE"
    with pytest.raises(message.ParseError):
        parsed(_GOOD.replace(good, broken))
