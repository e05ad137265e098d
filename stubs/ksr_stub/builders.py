"""Requests to hand to `ksr.receive`: complete, valid, and every header can be replaced.

    ksr.receive(invite("sip:bob@example.test", headers={"Contact": None, "X-Tag": "7"}))

Each call gives a new Call-ID, From tag and branch, so that no two requests are retransmissions of
each other unless a test says so.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from ksr_stub.message import SipMessage, parse

Headers = Mapping[str, str | Sequence[str] | None]

DOMAIN = "example.test"
PRIVATE = ("192.168.0.103", 5060)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


def request(
    method: str,
    uri: str,
    *,
    sender: str = f"sip:alice@{DOMAIN}",
    to: str | None = None,
    via: tuple[str, int] = PRIVATE,
    proto: str = "udp",
    branch: str | None = None,
    from_tag: str | None = None,
    to_tag: str = "",
    call_id: str | None = None,
    cseq: int = 1,
    contact: str | None = None,
    route: Sequence[str] = (),
    headers: Headers | None = None,
    body: str | bytes = "",
    content_type: str = "",
) -> bytes:
    """A request.

    Args:
        method: e.g. `INVITE`.
        uri: the R-URI.
        sender: the URI in From.
        to: the URI in To; default: the R-URI.
        via: address and port that the phone believes to have: in Via and Contact.
        proto: `udp`, `tcp`, `tls`, `ws` or `wss`.
        branch: the branch of the Via, to send something again.
        from_tag: the tag in From.
        to_tag: the tag in To: the request is inside a dialog.
        call_id: the Call-ID.
        cseq: the number in CSeq.
        contact: the body of Contact; default: none.
        route: the bodies of the Route headers.
        headers: name to body; replaces what stands above, a list gives several, None leaves out.
        body: the body; Content-Length fits it unless `headers` has another.
        content_type: of the body.
    """
    host = f"[{via[0]}]" if ":" in via[0] else via[0]
    payload = body if isinstance(body, bytes) else body.encode()
    fields: list[tuple[str, str]] = [
        (
            "Via",
            f"SIP/2.0/{proto.upper()} {host}:{via[1]};rport;"
            f"branch={branch or 'z9hG4bK' + secrets.token_hex(6)}",
        ),
        *(("Route", one) for one in route),
        ("Max-Forwards", "70"),
        ("From", f"<{sender}>;tag={from_tag or secrets.token_hex(4)}"),
        ("To", f"<{to or uri}>" + (f";tag={to_tag}" if to_tag else "")),
        ("Call-ID", call_id or secrets.token_hex(8)),
        ("CSeq", f"{cseq} {method}"),
    ]
    fields += [("Contact", contact)] if contact else []
    fields += [("Content-Type", content_type)] if content_type else []
    fields.append(("Content-Length", str(len(payload))))
    lines = [f"{name}: {text}" for name, text in _replaced(fields, headers or {})]
    head = "\r\n".join([f"{method} {uri} SIP/2.0", *lines, "", ""])
    return head.encode() + payload


def register(
    user: str = "alice",
    *,
    domain: str = DOMAIN,
    expires: int | None = 3600,
    contact: str | None = None,
    via: tuple[str, int] = PRIVATE,
    headers: Headers | None = None,
    **more: object,
) -> bytes:
    """A REGISTER; `contact=""` asks what is registered, `"*"` with expires 0 removes all."""
    value = f"<{address_of(user, via)}>" if contact is None else contact
    fields: dict[str, str | Sequence[str] | None] = {}
    if expires is not None:
        fields["Expires"] = str(expires)
    aor = f"sip:{user}@{domain}"
    return request(
        "REGISTER", f"sip:{domain}", sender=aor, to=aor, via=via, contact=value,
        headers={**fields, **(headers or {})}, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def invite(uri: str = f"sip:bob@{DOMAIN}", *, sdp: str | None = None, **more: object) -> bytes:
    """An INVITE with an SDP offer; `sdp=""` sends none, as phones that let the other side offer."""
    via: tuple[str, int] = more.get("via", PRIVATE)  # type: ignore[assignment]
    body = SDP.format(host=via[0]) if sdp is None else sdp
    settings: dict[str, object] = {"contact": _contact(more, via), "body": body}
    if body:
        settings["content_type"] = "application/sdp"
    return request("INVITE", uri, **{**settings, **more})  # type: ignore[arg-type]


def options(uri: str = f"sip:{DOMAIN}", **more: object) -> bytes:
    """An OPTIONS."""
    return request("OPTIONS", uri, **more)  # type: ignore[arg-type]


def message(uri: str = f"sip:bob@{DOMAIN}", text: str = "hello", **more: object) -> bytes:
    """A MESSAGE with a text."""
    settings: dict[str, object] = {"body": text, "content_type": "text/plain", **more}
    return request("MESSAGE", uri, **settings)  # type: ignore[arg-type]


def bye(uri: str = f"sip:bob@{DOMAIN}", *, to_tag: str = "callee", **more: object) -> bytes:
    """A BYE; give `call_id`, `from_tag`, `to_tag` and `route` of the dialog."""
    return request("BYE", uri, to_tag=to_tag, **{"cseq": 2, **more})  # type: ignore[arg-type]


def cancel(of: bytes, headers: Headers | None = None) -> bytes:
    """The CANCEL of a request that was sent (RFC 3261 9.1)."""
    return _same_transaction("CANCEL", parse(of), None, headers)


def ack(of: bytes, to: str | None = None, headers: Headers | None = None) -> bytes:
    """The ACK to a failure reply of an INVITE (RFC 3261 17.1.1.3).

    Args:
        of: the INVITE that was sent.
        to: the To of the reply, with its tag.
        headers: as in `request`.
    """
    return _same_transaction("ACK", parse(of), to, headers)


def address_of(user: str, via: tuple[str, int]) -> str:
    """The URI of a phone that sits at an address."""
    return f"sip:{user}@{'[' + via[0] + ']' if ':' in via[0] else via[0]}:{via[1]}"


def _contact(more: Mapping[str, object], via: tuple[str, int]) -> str:
    sender = str(more.get("sender", f"sip:alice@{DOMAIN}"))
    return f"<{address_of(sender.partition(':')[2].partition('@')[0], via)}>"


def _same_transaction(
    method: str, original: SipMessage, to: str | None, headers: Headers | None
) -> bytes:
    fields = [
        ("Via", original.get("via")),
        *(("Route", header.body) for header in original.all("route")),
        ("Max-Forwards", "70"),
        ("From", original.get("from")),
        ("To", original.get("to") if to is None else to),
        ("Call-ID", original.get("call-id")),
        ("CSeq", f"{original.get('cseq').split()[0]} {method}"),
        ("Content-Length", "0"),
    ]
    lines = [f"{name}: {text}" for name, text in _replaced(fields, headers or {})]
    first = f"{method} {original.ruri} SIP/2.0"
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


def _replaced(fields: list[tuple[str, str]], headers: Headers) -> list[tuple[str, str]]:
    wanted = {name.lower(): (name, value) for name, value in headers.items()}
    out: list[tuple[str, str]] = []
    done: set[str] = set()
    for name, text in fields:
        key = name.lower()
        if key not in wanted:
            out.append((name, text))
        elif key not in done:
            done.add(key)
            out += _fields(*wanted[key])
    length = out.pop() if out and out[-1][0] == "Content-Length" else None
    for key, (name, value) in wanted.items():
        if key not in done:
            out += _fields(name, value)
    return [*out, length] if length else out


def _fields(name: str, value: str | Sequence[str] | None) -> list[tuple[str, str]]:
    if value is None:
        return []
    return [(name, value)] if isinstance(value, str) else [(name, one) for one in value]
