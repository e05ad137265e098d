"""Generated calls on bodies of several parts, and on Contacts that hide an address."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .calls import Calls

_AFTER: list[list[Any]] = [["textopsx.msg_apply_changes"], ["pv.get", "$mb"]]
_PARTS = (
    "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    "--b1\r\nContent-Type: text/plain\r\nX: y\r\n\r\nhello\r\n\r\n--b1--\r\n"
)
# without Content-Type, or with parameters but no boundary, 5.6.3 does not survive the sending
_BODIES = [
    *(("application/sdp", "v=0\r\n"), ("text/plain", "x\r\n\r\n"), ("text/plain", "")),
    *(("multipart/mixed;boundary=b1", _PARTS), ('multipart/mixed; boundary="b1"', _PARTS)),
    *(("multipart/mixed;boundary=b1", f"before\r\n{_PARTS}behind"),),
    *(("multipart/related;boundary=b1;x=y", _PARTS), ("multipart/mixed;boundary=b2", _PARTS)),
]
_KINDS = ["application/sdp", "text/plain", "text/x", "TEXT/PLAIN", ""]
_TEXTS = ["part", "part\r\n\r\n", ""]


def bodies(port: int) -> st.SearchStrategy[str]:
    """Messages with such bodies."""

    def message(first: str, kind_and_body: tuple[str, str], counted: bool) -> str:
        kind, body = kind_and_body
        lines = [first, f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKa1;rport"]
        lines += ["From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: c1", "CSeq: 1 INVITE"]
        lines += [f"Content-Type: {kind}"] + [f"Content-Length: {len(body)}"] * counted
        return "\r\n".join([*lines, "", body])

    first = st.sampled_from(["INVITE sip:b@example.test SIP/2.0", "SIP/2.0 200 OK"])
    return st.builds(message, first, st.sampled_from(_BODIES), st.booleans())


def part_calls() -> Calls:
    """Parts are put in, read and taken out."""
    kind, text = st.sampled_from(_KINDS), st.sampled_from(_TEXTS)
    boundary = st.sampled_from(["", "bb", "-x", "y" * 120])
    call = st.builds(lambda *a: ["textops.set_body_multipart", *a], text, kind, boundary)
    call |= st.builds(lambda *a: ["textops.set_body_multipart_content", *a], text, kind)
    call |= st.builds(lambda *a: ["textops.append_body_part", *a], text, kind)
    call |= st.builds(lambda *a: ["textops.append_body_part_cd", *a, "session"], text, kind)
    call |= st.sampled_from(["61 62", "6162", "616", "zz", "", " "]).map(
        lambda digits: ["textops.append_body_part_hex", digits, "text/x"]
    )
    call |= kind.map(lambda one: ["textops.remove_body_part", one])
    readers = st.sampled_from(["get_body_part", "get_body_part_raw"])
    call |= st.builds(lambda name, one: [f"textops.{name}", one, "$var(x)"], readers, kind)
    start: list[list[Any]] = [["pv.seti", "$var(x)", 0]]
    chosen = st.lists(call, min_size=1, max_size=2)
    return chosen.map(lambda made: [*start, *made, ["pv.get", "$var(x)"], *_AFTER])


def contact_calls() -> Calls:
    """Contacts and R-URIs are encoded and decoded."""
    uris = [
        *("sip:p*a*pw*10.0.0.1*5062*tcp@pub.test", "sip:p*a**10.0.0.1**@pub.test;ob"),
        *("sip:p*a*b@c", "sip:p*a*b*c*d*e*f@c", "sip:p****5*@c", "sip:a@b", "sip:us.test;line"),
        *("sip:us.test;line=c2lwOmFAMTAuMC4wLjE6OTk", "sip:u@h;LINE=c2lwOmFiQDEwLjAuMC4x;ob"),
    ]
    call = st.sampled_from(
        [
            ["siputils.encode_contact", "p", "1.2.3.4"],
            ["siputils.decode_contact"],
            ["siputils.decode_contact_header"],
            ["siputils.contact_param_encode", "line", "sip:us.test"],
            ["siputils.contact_param_decode", "line"],
            ["siputils.contact_param_decode_ruri", "line"],
            *(["siputils.contact_param_rm", name] for name in ("x", "ob", "transport", "none")),
        ]
    )
    start = st.sampled_from(uris).map(lambda uri: [["pv.sets", "$ru", uri]])
    made = st.lists(call, min_size=1, max_size=3)
    return st.builds(lambda one, other: one + other + [["pv.get", "$ru"], *_AFTER], start, made)
