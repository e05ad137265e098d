"""The same conversation with a real Kamailio and with the KSR stub, and what is compared of it.

A side is one of the two. A `Talk` is what the phones say to a side: requests and replies that are
built from fixed values and from what that side has sent (its nonce, To tag, Record-Route). Both
sides see the same phones at the same addresses, so only what a server draws at random differs.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import attrs
from ksr_stub import builders
from ksr_stub.harness import Ksr
from ksr_stub.message import Address
from ksr_stub.traffic import Message, address_uri
from ksr_stub.world import World, use

from ..live.digest import credentials
from ..live.network import Namespace
from ..live.requirement import kamailio_version
from ..live.server import ROOT, Server, free_port

DOMAIN = "example.test"
SECRET = "the same on both sides, and long enough"
PASSWORDS = {"1111": "first secret", "2222": "second secret", "3333": "third secret"}
PHONES = ("alice", "bob", "carol", "stranger")
PATIENCE = 5.0
# After T1 tm sends an unanswered message again; on the stub no time passes.
RETRANSMISSION = 0.4
STORED = (
    *("Address", "Q", "Call-ID", "CSeq", "User-Agent", "Received", "Path", "Flags", "CFlags"),
    *("Socket", "Methods", "Instance", "Reg-Id"),
)
MARKER = b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n"

Arrived = list[tuple[str, bytes]]


class Side(Protocol):
    """A server that phones can speak to."""

    ports: Mapping[str, int]
    port: int

    def exchange(self, phone: str, data: bytes) -> Arrived:
        """Let a phone send; all that any phone gets because of it, in order for each phone."""
        ...

    def stored(self, user: str) -> list[dict[str, str]]:
        """The bindings of a user: the fields STORED, as kamcmd shows them."""
        ...


class RealSide:
    """A Kamailio with one UDP worker: once it has answered a marker, it is done with all before."""

    def __init__(self, host: Namespace, domains: str = DOMAIN) -> None:
        self.port = free_port()
        settings = {"CHILDREN": "1", "SERVER_SECRET": SECRET, "PING_INTERVAL": "3000"}
        settings |= {"PING_TIMEOUT": "0", "SIP_DOMAIN": domains}
        self.server = Server(host, listen=f"udp:127.0.0.1:{self.port}", settings=settings)
        for user, password in PASSWORDS.items():
            self.server.add_subscriber(f"{user}@{DOMAIN}", password)
        self._sockets = {name: _socket(host) for name in (*PHONES, "marker")}
        self.ports: Mapping[str, int] = {
            name: self._sockets[name].getsockname()[1] for name in PHONES
        }
        self._first: dict[tuple[str, bytes], float] = {}
        self._markers = 0

    def exchange(self, phone: str, data: bytes) -> Arrived:
        """Send, and wait for the answer to a marker that was sent after it."""
        self._sockets[phone].sendto(data, ("127.0.0.1", self.port))
        self._pass_marker()
        return [(name, text) for name in PHONES for text in self._waiting(name)]

    def stored(self, user: str) -> list[dict[str, str]]:
        """What `kamcmd ul.lookup` shows."""
        shown = self.server.kamcmd("ul.lookup", "location", f"{user}@{DOMAIN}")
        found: list[dict[str, str]] = []
        for name, value in re.findall(r"^\s*([\w-]+): ?(.*?)\s*$", shown, re.MULTILINE):
            if name == "Address":
                found.append({})
            if found and name in STORED:
                found[-1][name] = value
        return found

    def forget(self) -> None:
        """Remove all bindings, and what is still on its way to the phones."""
        for user in PASSWORDS:
            self.server.kamcmd("ul.rm", "location", f"{user}@{DOMAIN}")
        self._pass_marker()
        for name in PHONES:
            list(self._waiting(name))

    def _pass_marker(self) -> None:
        self._markers += 1
        place, call_id = self._sockets["marker"], f"marker-{self._markers}"
        ping = builders.options("sip:127.0.0.1", call_id=call_id, branch=f"z9hG4bK{call_id}")
        place.sendto(ping, ("127.0.0.1", self.port))
        place.settimeout(PATIENCE)
        while f"Call-ID: {call_id}\r\n".encode() not in place.recv(65535):
            pass

    def _waiting(self, name: str) -> Iterator[bytes]:
        place = self._sockets[name]
        place.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                data = place.recv(65535)
                now = time.monotonic()
                if now - self._first.setdefault((name, data), now) < RETRANSMISSION:
                    yield data


class StubSide:
    """The stub with the same routes and settings, its phones at the same addresses."""

    def __init__(self, ksr: Ksr, like: RealSide, domains: str = DOMAIN) -> None:
        self.ports: Mapping[str, int] = like.ports
        self.port, self.ksr = like.port, ksr
        env = {"SIP_DOMAIN": domains, "DBURL": "sqlite:////nowhere/x.sqlite"}
        env |= {"RUN_DIR": "/nowhere", "SERVER_SECRET": SECRET}
        ksr.config(ROOT / "kamailio/kamailio.cfg", env=env)
        ksr.listen(f"udp:127.0.0.1:{like.port}")
        ksr.load(ROOT / "kamailio/kemi.py")
        for user, password in PASSWORDS.items():
            ksr.subscribers.add(f"{user}@{DOMAIN}", password)

    def exchange(self, phone: str, data: bytes) -> Arrived:
        """Let it receive, and sort what it sent by phone as the real side does."""
        sent = self.ksr.receive(data, ("127.0.0.1", self.ports[phone])).sent
        at = {Address("127.0.0.1", port): name for name, port in self.ports.items()}
        found = [(at[one.to], one.data) for one in sent if one.to in at]
        return sorted(found, key=lambda item: PHONES.index(item[0]))

    def stored(self, user: str) -> list[dict[str, str]]:
        """The same fields of the stub's bindings."""
        return [
            {
                "Address": one.uri,
                "Q": "-1" if one.q < 0 else f"{one.q / 1000:f}",
                "Call-ID": one.call_id,
                "CSeq": str(one.cseq),
                "User-Agent": one.user_agent,
                "Received": one.received or "[not set]",
                "Path": one.path or "[not set]",
                "Flags": str(one.flags),
                "CFlags": str(one.cflags),
                "Socket": str(one.socket or "[not set]"),
                "Methods": str(-1 if one.methods == 0xFFFFFFFF else one.methods),
                "Instance": one.instance or "[not set]",
                "Reg-Id": str(one.reg_id),
            }
            for one in self.ksr.location.bindings(f"{user}@{DOMAIN}")
        ]


@contextlib.contextmanager
def faithful_stub(like: RealSide, domains: str = DOMAIN) -> Iterator[StubSide]:
    """A fresh stub that does what the installed Kamailio does, faults too."""
    world = World(strict=False, version=kamailio_version())
    former, ksr = use(world), Ksr(world)
    try:
        yield StubSide(ksr, like, domains)
    finally:
        ksr.unload()
        use(former)


@attrs.define(eq=False)
class Talk:
    """One conversation with one side; `transcript` is what is compared."""

    side: Side
    name: str
    transcript: list[str] = attrs.Factory(list)
    inbox: dict[str, list[Message]] = attrs.Factory(lambda: {name: [] for name in PHONES})
    _requests: int = 0

    def say(self, phone: str, data: bytes) -> list[Message]:
        """Send bytes; what this phone gets at once."""
        self.transcript.append(f"=== {phone} sends {data.split(b' SIP/2.0')[0][:60]!r}")
        mine: list[Message] = []
        for name, text in self.side.exchange(phone, data):
            self.transcript += [f"--- {name} gets", normal(text)]
            message = Message(text, Address("127.0.0.1", self.side.ports[name]))
            self.inbox[name].append(message)
            mine += [message] if name == phone else []
        return mine

    def request(
        self,
        phone: str,
        method: str,
        uri: str,
        *,
        user: str = "1111",
        domain: str = DOMAIN,
        password: str | None = None,
        digest_user: str | None = None,
        contact_host: str = "127.0.0.1",
        headers: Mapping[str, str | Sequence[str] | None] | None = None,
        call: str = "call",
        **more: object,
    ) -> bytes:
        """Send a request, and again with credentials where it is challenged and a password given.

        Returns:
            The request that was sent last.
        """
        port, extra = self.side.ports[phone], dict(headers or {})
        extra.setdefault("Contact", f"<sip:{user}@{contact_host}:{port}>")
        settings: dict[str, object] = {
            "sender": f"sip:{user}@{domain}",
            "via": ("127.0.0.1", port),
            "call_id": f"{self.name}-{call}",
            "from_tag": f"{user}tag",
            "cseq": 1,
            **more,
        }
        data = self._sent(phone, method, uri, extra, settings)
        if password is None:
            return data
        last = self.inbox[phone][-1]
        if method not in ("REGISTER", "OPTIONS", "MESSAGE"):
            self.say(phone, builders.ack(data, last["To"]))
        asked, given = ("WWW-Authenticate", "Authorization")
        if last.status == 407:
            asked, given = ("Proxy-Authenticate", "Proxy-Authorization")
        extra[given] = credentials(last[asked], method, uri, digest_user or user, password)
        return self._sent(phone, method, uri, extra, {**settings, "cseq": 2})

    def _sent(
        self,
        phone: str,
        method: str,
        uri: str,
        headers: Mapping[str, str | Sequence[str] | None],
        settings: Mapping[str, object],
    ) -> bytes:
        self._requests += 1
        branch = f"z9hG4bK{self.name}{self._requests}"
        given: dict[str, object] = {"branch": branch, **settings}
        data = builders.request(method, uri, headers=headers, **given)  # type: ignore[arg-type]
        self.say(phone, data)
        return data

    def register(self, phone: str, user: str, **more: object) -> bytes:
        """A REGISTER with the right password."""
        aor = f"sip:{user}@{DOMAIN}"
        settings = {"password": PASSWORDS[user], "call": f"reg{user}", "to": aor, **more}
        return self.request(phone, "REGISTER", f"sip:{DOMAIN}", user=user, **settings)  # type: ignore[arg-type]

    def last(self, phone: str, method: str) -> Message:
        """The last request of that method that a phone got."""
        return next(m for m in reversed(self.inbox[phone]) if m.is_request and m.method == method)

    def reply(
        self, phone: str, code: int, reason: str, method: str = "INVITE", sdp: str = ""
    ) -> None:
        """Answer the last request of that method."""
        asked, port = self.last(phone, method), self.side.ports[phone]
        lines = [f"SIP/2.0 {code} {reason}"]
        for name, text in asked.headers:
            if name in ("Via", "Record-Route", "From", "Call-ID", "CSeq"):
                lines.append(f"{name}: {text}")
            if name == "To":
                tagged = ";tag=" in text or code == 100
                lines.append(f"To: {text}" if tagged else f"To: {text};tag={phone}tag")
        lines.append(f"Contact: <sip:{phone}@192.168.0.9:{port}>")
        lines += ["Content-Type: application/sdp"] if sdp else []
        lines += [f"Content-Length: {len(sdp)}", "", sdp]
        self.say(phone, "\r\n".join(lines).encode())

    def within(self, phone: str, method: str, answer: Message, invite: bytes, cseq: int) -> bytes:
        """A request of the caller inside the dialog that `answer` has made."""
        first = Message(invite, Address("127.0.0.1", 0))
        self._requests += 1
        data = builders.request(
            method, address_uri(answer["Contact"]), sender=address_uri(first["From"]),
            to=address_uri(first["To"]), via=("127.0.0.1", self.side.ports[phone]),
            branch=f"z9hG4bK{self.name}{self._requests}", call_id=first["Call-ID"], cseq=cseq,
            from_tag=first.parameter("From", "tag"), to_tag=answer.parameter("To", "tag") or "",
            contact=first["Contact"], route=list(reversed(answer.all("Record-Route"))),
        )  # fmt: skip
        self.say(phone, data)
        return data

    def compare_bindings(self, user: str) -> None:
        """Put a user's bindings into the transcript."""
        for binding in self.side.stored(user):
            shown = "\n".join(f"{name}: {binding.get(name)}" for name in STORED)
            self.transcript.append(f"--- binding of {user}\n{shown}")
        self.transcript.append(f"--- {len(self.side.stored(user))} bindings of {user}")


def normal(data: bytes) -> str:
    """A message without what a server draws at random, and without the seconds that pass."""
    text = data.decode("latin-1")
    text = re.sub(r'nonce="[^"]*"', 'nonce="N"', text)
    text = re.sub(r"z9hG4bK[0-9a-f]+\.[0-9a-f]{20,}\.[0-9a-f]+", "z9hG4bK-B", text)
    text = re.sub(r"(?<=;tag=)[0-9a-f]{32}[-.][0-9a-f.]+", "T", text)
    return re.sub(r"expires=3(?:600|59\d)\b", "expires=~3600", text)


def difference(stubbed: Talk, live: Talk) -> str:
    """What the stub did otherwise, as a unified diff; "" where it did the same."""
    expected, got = (
        "\n".join(talk.transcript).splitlines(keepends=True) for talk in (live, stubbed)
    )
    lines = difflib.unified_diff(expected, got, "Kamailio", "stub", n=9)
    return "".join(f"{line!r}\n" for line in lines)


def _socket(host: Namespace) -> socket.socket:
    made = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made
