"""Requests whose challenge the test answers, instead of the phone."""

from __future__ import annotations

import itertools
import re

from .digest import credentials
from .message import Address, Message
from .network import Namespace
from .phone import Phone
from .server import DOMAIN, Server

# Of the requests of all phones: a CSeq that never comes twice.
NUMBERS = itertools.count(1)


def ask(phone: Phone, method: str, uri: str, authorization: str = "", **parts: str) -> Message:
    """The final answer to a request; `parts` are To and From (`to`, `sender`), and its Call-ID
    where it isn't the one of all that the phone sends."""
    return phone.start(make(phone, method, uri, authorization, **parts)).final()


def make(phone: Phone, method: str, uri: str, authorization: str = "", **parts: str) -> Message:
    """The request that `ask` sends."""
    name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
    fields = [("Contact", phone.contact)] if method in ("REGISTER", "INVITE") else []
    fields += [(name, authorization)] if authorization else []
    parts.setdefault("call_id", f"of-{phone.local[1]}")
    number = next(NUMBERS)
    return phone.make_request(method, uri, fields=fields, cseq=number, **parts)  # type: ignore[arg-type]


def register(phone: Phone, authorization: str = "", **parts: str) -> Message:
    """The final answer to a REGISTER of this phone."""
    uri = f"sip:{phone.domain}"
    return ask(phone, "REGISTER", uri, authorization, **{"to": f"<{phone.aor}>", **parts})


def answer(
    challenge: Message, user: str, password: str, uri: str = f"sip:{DOMAIN}", nc: int = 1
) -> str:
    """The credentials that a phone gives for a challenge, the first time or a later one."""
    return credentials(challenge_of(challenge), challenge.method, uri, user, password, nc)


def by_hand(server: Server, host: Namespace, local: Address = ("127.0.0.1", 0)) -> Phone:
    """A phone of 1111 that answers no challenge."""
    phone = server.phone(host, "1111", local=local)
    phone.password = None
    return phone


def prove(phone: Phone, password: str) -> tuple[Message, Message, Message]:
    """Register: the challenge, the REGISTER with credentials, and its answer."""
    challenge = register(phone)
    given = answer(challenge, "1111", password)
    request = make(phone, "REGISTER", f"sip:{phone.domain}", given, to=f"<{phone.aor}>")
    return challenge, request, phone.start(request).final()


def challenge_of(response: Message) -> str:
    """The challenge in a 401 or 407."""
    name = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[response.status]
    return response[name]


def is_stale(response: Message) -> bool:
    """Whether only the nonce was wrong: a phone then goes on without asking for a password."""
    return bool(re.search(r"\bstale=true\b", challenge_of(response)))


def repeat(phone: Phone, request: Message) -> Message:
    """Send a request that the phone has sent before, and wait for the new response."""
    before = len(phone.log)
    phone.send_raw(bytes(request))
    return phone.wait_until(
        lambda: next((m for way, m in phone.log[before:] if way == "<"), None), 5, "response"
    )
