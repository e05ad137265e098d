"""Modules xhttp and websocket; the replies are those of Kamailio 5.6.3."""

from __future__ import annotations

from pathlib import Path

import pytest
from ksr_stub.builders import options
from ksr_stub.harness import Ksr
from ksr_stub.traffic import Result

SCRIPT = """
import sys
import KSR
CODES = []
def mod_init(): return sys.modules[__name__]
def child_init(rank): return 0
def ksr_http(msg, event):
    if KSR.hdr.is_present("Upgrade") > 0:
        CODES.append(int(KSR.websocket.handle_handshake()))
    else:
        CODES.append(int(KSR.xhttp.xhttp_reply(404, "Not Found", "text/plain", "nope\\n")))
    CODES.append((event, KSR.pv.get("$rm"), KSR.pv.get("$hu")))
    return 1
"""
HANDSHAKE = {
    "Host": "example.test",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "sip",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture
def http(ksr: Ksr, tmp_path: Path) -> Ksr:
    path = tmp_path / "http_routes.py"
    path.write_text(SCRIPT)
    ksr.listen("tcp:203.0.113.10:5060", "udp:203.0.113.10:5060")
    ksr.param("xhttp", "event_callback", "ksr_http")
    ksr.load(path)
    return ksr


def get(ksr: Ksr, uri: str, headers: dict[str, str]) -> Result:
    lines = [f"GET {uri} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    data = "\r\n".join([*lines, "", ""]).encode()
    return ksr.receive(data, source=("203.0.113.7", 45012), proto="tcp", connection=9)


def codes(ksr: Ksr) -> list[object]:
    return list(ksr.world.script.CODES)  # type: ignore[union-attr]


def test_an_http_reply(http: Ksr) -> None:
    """xhttp_reply answers with HTTP, its Via named Sia, and returns 0."""
    result = get(http, "/x?a=1", {"Host": "example.test"})
    assert result.reply.data == (
        b"HTTP/1.1 404 Not Found\r\nSia: SIP/2.0/TCP 203.0.113.7:45012\r\n"
        b"Content-Type: text/plain\r\nServer: kamailio (5.6.3 (x86_64/linux))\r\n"
        b"Content-Length: 5\r\n\r\nnope\n"
    )
    assert result.reply.connection == 9
    assert codes(http) == [0, ("xhttp:request", "GET", "/x?a=1")]


def test_a_handshake(http: Ksr) -> None:
    """The example of RFC 6455 1.3 is accepted with 101."""
    reply = get(http, "/ws", HANDSHAKE).reply
    assert reply.status == 101
    assert reply["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert reply["Sec-WebSocket-Protocol"] == "sip"
    assert codes(http)[0] == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [({"Sec-WebSocket-Version": "12"}, 426), ({"Sec-WebSocket-Protocol": "chat"}, 400),
     ({"Connection": "close"}, 400)],
)  # fmt: skip
def test_a_refused_handshake_returns_0(http: Ksr, change: dict[str, str], status: int) -> None:
    """A handshake that is refused gets its reply, and the function returns 0, not -1."""
    assert get(http, "/ws", {**HANDSHAKE, **change}).reply.status == status
    assert codes(http)[0] == 0


def test_http_over_udp_is_nothing(http: Ksr) -> None:
    """An HTTP request by UDP is no SIP: it is dropped."""
    assert http.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").sent == []
    assert codes(http) == []


CLOSING = """
import sys
import KSR
CODES = []
def mod_init(): return sys.modules[__name__]
def child_init(rank): return 0
def ksr_request_route(msg):
    CODES.append(int(KSR.websocket.close_reason(1008, "no SIP here")))
    CODES.append(KSR.pv.get("$ws_conid"))
    return 1
"""


@pytest.fixture
def closing(ksr: Ksr, tmp_path: Path) -> Ksr:
    path = tmp_path / "closing_routes.py"
    path.write_text(CLOSING)
    ksr.listen("tcp:203.0.113.10:5060", "udp:203.0.113.10:5060")
    ksr.load(path)
    return ksr


def test_a_web_socket_is_closed(closing: Ksr) -> None:
    """The phone gets a close frame; the second time the connection is cut, then it is unknown."""
    phone = closing.phone("1111", source=("203.0.113.7", 45012), proto="ws", domain="x.test")
    for _ in range(3):
        closing.receive(options("sip:x.test"), phone.source, "ws", connection=phone.connection)
    assert [one.closes for one in phone.inbox] == ["1008 no SIP here", "1008 no SIP here"]
    assert phone.inbox[0].data == b"\x88\x0d\x03\xf0no SIP here"
    assert codes(closing) == [1, phone.connection] * 3
    assert closing.results[0].replies == []


def test_what_came_by_udp_closes_nothing(closing: Ksr) -> None:
    """There is no WebSocket to close: -1."""
    assert closing.receive(options("sip:x.test")).sent == []
    assert codes(closing) == [-1, 0]
