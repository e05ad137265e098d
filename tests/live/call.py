"""Calls, transactions and received requests of a Phone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .message import Message, fields_of, host_port, parameter

if TYPE_CHECKING:
    from .phone import Phone

REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
    302: "Moved Temporarily", 404: "Not Found", 408: "Request Timeout", 481: "Call Does Not Exist",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 603: "Decline",
}  # fmt: skip


class Transaction:
    """A request that was sent. After a challenge `request` is the one with credentials, and
    `challenges` has the 401 or 407; `responses` are all others, without retransmissions."""

    def __init__(self, phone: Phone, request: Message) -> None:
        self.phone, self.request = phone, request
        self.responses: list[Message] = []
        self.challenges: list[Message] = []
        self.ack: Message | None = None

    def wait_for(self, status: int, timeout: float = 10) -> Message:
        """The response with this status; AssertionError as soon as another final one comes."""

        def look() -> Message | None:
            finals = (r for r in self.responses if r.status >= 200)
            return next((r for r in self.responses if r.status == status), next(finals, None))

        what = f"{status} to {self.request.method}"
        response = self.phone.wait_until(look, timeout, what)
        if response.status != status:
            traffic = self.phone.traffic()
            raise AssertionError(f"{self.phone}: expected {what}, got:\n{response}\n{traffic}")
        return response

    def final(self, timeout: float = 10) -> Message:
        """The first final response, whatever it says."""
        return self.phone.wait_until(
            lambda: next((r for r in self.responses if r.status >= 200), None),
            timeout,
            f"final response to {self.request.method}",
        )

    def repeats(self, response: Message) -> bool:
        """Whether we have this final response already. A repeated 2xx gets its ACK again."""
        tag = parameter(response["To"], "tag")
        same = any(
            r.status == response.status >= 200 and parameter(r["To"], "tag") == tag
            for r in self.responses
        )
        if same and self.ack:
            self.phone.transmit(self.ack)
        return same


class Call:
    """One side of a dialog. The phone that called:

        call = alice.invite("2222", sdp); call.wait_for(180); call.wait_for(200); call.ack()

    and the phone that was called: `incoming.reply(200, sdp=...)`, then `incoming.call`.
    `bye`, `reinvite`, `cancel` and `request` send and do not wait; each returns a Transaction:
    `call.bye().wait_for(200)`. `target` and `routes` are the remote target and the route set.
    """

    def __init__(self, phone: Phone, transaction: Transaction | None) -> None:
        self.phone = phone
        self.call_id = self.local = self.remote = self.target = ""
        self.routes: list[str] = []
        self._confirmed = False
        self._invite = self._last = transaction
        if transaction:
            request = transaction.request
            self.call_id, self.local = request["Call-ID"], request["From"]
            self.remote, self.target = request["To"], request.uri

    @classmethod
    def answering(cls, phone: Phone, request: Message, local: str) -> Call:
        """The called side of the dialog that an INVITE opens (RFC 3261 section 12.1.1)."""
        call = cls(phone, None)
        call.call_id, call.local, call.remote = request["Call-ID"], local, request["From"]
        call.target, call.routes = request.contact_uri, request.all("Record-Route")
        call._confirmed = True
        return call

    @property
    def identity(self) -> tuple[str, str]:
        """Call-ID and local tag."""
        return self.call_id, parameter(self.local, "tag")

    @property
    def invite(self) -> Transaction:
        """The transaction of our last INVITE in this dialog."""
        if self._invite is None:
            raise AssertionError(f"{self.phone} has sent no INVITE in this call")
        return self._invite

    def wait_for(self, status: int, timeout: float = 10) -> Message:
        """A response to our last INVITE (or re-INVITE); one with a To tag sets up the dialog."""
        response = self.invite.wait_for(status, timeout)
        if 100 < status < 300 and parameter(response["To"], "tag"):
            self.target = response.contact_uri or self.target
            if not self._confirmed:
                self.remote, self.routes = response["To"], response.all("Record-Route")[::-1]
        return response

    def ack(self, sdp: str = "") -> None:
        """Send the ACK of the 2xx, and again whenever that is retransmitted."""
        self._confirmed = True
        self.invite.ack = self._make("ACK", _number(self.invite.request), {}, sdp)
        self.phone.transmit(self.invite.ack)

    def bye(self) -> Transaction:
        """End the call."""
        return self.request("BYE")

    def cancel(self) -> Transaction:
        """CANCEL the INVITE; its 487 then comes to `wait_for(487)`."""
        request = self.invite.request
        return self.phone.start(
            self.phone.make_request(
                "CANCEL",
                request.uri,
                call_id=self.call_id,
                cseq=_number(request),
                to=request["To"],
                sender=self.local,
                branch=request.branch,
            )
        )

    def reinvite(self, sdp: str = "", headers: Mapping[str, str] | None = None) -> Transaction:
        """Send an INVITE in the dialog; then `wait_for(200)` and `ack()` as for the first."""
        self._invite = self.request("INVITE", sdp, headers)
        return self._invite

    def request(
        self, method: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> Transaction:
        """Send any request in the dialog: UPDATE, INFO, REFER, NOTIFY, MESSAGE ..."""
        cseq = _number(self._last.request) + 1 if self._last else 1
        self._last = self.phone.start(self._make(method, cseq, headers, body))
        return self._last

    def _make(
        self, method: str, cseq: int, headers: Mapping[str, str] | None, body: str
    ) -> Message:
        fields = [("Route", route) for route in self.routes]
        fields += [("Contact", self.phone.contact)] if method in ("INVITE", "UPDATE") else []
        named = headers or {}
        if body and "Content-Type" not in named:
            fields.append(("Content-Type", "application/sdp"))
        return self.phone.make_request(
            method,
            self.target,
            fields=fields + fields_of(named),
            body=body,
            call_id=self.call_id,
            cseq=cseq,
            to=self.remote,
            sender=self.local,
        )


class IncomingRequest:
    """A request that a phone got: `message`, `reply(...)`, and for INVITE `call`."""

    def __init__(self, phone: Phone, message: Message) -> None:
        self.phone, self.message = phone, message
        self._tag = parameter(message["To"], "tag") or new_tag()

    def reply(
        self,
        status: int,
        sdp: str = "",
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Message:
        """Answer with Via, From, To (with our tag), Call-ID, CSeq and Record-Route of the request,
        and our Contact. Returns what was sent."""
        request = self.message
        keep = [*_fields(request, "Via"), ("From", request["From"]), ("To", self._to())]
        keep += [("Call-ID", request["Call-ID"]), ("CSeq", request["CSeq"])]
        if 100 < status < 300 and request.method != "BYE":
            keep += [*_fields(request, "Record-Route"), ("Contact", self.phone.contact)]
        if sdp:
            keep.append(("Content-Type", "application/sdp"))
        line = f"SIP/2.0 {status} {reason or REASONS.get(status, 'Because')}"
        response = Message(line, keep + fields_of(headers), sdp)
        if request.method == "INVITE" and 100 < status < 300:
            self.call.target = request.contact_uri or self.call.target
        self.phone.transmit_response(response, request)
        return response

    @property
    def call(self) -> Call:
        """Our side of the dialog that this request opened or belongs to."""
        identity = (self.message["Call-ID"], self._tag)
        if identity not in self.phone.calls:
            self.phone.calls[identity] = Call.answering(self.phone, self.message, self._to())
        return self.phone.calls[identity]

    def _to(self) -> str:
        to = self.message["To"]
        return to if parameter(to, "tag") else f"{to};tag={self._tag}"


def contact_of(phone: Phone) -> str:
    """The Contact a phone gives of itself: its own (private) address."""
    transport = "" if phone.transport == "udp" else f";transport={phone.transport}"
    return f"<sip:{phone.user}@{host_port(phone.local)}{transport}>"


def new_tag() -> str:
    """A tag that no other dialog has."""
    return secrets.token_hex(5)


def _number(request: Message) -> int:
    return int(request["CSeq"].split()[0])


def _fields(message: Message, name: str) -> list[tuple[str, str]]:
    return [(name, value) for value in message.all(name)]
