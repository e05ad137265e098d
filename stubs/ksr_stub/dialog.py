"""A phone's transactions and calls (RFC 3261 12, 13, 17)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from ksr_stub import builders
from ksr_stub.message import Address
from ksr_stub.traffic import Message, Result, address_uri

if TYPE_CHECKING:
    from ksr_stub.phone import Phone

_NOWHERE = Address("", 0)


class Transaction:
    """A request of a phone and its replies; a challenge is answered once."""

    def __init__(
        self, phone: Phone, data: bytes, on_final: Callable[[Message], None] | None = None
    ) -> None:
        self.phone, self.data = phone, data
        self.replies: list[Message] = []
        self.challenged = False
        self._on_final = on_final
        self._branch = self.request.parameter("Via", "branch")

    @property
    def request(self) -> Message:
        """The request as it was sent last."""
        return Message(self.data, _NOWHERE)

    @property
    def cseq(self) -> int:
        """The number in its CSeq."""
        return int(self.request["CSeq"].split()[0])

    @property
    def status(self) -> int:
        """The status of the last reply, 0 before one came."""
        return self.replies[-1].status if self.replies else 0

    @property
    def final(self) -> Message:
        """The final reply.

        Raises:
            AssertionError: none has come.
        """
        for reply in self.replies:
            if reply.status >= 200:
                return reply
        raise AssertionError(
            f"{self.phone} got no final reply to {self.request.method} {self.request.uri};"
            f" {self.phone.traffic()}"
        )

    def send(self) -> None:
        """Send it, for the first time or again."""
        self.phone.send(self.data)

    def matches(self, reply: Message) -> bool:
        """Whether a reply belongs to it (RFC 3261 17.1.3)."""
        return (
            reply.parameter("Via", "branch") == self._branch
            and reply["CSeq"] == self.request["CSeq"]
        )

    def on_reply(self, reply: Message) -> None:
        """A reply arrives."""
        request = self.request
        if reply.status >= 300 and request.method == "INVITE":
            self.phone.send(builders.ack(self.data, to=reply["To"]))
        if reply.status in (401, 407) and not self.challenged:
            header = self.phone.credentials_for(reply, request.method, request.uri)
            if header is not None:
                self.challenged = True
                self._repeat_with(*header)
                return
        first_final = self.status < 200
        self.replies.append(reply)
        if reply.status >= 200 and self._on_final is not None and (first_final or _is_2xx(reply)):
            self._on_final(reply)

    def _repeat_with(self, name: str, value: str) -> None:
        head, _, body = self.data.partition(b"\r\n\r\n")
        text = head.decode()
        branch = f"z9hG4bK{secrets.token_hex(6)}"
        text = text.replace(f"branch={self._branch}", f"branch={branch}", 1)
        text = re.sub(
            r"(?m)^CSeq: (\d+)", lambda found: f"CSeq: {int(found[1]) + 1}", text, count=1
        )
        self._branch = branch
        self.data = f"{text}\r\n{name}: {value}".encode() + b"\r\n\r\n" + body
        self.send()


class Dialog:
    """What both sides of a call have: tags, target, route set, and requests inside."""

    def __init__(self, phone: Phone, call_id: str, local_tag: str) -> None:
        self.phone, self.call_id, self.local_tag = phone, call_id, local_tag
        self.remote_tag = ""
        self.local = self.remote = self.target = ""
        self.routes: list[str] = []
        self.cseq = 1
        self.ended = False
        self.requests: list[Message] = []

    def request(
        self,
        method: str,
        body: str = "",
        headers: builders.Headers | None = None,
        content_type: str = "application/sdp",
    ) -> Message:
        """Send a request inside the call, e.g. a re-INVITE; the final reply."""
        self.cseq += 1
        data = self._build(method, self.cseq, body, headers, content_type)
        transaction = Transaction(self.phone, data)
        self.phone._transactions.append(transaction)
        self.phone.send_in_dialog(data, self.routes, self.target)
        self.cseq = transaction.cseq
        final = transaction.final
        if method == "INVITE" and final.status < 300:
            self._refresh(final)
            self.acknowledge(self.cseq)
        return final

    def hang_up(self) -> Message:
        """BYE; the final reply."""
        final = self.request("BYE")
        self.ended = True
        return final

    def acknowledge(self, cseq: int, sdp: str = "") -> Result:
        """ACK of a 2xx; with an SDP answer where the 2xx had the offer."""
        data = self._build("ACK", cseq, sdp, None, "application/sdp")
        return self.phone.send_in_dialog(data, self.routes, self.target)

    def on_request(self, request: Message) -> None:
        """A request inside the call arrives."""
        self.requests.append(request)
        if request.method == "ACK":
            return
        headers = [("Contact", f"<{self.phone.contact}>")]
        offers = request.method == "INVITE"
        sdp = builders.SDP.format(host=self.phone.private[0]) if offers else ""
        if "Contact" in request and request.method in ("INVITE", "UPDATE"):
            self.target = address_uri(request["Contact"])
        self.ended = self.ended or request.method == "BYE"
        self.phone.reply(request, 200, sdp=sdp, headers=headers if offers else None)

    def _refresh(self, message: Message) -> None:
        if "Contact" in message:
            self.target = address_uri(message["Contact"])

    def _build(
        self,
        method: str,
        cseq: int,
        body: str,
        headers: builders.Headers | None,
        content_type: str,
    ) -> bytes:
        fields: dict[str, object] = {"From": self.local, "To": self.remote, **(headers or {})}
        return builders.request(
            method, self.target, via=self.phone.private, proto=self.phone.proto,
            call_id=self.call_id, cseq=cseq, route=self.routes, body=body,
            contact=f"<{self.phone.contact}>" if method in ("INVITE", "UPDATE") else None,
            content_type=content_type if body else "", headers=fields,  # type: ignore[arg-type]
        )  # fmt: skip


class Call(Dialog):
    """A call that the phone made."""

    def __init__(self, phone: Phone, data: bytes) -> None:
        request = Message(data, _NOWHERE)
        super().__init__(phone, request["Call-ID"], request.parameter("From", "tag") or "")
        self.local, self.remote = request["From"], request["To"]
        self._data = data
        self.transaction: Transaction | None = None

    def start(self) -> None:
        """Send the INVITE."""
        self.transaction = Transaction(self.phone, self._data, self._on_final)
        self.phone._transactions.append(self.transaction)
        self.transaction.send()

    @property
    def replies(self) -> list[Message]:
        """All replies to the INVITE but challenges that were answered."""
        return self.transaction.replies if self.transaction else []

    @property
    def status(self) -> int:
        """The status of the last reply, 0 before one came."""
        return self.transaction.status if self.transaction else 0

    @property
    def final(self) -> Message:
        """The final reply; AssertionError while there is none."""
        assert self.transaction is not None  # noqa: S101
        return self.transaction.final

    def cancel(self) -> Result:
        """CANCEL the INVITE."""
        assert self.transaction is not None  # noqa: S101
        return self.phone.send(builders.cancel(self.transaction.data))

    def _on_final(self, reply: Message) -> None:
        assert self.transaction is not None  # noqa: S101
        self.cseq = self.transaction.cseq
        if not _is_2xx(reply):
            self.ended = True
            return
        self.remote, self.remote_tag = reply["To"], reply.parameter("To", "tag") or ""
        self.routes = _route_set(reply)[::-1]
        self._refresh(reply)
        late_offer = reply.body and not self.transaction.request.body
        host = self.phone.private[0]
        self.acknowledge(self.cseq, builders.SDP.format(host=host) if late_offer else "")


class IncomingCall(Dialog):
    """A call for the phone."""

    def __init__(self, phone: Phone, invite: Message) -> None:
        super().__init__(phone, invite["Call-ID"], secrets.token_hex(4))
        self.invite = invite
        self.branch = invite.parameter("Via", "branch")
        self.remote, self.remote_tag = invite["From"], invite.parameter("From", "tag") or ""
        self.local = f"{invite['To']};tag={self.local_tag}"
        self.routes = _route_set(invite)
        self.cancelled = False
        self._refresh(invite)

    @property
    def acknowledged(self) -> bool:
        """Whether the ACK has come."""
        return any(request.method == "ACK" for request in self.requests)

    def ring(self) -> Result:
        """180 Ringing."""
        return self._answer(180)

    def answer(self, sdp: str | None = None) -> Result:
        """200 with an SDP answer."""
        host = self.phone.private[0]
        return self._answer(200, builders.SDP.format(host=host) if sdp is None else sdp)

    def refuse(self, status: int = 486, headers: list[tuple[str, str]] | None = None) -> Result:
        """A final reply that is no 2xx."""
        self.ended = True
        return self.phone.reply(self.invite, status, tag=self.local_tag, headers=headers)

    def on_cancel(self) -> None:
        """The caller gave up: 487 (RFC 3261 9.2)."""
        self.cancelled = True
        self.refuse(487)

    def _answer(self, status: int, sdp: str = "") -> Result:
        headers = [("Contact", f"<{self.phone.contact}>")]
        return self.phone.reply(self.invite, status, tag=self.local_tag, sdp=sdp, headers=headers)


def _is_2xx(reply: Message) -> bool:
    return 200 <= reply.status < 300


def _route_set(message: Message) -> list[str]:
    """The values of all Record-Route headers, in order."""
    return [
        value.strip()
        for body in message.all("Record-Route")
        for value in re.findall(r"(?:<[^>]*>|[^,<])+", body)
    ]
