"""Phones inside the World: they register, answer challenges, call, answer and hang up.

A phone gets what the World sends to its address. By itself it answers 401 and 407 with its
password, final replies of INVITE with ACK, and OPTIONS, BYE, CANCEL and requests inside a dialog
with 200. All else the test says.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Protocol

from ksr_stub import builders, digest, uri
from ksr_stub.dialog import Call, Dialog, IncomingCall, Transaction
from ksr_stub.message import Address
from ksr_stub.traffic import Message, Result, address_uri
from ksr_stub.world import World

PROTO_WITH_CONNECTION = ("tcp", "tls", "ws", "wss")


class Net(Protocol):
    """What a phone needs of the test's `ksr`."""

    world: World

    def receive(
        self, data: bytes, source: tuple[str, int], proto: str, *, connection: int
    ) -> Result:
        """Let the World receive a message."""


class Phone:
    """A phone with the AoR sip:user@domain.

    Args:
        net: the test's `ksr`.
        user: the user part of its address of record.
        password: None: it does not answer challenges.
        domain: the domain of its address of record.
        source: address and port that the World sees: behind NAT, those of the NAT.
        private: address and port that the phone believes to have, in Via and Contact.
        proto: `udp`, `tcp`, `tls`, `ws` or `wss`.
        connection: the id of its connection, 0 for UDP.

    `inbox` is everything it got, `answers` what it says to requests by itself.
    """

    def __init__(
        self,
        net: Net,
        user: str,
        password: str | None,
        domain: str,
        source: tuple[str, int],
        private: tuple[str, int] | None = None,
        proto: str = "udp",
        connection: int = 0,
    ) -> None:
        self.user, self.password, self.domain = user, password, domain
        self.aor = f"sip:{user}@{domain}"
        self.source, self.proto, self.connection = source, proto, connection
        self.private = private or source
        self.instance = ""
        self.inbox: list[Message] = []
        self.answers = {"OPTIONS": 200, "MESSAGE": 200, "NOTIFY": 200, "INFO": 200, "UPDATE": 200}
        self._net = net
        self._calls: list[Dialog] = []
        self._incoming: list[IncomingCall] = []
        self._transactions: list[Transaction] = []
        self._answered: dict[tuple[str, str], bytes] = {}
        self._register_id, self._register_tag = secrets.token_hex(8), secrets.token_hex(4)
        self._cseq = 0

    def __repr__(self) -> str:
        return f"Phone({self.user} at {self.proto}:{self.source[0]}:{self.source[1]})"

    @property
    def contact(self) -> str:
        """The URI of its Contact."""
        suffix = "" if self.proto == "udp" else f";transport={self.proto}"
        return builders.address_of(self.user, self.private) + suffix

    # What a test does with it

    def register(
        self,
        expires: int | None = 3600,
        contact: str | None = None,
        headers: builders.Headers | None = None,
    ) -> Message:
        """REGISTER, answering a challenge; the final reply.

        Call-ID stays the same and CSeq rises, as RFC 3261 10.2 wants it.
        """
        self._cseq += 1
        transaction = self.start(
            builders.register(
                self.user,
                domain=self.domain,
                expires=expires,
                contact=f"<{self.contact}>" if contact is None else contact,
                via=self.private,
                headers=headers,
                proto=self.proto,
                call_id=self._register_id,
                from_tag=self._register_tag,
                cseq=self._cseq,
            )
        )
        self._cseq = transaction.cseq
        return transaction.final

    def unregister(self) -> Message:
        """Remove the phone's binding; the final reply."""
        return self.register(expires=0)

    def call(
        self, target: str, sdp: str | None = None, headers: builders.Headers | None = None
    ) -> Call:
        """Call a user of the phone's domain or a URI; `.status` tells how it goes."""
        data = builders.invite(
            self.uri_of(target),
            sdp=sdp,
            sender=self.aor,
            via=self.private,
            proto=self.proto,
            contact=f"<{self.contact}>",
            headers=headers,
        )
        call = Call(self, data)
        self._calls.append(call)
        call.start()
        return call

    def incoming(self) -> IncomingCall:
        """The oldest call for this phone that the test has not taken yet.

        Raises:
            AssertionError: nobody calls; it shows what the phone got instead.
        """
        if not self._incoming:
            raise AssertionError(f"nobody calls {self}; {self.traffic()}")
        return self._incoming.pop(0)

    @property
    def is_ringing(self) -> bool:
        """Whether a call waits to be taken with `incoming`."""
        return bool(self._incoming)

    def request(
        self,
        method: str,
        target: str,
        body: str = "",
        headers: builders.Headers | None = None,
        content_type: str = "text/plain",
    ) -> Message:
        """Send a request outside a dialog, answering a challenge; the final reply."""
        return self.start(
            builders.request(
                method, self.uri_of(target), sender=self.aor, via=self.private, proto=self.proto,
                contact=f"<{self.contact}>", headers=headers, body=body,
                content_type=content_type if body else "",
            )
        ).final  # fmt: skip

    def message(self, target: str, text: str) -> Message:
        """Send a text (RFC 3428); the final reply."""
        return self.request("MESSAGE", target, text)

    def requests(self, method: str) -> list[Message]:
        """The requests of a method that it got."""
        return [one for one in self.inbox if one.is_request and one.method == method]

    def send(self, data: bytes) -> Result:
        """Send bytes to the World as they are."""
        return self._net.receive(data, self.source, self.proto, connection=self.connection)

    def traffic(self) -> str:
        """What it got, one line a message."""
        return "it got" + ("".join(f"\n  {one}" for one in self.inbox) or " nothing")

    # What the harness and the dialogs need

    def is_at(self, to: Address, proto: str, connection: int) -> bool:
        """Whether something sent there reaches this phone."""
        if proto in PROTO_WITH_CONNECTION and self.connection and connection:
            return connection == self.connection
        return (to.host, to.port) == self.source and proto == self.proto

    def take(self, message: Message) -> None:
        """A message arrives."""
        self.inbox.append(message)
        if message.closes:
            return
        if message.is_request:
            self._on_request(message)
        else:
            self._on_reply(message)

    def uri_of(self, target: str) -> str:
        """The URI of a user of the phone's domain; a URI stays as it is."""
        return target if ":" in target else f"sip:{target}@{self.domain}"

    def start(self, data: bytes, on_final: Callable[[Message], None] | None = None) -> Transaction:
        """Send a request as a transaction."""
        transaction = Transaction(self, data, on_final)
        self._transactions.append(transaction)
        transaction.send()
        return transaction

    def send_in_dialog(self, data: bytes, routes: list[str], target: str) -> Result:
        """Send to the next hop: the first Route, else the remote target.

        Raises:
            AssertionError: the next hop is not the World: it has lost its place in the dialog.
        """
        hop = uri.parse(address_uri(routes[0]) if routes else target)
        if hop is None or not self._net.world.is_myself(hop.host, hop.port_number):
            raise AssertionError(
                f"{self} would send {data.split(b' ')[0].decode()} to"
                f" {routes[0] if routes else target}, not to Kamailio: was there no record_route,"
                " or is the address in Record-Route wrong?"
            )
        return self.send(data)

    def credentials_for(self, challenge: Message, method: str, ruri: str) -> tuple[str, str] | None:
        """The header that answers a challenge; None without a password."""
        if self.password is None:
            return None
        www = challenge.status == 401
        asked = challenge["WWW-Authenticate" if www else "Proxy-Authenticate"]
        value = digest.credentials(asked, method, ruri, self.user, self.password)
        return ("Authorization" if www else "Proxy-Authorization"), value

    # Inside

    def _on_reply(self, reply: Message) -> None:
        for transaction in self._transactions:
            if transaction.matches(reply):
                transaction.on_reply(reply)
                return

    def _on_request(self, request: Message) -> None:
        if request.method == "ACK":
            self._in_dialog(request)
            return
        key = (request["Via"], request["CSeq"])
        if key in self._answered:
            if self._answered[key]:
                self.send(self._answered[key])
            return
        self._answered[key] = b""
        if request.method == "CANCEL":
            self._on_cancel(request)
        elif request.parameter("To", "tag"):
            self._in_dialog(request)
        elif request.method == "INVITE":
            call = IncomingCall(self, request)
            self._calls.append(call)
            self._incoming.append(call)
        elif request.method in self.answers:
            self.reply(request, self.answers[request.method])
        else:
            self.reply(request, 405)

    def reply(
        self,
        request: Message,
        status: int,
        *,
        tag: str = "",
        sdp: str = "",
        headers: list[tuple[str, str]] | None = None,
        reason: str = "",
    ) -> Result:
        """Answer a request (RFC 3261 8.2.6); `\\udcff` in a header is a byte that is no UTF-8."""
        to = request["To"]
        if status > 100 and not request.parameter("To", "tag"):
            to += f";tag={tag or secrets.token_hex(4)}"
        fields = [("Via", via) for via in request.all("Via")]
        fields += [("Record-Route", route) for route in request.all("Record-Route")]
        fields += [("From", request["From"]), ("To", to), ("Call-ID", request["Call-ID"])]
        fields += [("CSeq", request["CSeq"]), *(headers or [])]
        fields += [("Content-Type", "application/sdp")] if sdp else []
        fields.append(("Content-Length", str(len(sdp.encode()))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        text = f"SIP/2.0 {status} {reason or REASONS.get(status, 'Answer')}\r\n{lines}\r\n{sdp}"
        data = text.encode(errors="surrogateescape")
        if status >= 200:
            self._answered[request["Via"], request["CSeq"]] = data
        return self.send(data)

    def _on_cancel(self, cancel: Message) -> None:
        branch = cancel.parameter("Via", "branch")
        for call in self._calls:
            if isinstance(call, IncomingCall) and call.branch == branch:
                self.reply(cancel, 200, tag=call.local_tag)
                call.on_cancel()
                if call in self._incoming:
                    self._incoming.remove(call)
                return
        self.reply(cancel, 481)

    def _in_dialog(self, request: Message) -> None:
        for call in self._calls:
            if _belongs(call, request):
                call.on_request(request)
                return
        if request.method != "ACK":
            self.reply(request, 481)


def _belongs(dialog: Dialog, request: Message) -> bool:
    return (
        dialog.call_id == request["Call-ID"]
        and dialog.local_tag == request.parameter("To", "tag")
        and dialog.remote_tag in ("", request.parameter("From", "tag"))
    )


REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
    302: "Moved Temporarily", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    500: "Server Internal Error", 503: "Service Unavailable", 603: "Decline",
}  # fmt: skip
