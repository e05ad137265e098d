"""Generated texts: URIs, header bodies and whole messages, well-formed and broken ones."""

from __future__ import annotations

from hypothesis import strategies as st

Text = st.SearchStrategy[str]


def _joined(pieces: list[str], most: int, least: int = 1) -> Text:
    return st.lists(st.sampled_from(pieces), min_size=least, max_size=most).map("".join)


_URI_PIECES = [
    *("sip:", "sips:", "tel:", "SIP:", "a", "bob", "@", "@", ":", ":", "pw", "host", "[::1]"),
    *("example.org", "5060", "70000", "123", ";", ";", "transport=tcp", "transport=", "lr", "-"),
    *("lr=on", "user=phone", "maddr=1.2.3.4", "x=y", "?", "h=v", "&", "=", ",", ".", "%20", "+49"),
    *("~", "ttl=3", "gr", "transport=wss", "method=BYE", "ob", "10.0.0.1", "192.168.1.9"),
]
_USERS = ["", "alice@", "bob@", "+4930123@", "a:pw@", "%61b@", "A.b-c~d@", "1111@"]
_HOSTS = [
    *("example.test", "EXAMPLE.org", "127.0.0.1", "10.1.2.3", "192.168.1.5", "[::1]", "a.b"),
    *("172.16.0.9", "100.64.1.1", "203.0.113.9", "[2001:db8::7]"),
]
_PORTS = ["", "", ":5060", ":5062", ":65535", ":1"]
_URI_PARAMS = [
    *("", "", ";transport=tcp", ";transport=TLS", ";lr", ";lr=on", ";user=phone", ";ob", ";x=y"),
    *(";maddr=192.0.2.1", ";ttl=5", ";x", ";alias=10.0.0.1~5062~1", ";gr=abc", ";transport=udp"),
]


def good_uris() -> Text:
    """SIP URIs as phones send them."""
    return st.builds(
        "{}{}{}{}{}{}".format,
        st.sampled_from(["sip:", "sip:", "sip:", "sips:", "SIP:"]),
        st.sampled_from(_USERS),
        st.sampled_from(_HOSTS),
        st.sampled_from(_PORTS),
        _joined(_URI_PARAMS, 3),
        st.sampled_from(["", "", "", "?a=b", "?Subject=x&y=z"]),
    )


def uris() -> Text:
    """URIs, half of them put together at random."""
    start = st.sampled_from(["sip:", "sip:", "sips:", "tel:", "urn:", ""])
    return good_uris() | st.builds(str.__add__, start, _joined(_URI_PIECES, 8))


_NAME_PIECES = [
    *("<", "<", ">", ">", "sip:a@b", "sip:x@y;p=1", '"A"', '"A B"', '"a\\"b"', "Bob", "Bob B"),
    *(";", ";", "tag=1", "tag", "tag=", 'x="q;r"', "x=y", "x", ", ", " ", "=", '"', "*", "tel:+1"),
    *("<sip:c@d>", "<sip:c@d>", "tag=a=b", "expires=60", "q=0.5", "q=0.7"),
]
_DISPLAYS = ["", "", '"Alice L" ', "Bob ", '"a \\" b" ', '"" ']
_NAME_PARAMS = ["", ";tag=1a", ";x=y", ";expires=60", ";q=0.3", ";x", ';y="a;b"', " ;tag=z"]


def good_names() -> Text:
    """Bodies of From, To and Contact as phones send them."""
    return st.builds(
        "{}<{}>{}".format,
        st.sampled_from(_DISPLAYS),
        good_uris(),
        _joined(_NAME_PARAMS, 2),
    )


def names() -> Text:
    """Bodies of From, To and Contact, half of them put together at random."""
    return good_names() | _joined(_NAME_PIECES, 7)


def param_lists() -> Text:
    """Lists of parameters, mostly broken."""
    pieces = ["a=1", "b", 'c="x;y"', "d='q'", ";", ";", ",", "=", "a", "A=2", " ", "x=", '"']
    return _joined([*pieces, ">", "e=f=g", "&", "&b=2"], 8)


def words() -> Text:
    """Short texts without NUL, some with letters outside ASCII."""
    return _joined(
        [
            "a",
            "B",
            "7",
            "-12",
            " ",
            "\t",
            ".",
            ",",
            "%41",
            "+",
            "é",
            "/",
            ":",
            "x=y",
            "=",
            "z_",
            "'",
        ],
        6,
    )


def patterns() -> Text:
    """Regular expressions that both sides take or refuse."""
    pieces = ["a", "b", ".", "[a-z]", "[^0-9]", "^", "$", "(x|a)", "sip", ":", "One", "[0-9]+", "-"]
    pieces += ["é", "[^é]", "[é/]", "..", "[^a]", "é*", "é?$"]
    return _joined(pieces, 4)


_METHODS = ["INVITE", "REGISTER", "OPTIONS", "BYE", "MESSAGE", "SUBSCRIBE", "ACK", "FOO"]
_VIAS = [
    *["127.0.0.1:{port};rport;branch=z9hG4bKa0;x=y"] * 4,
    *("127.0.0.1:{port};branch=z9hG4bKa1;rport", "10.0.0.5;branch=z9hG4bKa2"),
    *("127.0.0.1:{port};rport;branch=z9hG4bKa3;i=7", "phone.example.org:5071;branch=z9hG4bK4"),
    *("192.168.1.5:5062;branch=z9hG4bKa5;rport;alias", "[2001:db8::7]:5060;branch=x"),
]
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8\r\na=sendrecv\r\n"
)
_HEADERS = [
    *("Max-Forwards: 70", "Max-Forwards: 0", "Max-Forwards: 1", "Max-Forwards: x"),
    *("User-Agent: ua/1.0 (x)", "X-A: One", "x-a:  two ", "X-A: a\r\n  folded", "X-A:"),
    *("Supported: path, 100rel", "k: outbound", "Expires: 120", "Expires: 0", "Expires: x"),
    *("Route: <sip:127.0.0.1;lr>", "Route: <sip:a.b;lr>, <sip:c.d:5070>", "Subject: hello a"),
    *("Record-Route: <sip:10.0.0.1;lr;ftag=1>", "P-Asserted-Identity: <sip:pai@a.b>"),
    *("Privacy: id;header", "Event: presence", "Diversion: <sip:d@e>;reason=busy", "X-B: 1, 2,3"),
    *("Allow: INVITE, ACK", "Accept: application/sdp", "Date: Thu, 01 Jan 2026 00:00:00 GMT"),
    *("Refer-To: <sip:r@s?Replaces=x>", "Proxy-Require: foo", "Min-Expires: 60"),
]


def _mostly(good: Text, any_: Text) -> Text:
    return st.integers(0, 7).flatmap(lambda number: good if number else any_)


def _field(line: str) -> str:
    name = line.partition(":")[0].lower()
    return line if name == "x-a" else {"k": "supported"}.get(name, name)


@st.composite
def _with_one_twice(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """Seldom one of the header fields stands somewhere else too."""
    if draw(st.integers(0, 7)):
        return lines
    place = draw(st.integers(0, len(lines)))
    return [*lines[:place], draw(st.sampled_from(lines)), *lines[place:]]


@st.composite
def messages(draw: st.DrawFn, port: int) -> str:
    """SIP messages from a phone at 127.0.0.1:port; four of five are requests."""
    bodies = _mostly(good_names(), names())
    method, reply = draw(st.sampled_from(_METHODS)), draw(st.integers(0, 4)) == 0
    first = f"{method} {draw(_mostly(good_uris(), uris()))} SIP/2.0"
    if reply:
        first = draw(st.sampled_from(["SIP/2.0 200 OK", "SIP/2.0 404 Gone off"]))
    vias = [draw(st.sampled_from(_VIAS)).format(port=port) for _ in range(2 if reply else 1)]
    lines = [f"Via: SIP/2.0/UDP {via}" for via in vias]
    lines += [f"From: {draw(bodies)}", f"To: {draw(bodies)}", "Call-ID: c1@x", f"CSeq: 7 {method}"]
    for _ in range(draw(st.integers(0, 1))):
        lines.append(f"{draw(st.sampled_from(['Contact', 'm']))}: {draw(bodies)}")
    lines += draw(st.lists(st.sampled_from(_HEADERS), max_size=6, unique_by=_field))
    kind, body = draw(
        st.sampled_from([("", ""), ("", ""), ("application/sdp", _SDP), ("text/plain", "hi a\n")])
    )
    lines += [f"Content-Type: {kind}"] * bool(kind) + [f"Content-Length: {len(body)}"]
    return "\r\n".join([first, *draw(_with_one_twice(lines)), "", body])
