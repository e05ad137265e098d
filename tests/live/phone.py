"""A scriptable SIP phone that lives on a host of the test network.

It answers what any phone answers by itself: 401 and 407 with its password, final responses of
INVITE with ACK, retransmissions with what it said before, OPTIONS (keepalive pings) with 200.
All else the test says, and every wait has a deadline and shows the phone's traffic when it fails.
It does not retransmit: a message lost in the test network is a fault to find.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from .call import Call, IncomingRequest, Transaction, contact_of, new_tag
from .digest import credentials
from .link import Link
from .message import Address, Message, address_uri, fields_of, host_port, parameter, uri_address
from .network import SERVER, Namespace

T = TypeVar("T")


class Phone:
    """A phone with the AoR sip:user@domain.

    host       where its socket is: `network.host_behind(...)`, `network.public_host(...)`, loopback
    password   None: it does not answer challenges
    server     where requests outside dialogs go; in a dialog they go where Route or Contact say
    local      address to bind and to put in Via and Contact (default: the host's, port 5060)
    contact    the Contact header value instead of `<sip:user@local>`, parameters included

    `pings` are the OPTIONS it got (`answer_pings = False` lets it play dead), `keepalives` the
    packets that are no SIP, `log` all messages as ("<" or ">", Message).
    """

    def __init__(
        self,
        host: Namespace,
        user: str,
        domain: str,
        password: str | None,
        server: Address = (SERVER, 5060),
        transport: str = "udp",
        local: Address | None = None,
        contact: str | None = None,
    ) -> None:
        self.host, self.user, self.domain, self.password = host, user, domain, password
        self.aor = f"sip:{user}@{domain}"
        self.server, self.transport = server, transport
        self.answer_pings = True
        self.pings: list[Message] = []
        self.keepalives: list[bytes] = []
        self.log: list[tuple[str, Message]] = []
        self.calls: dict[tuple[str, str], Call] = {}
        self._requests: list[IncomingRequest] = []
        self._strays: list[Message] = []
        self._transactions: dict[tuple[str, str], tuple[Transaction, Message]] = {}
        self._answers: dict[tuple[str, str, str], bytes | None] = {}
        self._register_id, self._register_cseq = secrets.token_hex(8), 0
        self._changed = threading.Condition()
        self._broken: Exception | None = None
        self.link = Link(host, local or (host.address, 5060), server, transport)
        self.local = self.link.local
        self.contact = contact or contact_of(self)
        self._start_reader()

    def __repr__(self) -> str:
        return f"Phone({self.user} at {self.host.name} {host_port(self.local)}/{self.transport})"

    # What a test does with it

    def register(
        self,
        expires: int | None = 3600,
        contact: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5,
    ) -> Message:
        """REGISTER, answering a challenge, and return the final response.

        expires=None sends no Expires header; contact overrides the phone's, "" sends none (a
        query), "*" with expires=0 removes all. Call-ID stays the same, CSeq rises.
        """
        self._register_cseq += 1
        value = self.contact if contact is None else contact
        fields = [("Contact", value)] if value else []
        fields += [] if expires is None else [("Expires", str(expires))]
        request = self.make_request(
            "REGISTER",
            f"sip:{self.domain}",
            call_id=self._register_id,
            cseq=self._register_cseq,
            to=f"<{self.aor}>",
            fields=[*fields, *fields_of(headers)],
        )
        transaction = self.start(request)
        final = transaction.final(timeout)
        self._register_cseq = int(transaction.request["CSeq"].split()[0])
        return final

    def unregister(self) -> Message:
        """Remove this phone's binding; the final response."""
        return self.register(expires=0)

    def invite(self, target: str, sdp: str = "", headers: Mapping[str, str] | None = None) -> Call:
        """Call a user ("1111", of our domain) or a SIP URI; does not wait. See Call."""
        uri = target if target.startswith("sip") else f"sip:{target}@{self.domain}"
        content = [("Content-Type", "application/sdp")] if sdp else []
        fields = [("Contact", self.contact), *content, *fields_of(headers)]
        call = Call(self, self.start(self.make_request("INVITE", uri, fields=fields, body=sdp)))
        self.calls[call.identity] = call
        return call

    def request(
        self,
        method: str,
        target: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Transaction:
        """Send a request outside a dialog (MESSAGE, OPTIONS, SUBSCRIBE ...); does not wait."""
        uri = target if target.startswith("sip") else f"sip:{target}@{self.domain}"
        return self.start(self.make_request(method, uri, fields=fields_of(headers), body=body))

    def expect_request(self, method: str, timeout: float = 5) -> IncomingRequest:
        """The oldest request with this method that the test has not taken yet, else AssertionError.

        INVITE is answered with `.reply(180)`, `.reply(200, sdp=...)`; its `.call` is then a Call.
        """

        def take() -> IncomingRequest | None:
            for request in self._requests:
                if request.message.method == method:
                    self._requests.remove(request)
                    return request
            return None

        return self.wait_until(take, timeout, f"{method} from the server")

    def has_request(self, method: str) -> bool:
        """Whether a request with this method has come and was not taken."""
        with self._changed:
            return any(request.message.method == method for request in self._requests)

    def wait_for_pings(self, count: int = 1, timeout: float = 30) -> list[Message]:
        """Wait until this many OPTIONS have come in all, and return them."""
        return self.wait_until(
            lambda: list(self.pings) if len(self.pings) >= count else None,
            timeout,
            f"{count} pings (it got {len(self.pings)})",
        )

    def send_raw(self, data: bytes, address: Address | None = None) -> None:
        """Send bytes as they are, to the server unless address is given."""
        self.link.send(data, address)

    def receive(self, timeout: float = 5) -> Message:
        """The oldest response that belongs to no request of the phone: to `send_raw`."""
        return self.wait_until(
            lambda: self._strays.pop(0) if self._strays else None, timeout, "a response"
        )

    def reconnect(self) -> None:
        """Open socket and connection anew from the same address, as after a crash of the phone."""
        self.close()
        self.link = Link(self.host, self.local, self.server, self.transport)
        self._broken = None
        self._start_reader()

    def close(self) -> None:
        """Close the phone's socket without a word to the server."""
        self.link.close()
        self._reader.join(5)

    # What Call and Transaction build on

    def make_request(
        self,
        method: str,
        uri: str,
        *,
        fields: list[tuple[str, str]] | None = None,
        body: str = "",
        call_id: str = "",
        cseq: int = 1,
        to: str = "",
        sender: str = "",
        branch: str = "",
    ) -> Message:
        """A request with Via, From, To, Call-ID, CSeq and Max-Forwards, and these fields after."""
        head = [
            ("Via", self._via(branch or f"z9hG4bK{secrets.token_hex(8)}")),
            ("Max-Forwards", "70"),
            ("From", sender or f"<{self.aor}>;tag={new_tag()}"),
            ("To", to or f"<{uri}>"),
            ("Call-ID", call_id or secrets.token_hex(8)),
            ("CSeq", f"{cseq} {method}"),
        ]
        return Message(f"{method} {uri} SIP/2.0", head + (fields or []), body)

    def start(self, request: Message) -> Transaction:
        """Send a request and follow its responses."""
        transaction = Transaction(self, request)
        self._track(transaction, request)
        return transaction

    def transmit(self, message: Message, along: Message | None = None) -> None:
        """Send a request to its next hop (RFC 3261 section 8.1.2), or the way of another one."""
        self.log.append((">", message))
        self.link.send(bytes(message), self._next_hop(along or message))

    def transmit_response(self, response: Message, request: Message) -> None:
        """Send a response to where its request came from (RFC 3261 18.2.2, RFC 3581), and again
        whenever the request is retransmitted."""
        host, port = request.source
        if not re.search(r";rport\b", request["Via"]):
            port = uri_address(request["Via"].split(None, 1)[1])[1]
        self.log.append((">", response))
        self._answers[_identity(request)] = bytes(response)
        self.link.send(bytes(response), (host, port))

    def wait_until(self, found: Callable[[], T | None], timeout: float, what: str) -> T:
        """Call found after every message until it returns something; AssertionError in the end."""
        result: list[T] = []

        def check() -> bool:
            value = found()
            if value is not None:
                result.append(value)
            return value is not None or self._broken is not None

        with self._changed:
            self._changed.wait_for(check, timeout)
        if not result:
            reason = self._broken or f"no {what} within {timeout} s"
            raise AssertionError(f"{self}: {reason}; its traffic:\n{self.traffic()}")
        return result[0]

    def traffic(self) -> str:
        """All messages so far, one line each."""
        return "\n".join(f"  {way} {message!r}" for way, message in self.log) or "  none"

    # Inside

    def _via(self, branch: str) -> str:
        return f"SIP/2.0/{self.transport.upper()} {host_port(self.local)};rport;branch={branch}"

    def _track(self, transaction: Transaction, request: Message) -> None:
        with self._changed:
            transaction.request = request
            self._transactions[request.branch, request.method] = (transaction, request)
        self.transmit(request)

    def _next_hop(self, request: Message) -> Address:
        if parameter(request["To"], "tag") == "":
            return self.server
        route = next(iter(request.all("Route")), "")
        uri = address_uri(route) if route else request.uri
        host, port = uri_address(uri, 5061 if self.transport == "tls" else 5060)
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return self.server
        if self.transport != "udp" and (host, port) != self.server:
            raise AssertionError(f"{self} must send to {uri}, its connection is to {self.server}")
        return host, port

    def _start_reader(self) -> None:
        self._reader = threading.Thread(target=self._read, args=(self.link,), daemon=True)
        self._reader.start()

    def _read(self, link: Link) -> None:
        try:
            while link.alive:
                for data, source in link.read(None):
                    self._receive(data, source)
        except Exception as error:  # shown by whatever the test waits for
            self._broken = error if link.alive else None
        with self._changed:
            self._changed.notify_all()

    def _receive(self, data: bytes, source: Address) -> None:
        try:
            message = Message.parse(data, source)
        except ValueError:
            self.keepalives.append(data)
            return
        with self._changed:
            self.log.append(("<", message))
            if message.is_request:
                self._on_request(message)
            else:
                self._on_response(message)
            self._changed.notify_all()

    def _on_request(self, message: Message) -> None:
        incoming = IncomingRequest(self, message)
        if message.method == "OPTIONS":
            self.pings.append(message)
            if self.answer_pings:
                incoming.reply(200)
            return
        identity = _identity(message)
        if identity not in self._answers:
            self._answers[identity] = None
            self._requests.append(incoming)
        elif answer := self._answers[identity]:
            self.link.send(answer, message.source)

    def _on_response(self, response: Message) -> None:
        known = self._transactions.get((response.branch, response.method))
        if known is None:
            self._strays.append(response)
            return
        transaction, request = known
        if response.method == "INVITE" and response.status >= 300:
            self.transmit(_ack_of_failure(request, response), along=request)
        if request is not transaction.request or transaction.repeats(response):
            return
        if self._can_answer(transaction, response):
            transaction.challenges.append(response)
            self._track(transaction, self._authorized(request, response))
        else:
            transaction.responses.append(response)

    def _can_answer(self, transaction: Transaction, response: Message) -> bool:
        if self.password is None or response.status not in (401, 407):
            return False
        header = "WWW-Authenticate" if response.status == 401 else "Proxy-Authenticate"
        stale = parameter(response[header], "stale").lower() == "true"
        return len(transaction.challenges) < (3 if stale else 1)

    def _authorized(self, request: Message, challenge: Message) -> Message:
        """The request again, with credentials, a new branch and the next CSeq."""
        asked, answered = ("WWW-Authenticate", "Authorization")
        if challenge.status == 407:
            asked, answered = ("Proxy-Authenticate", "Proxy-Authorization")
        number, method = request["CSeq"].split()
        changed = {
            "Via": self._via(f"z9hG4bK{secrets.token_hex(8)}"),
            "CSeq": f"{int(number) + 1} {method}",
        }
        fields = [(n, changed.get(n, v)) for n, v in request.fields if n != answered]
        value = credentials(challenge[asked], method, request.uri, self.user, self.password or "")
        return Message(request.start_line, [*fields, (answered, value)], request.body)


def _identity(request: Message) -> tuple[str, str, str]:
    return request["Via"], request["Call-ID"], request["CSeq"]


def _ack_of_failure(request: Message, response: Message) -> Message:
    """The ACK that belongs to the INVITE's own transaction (RFC 3261 section 17.1.1.3)."""
    number = request["CSeq"].split()[0]
    fields = [("Via", request["Via"]), ("Max-Forwards", "70"), ("From", request["From"])]
    fields += [("To", response["To"]), ("Call-ID", request["Call-ID"]), ("CSeq", f"{number} ACK")]
    routes = [("Route", route) for route in request.all("Route")]
    return Message(f"ACK {request.uri} SIP/2.0", fields + routes)
