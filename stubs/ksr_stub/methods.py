"""SIP methods and their numbers in Kamailio (core/parser/msg_parser.h)."""

from __future__ import annotations

from ksr_stub.message import SipMessage

OTHER = 524288
NUMBERS = {
    "INVITE": 1, "CANCEL": 2, "ACK": 4, "BYE": 8, "INFO": 16, "REGISTER": 32, "SUBSCRIBE": 64,
    "NOTIFY": 128, "MESSAGE": 256, "OPTIONS": 512, "PRACK": 1024, "UPDATE": 2048, "REFER": 4096,
    "PUBLISH": 8192, "KDMQ": 16384, "GET": 32768, "POST": 65536, "PUT": 131072, "DELETE": 262144,
}  # fmt: skip


def number(method: str) -> int:
    """The number of a method, OTHER for one that Kamailio does not know."""
    return NUMBERS.get(method, OTHER)


def cseq(message: SipMessage) -> tuple[str, str]:
    """Number and method of the CSeq, '' where it has none."""
    parts = message.get("cseq").split()
    return (parts[0], parts[1]) if len(parts) > 1 else ("", "")


def of(message: SipMessage) -> str:
    """The method of a request, of a reply that in its CSeq."""
    return message.method if message.is_request else cseq(message)[1]
