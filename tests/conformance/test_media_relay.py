"""Module rtpengine with a relay that answers: the stub asks and edits as the installed Kamailio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ksr_stub.models.rtpengine import RtpEngine
from ksr_stub.world import World

from . import stubbed
from .media_relay import MediaRelay
from .real import RealKamailio

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8\r\na=rtcp:4001\r\na=sendrecv\r\nm=video 0 RTP/AVP 99\r\n"
)
_SEEN: list[list[Any]] = [["textopsx.msg_apply_changes"], ["pv.get", "$mb"]]
_CALLS: dict[str, list[list[Any]]] = {
    "offer": [["rtpengine.rtpengine_offer0"], *_SEEN],
    "answer": [["rtpengine.rtpengine_answer0"], *_SEEN],
    "manage": [["rtpengine.rtpengine_manage0"], *_SEEN],
    "delete": [["rtpengine.rtpengine_delete0"]],
    "sets": [
        ["rtpengine.set_rtpengine_set", 2],
        ["rtpengine.rtpengine_delete0"],
        ["rtpengine.set_rtpengine_set", 3],
        ["rtpengine.rtpengine_delete0"],
        ["rtpengine.set_rtpengine_set2", 0, 2],
        ["rtpengine.rtpengine_delete0"],
        ["rtpengine.set_rtpengine_set2", 2, 2],
        ["rtpengine.rtpengine_delete0"],
        ["rtpengine.set_rtpengine_set2", 0, 7],
        ["pv.seti", "$avp(set)", 2],
        ["rtpengine.rtpengine_delete0"],
        ["pv.seti", "$avp(set)", 9],
        ["rtpengine.rtpengine_delete0"],
    ],
    "query": [
        ["pv.unset", "$var(x)"],
        ["rtpengine.rtpengine_query0"],
        ["pv.get", "$rtpstat"],
        ["pv.get", "$rtpestat"],
        ["rtpengine.rtpengine_query_v", "j", "$var(x)"],
        ["pv.get", "$var(x)"],
        ["rtpengine.rtpengine_query_v", "jp", "$var(x)"],
        ["pv.get", "$var(x)"],
        ["rtpengine.rtpengine_query_v", "x", "$var(x)"],
        ["rtpengine.rtpengine_query_v", "j", "$ci"],
        ["rtpengine.rtpengine_query_v", "j", "nope"],
    ],
    "media": [
        ["rtpengine.start_recording", ""],
        ["rtpengine.block_media", ""],
        ["rtpengine.unblock_media", ""],
        ["rtpengine.block_dtmf", ""],
        ["rtpengine.stop_recording", ""],
    ],
}


def _message(first: str, *, to_tag: str, body: str) -> str:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    method = first.split()[0]
    cseq = method if method.isalpha() else "INVITE"
    return (
        f"{first}\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa;rport\r\n"
        f"From: <sip:a@example.test>;tag=f1\r\nTo: <sip:b@example.test>{to_tag}\r\n"
        f"Call-ID: c1\r\nCSeq: 7 {cseq}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )


_MESSAGES = {
    "invite": _message("INVITE sip:b@example.test SIP/2.0", to_tag="", body=_SDP),
    "re-invite": _message("INVITE sip:b@example.test SIP/2.0", to_tag=";tag=t1", body=_SDP),
    "bye": _message("BYE sip:b@example.test SIP/2.0", to_tag=";tag=t1", body=""),
    "ack": _message("ACK sip:b@example.test SIP/2.0", to_tag=";tag=t1", body=_SDP),
    "options": _message("OPTIONS sip:b@example.test SIP/2.0", to_tag="", body=""),
    "ok": _message("SIP/2.0 200 OK", to_tag=";tag=t1", body=_SDP),
    "busy": _message("SIP/2.0 486 Busy Here", to_tag=";tag=t1", body=""),
    "no tag": _message("INVITE sip:b@example.test SIP/2.0", to_tag="", body=_SDP).replace(
        ";tag=f1", ""
    ),
}


@pytest.fixture(scope="module")
def relays() -> Iterator[list[MediaRelay]]:
    made = [MediaRelay(), MediaRelay()]
    yield made
    for one in made:
        one.close()


def _sockets(relays: list[MediaRelay]) -> tuple[str, str]:
    return f"0 == udp:127.0.0.1:{relays[0].port}", f"2 == udp:127.0.0.1:{relays[1].port}"


@pytest.fixture(scope="module")
def relayed(
    tmp_path_factory: pytest.TempPathFactory, relays: list[MediaRelay]
) -> Iterator[RealKamailio]:
    lines = ['loadmodule "rtpengine.so"', 'modparam("rtpengine", "setid_avp", "$avp(set)")']
    lines += [f'modparam("rtpengine", "rtpengine_sock", "{text}")' for text in _sockets(relays)]
    kamailio = RealKamailio(tmp_path_factory.mktemp("kamailio"), "\n".join([*lines, ""]))
    yield kamailio
    kamailio.close()


@pytest.mark.parametrize("kind", _MESSAGES)
@pytest.mark.parametrize("calls", _CALLS)
def test_the_relay_is_asked_and_answers_as_with_the_real_one(
    relayed: RealKamailio, relays: list[MediaRelay], kind: str, calls: str
) -> None:
    """Return codes, variables, the edited message, and what each relay was asked."""
    for one in relays:
        one.forget()
    worlds: list[World] = []

    def prepare(own: World) -> None:
        own.params["rtpengine", "rtpengine_sock"] = _sockets(relays)
        own.params["rtpengine", "setid_avp"] = "$avp(set)"
        worlds.append(own)

    made, message = _CALLS[calls], _MESSAGES[kind]
    ours = stubbed.ask(message, made, relayed.port, relayed.phone_port, prepare)
    theirs = relayed.ask(message, made)
    assert list(zip(made, ours.results or [], strict=True)) == list(
        zip(made, theirs.results or [], strict=True)
    )
    for number, relay in zip((0, 2), relays, strict=True):
        asked = [
            (one["command"], one["call-id"], one.get("from-tag", ""), one.get("to-tag", ""))
            for one in relay.asked
        ]
        given = [
            (_shown(one.name), one.call_id, one.from_tag, one.to_tag)
            for one in worlds[0].part(RtpEngine).commands
            if one.relay_set == number
        ]
        assert given == asked


def _shown(name: str) -> str:
    return name.replace("_", " ").replace("dtmf", "DTMF")
