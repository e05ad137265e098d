"""Our own routes on the stub, and two phones behind two NATs, for all tests of the routes."""

from __future__ import annotations

import sys
from pathlib import Path
from zlib import crc32

import pytest
from ksr_stub import digest
from ksr_stub.builders import register
from ksr_stub.dialog import Call, IncomingCall
from ksr_stub.harness import Ksr
from ksr_stub.phone import Phone
from ksr_stub.traffic import Message

HOME = Path(__file__).resolve().parents[2]
# new for each test: a Listener keeps what it has heard
FRESH = ("__init__", "engine", "listener")
MODULES = sorted(path.stem for path in (HOME / "kemi_routes").glob("*.py"))
LIBRARY = [f"kemi_routes.{name}" for name in ("subscribers", *MODULES) if name not in FRESH]
DOMAIN = "example.test"
PLACE = ("203.0.113.5", 40123)  # of alice, as her NAT has it
PRIVATE = ("192.168.0.103", 5060)
STRANGER = "sip:stranger@other.test"


def start(ksr: Ksr, **settings: str) -> Ksr:
    """Kamailio with our routes and two subscribers."""
    env = {"SIP_DOMAIN": DOMAIN, "DBURL": "sqlite:////nowhere/x.sqlite", "RUN_DIR": "/nowhere"}
    ksr.config(HOME / "kamailio/kamailio.cfg", env={**env, **settings})
    ksr.load(HOME / "kamailio/kemi.py", library=LIBRARY)
    ksr.subscribers.add(f"1111@{DOMAIN}", "first secret")
    ksr.subscribers.add(f"2222@{DOMAIN}", "second secret")
    return ksr


def count_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the random seed of hash(), one test in ten has two of the counters in one place."""
    loaded = sys.modules["kemi_routes.bans"]
    monkeypatch.setattr(loaded, "hash", lambda text: crc32(text.encode()), raising=False)


def alice(ksr: Ksr, password: str = "first secret") -> Phone:  # noqa: S107
    return ksr.phone("1111", password, source=PLACE, private=PRIVATE)


def bob(ksr: Ksr, password: str = "second secret") -> Phone:  # noqa: S107
    return ksr.phone("2222", password, source=("198.51.100.9", 50999), private=PRIVATE)


def registered(ksr: Ksr) -> tuple[Phone, Phone]:
    """Both phones, registered."""
    caller, callee = alice(ksr), bob(ksr)
    assert [phone.register().status for phone in (caller, callee)] == [200, 200]
    return caller, callee


def challenge(ksr: Ksr, call_id: str = "one", source: tuple[str, int] = PLACE) -> str:
    """What a REGISTER of 1111 without credentials is answered."""
    reply = ksr.receive(register("1111", call_id=call_id), source).reply
    assert reply.status == 401
    return reply["WWW-Authenticate"]


def answer(
    asked: str,
    method: str = "REGISTER",
    uri: str = f"sip:{DOMAIN}",
    nc: int = 1,
    password: str = "first secret",  # noqa: S107
) -> str:
    """The credentials of 1111 for a challenge."""
    return digest.credentials(asked, method, uri, "1111", password, nc=nc)


def is_stale(reply: Message) -> bool:
    """Whether only the nonce was wrong."""
    return reply.status == 401 and "stale=true" in reply["WWW-Authenticate"]


def ring(ksr: Ksr, sdp: str | None = None) -> tuple[Call, IncomingCall]:
    """Both phones, registered, and one calls the other: both ends of the call."""
    caller, callee = registered(ksr)
    return caller.call("2222", sdp=sdp), callee.incoming()
