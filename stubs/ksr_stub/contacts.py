"""The Contacts of a message, in Kamailio's order and with what nathelper made of them.

Kamailio's parser puts each value of a header field before the one it has read: the *first*
Contact of a message is the *last* value of the first Contact header field (core/parser/contact).
"""

from __future__ import annotations

from attrs import evolve, frozen

from ksr_stub import contact_values, uri
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.nameaddr import NameAddr
from ksr_stub.uri import Uri

_NOTE = "contact_uri"


@frozen
class Contact:
    """One Contact. `uri` is its URI now, `value` what came, with offsets into the buffer."""

    uri: str
    value: NameAddr
    header: Header

    @property
    def start(self) -> int:
        """The offset of the URI without spaces around it."""
        at = self.value.uri_start - self.header.body_start
        body = self.header.body[at:]
        return self.value.uri_start + len(body) - len(body.lstrip(" \t\r\n"))

    @property
    def end(self) -> int:
        """The offset behind the URI without spaces around it."""
        return self.start + len(self.value.uri)

    def get(self, name: str) -> str | None:
        """The value of a header parameter (`expires`, `q`), '' without one, None if missing."""
        return self.value.get(name)


def of_header(message: SipMessage, header: Header) -> list[Contact]:
    """The Contacts of one header field in Kamailio's order; [] for `*`.

    Raises:
        ParseError: Kamailio can't parse it.
    """
    if header.body.startswith("*"):
        return []
    values = message.once(contact_values.parse, header)
    return [Contact(value.uri, value, header) for value in reversed(values)]


def is_star(header: Header) -> bool:
    """Whether the header field is `Contact: *`."""
    return header.body.startswith("*")


def all_of(message: SipMessage) -> list[Contact]:
    """Every Contact of the message, in Kamailio's order.

    Raises:
        ParseError: Kamailio can't parse one of them.
    """
    if message.unreadable():
        raise ParseError(message.broken)
    found = [c for header in message.all("contact") for c in of_header(message, header)]
    changed = message.notes.get(_NOTE)
    if found and isinstance(changed, str):
        found[0] = evolve(found[0], uri=changed)
    return found


def first(message: SipMessage) -> tuple[Contact, Uri] | None:
    """The first Contact and its parsed URI, as nathelper looks at it.

    Returns:
        None where there is none, it is `*`, or it has no host.
    """
    header = message.first("contact")
    if header is None:
        return None
    try:
        found = of_header(message, header)
    except ParseError:
        return None
    if not found:
        return None
    changed = message.notes.get(_NOTE)
    contact = evolve(found[0], uri=changed) if isinstance(changed, str) else found[0]
    parsed = uri.parse(contact.uri)
    return None if parsed is None or not parsed.host else (contact, parsed)


def set_uri(message: SipMessage, text: str) -> None:
    """Let the first Contact be another URI for whoever looks at it from now on."""
    message.notes[_NOTE] = text
    message.contact_uri_changed = True
