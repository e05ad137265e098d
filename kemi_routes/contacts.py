"""The Contacts of a REGISTER (RFC 3261 20.10), as far as we have to know them before registrar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# Quoted text stands where the grammar has it, and holds nothing that Kamailio takes for its end.
# Nothing is tried twice (*+): a long header would take long.
_SPACE = r"[ \t\r\n]*+"
_NAME = r'(?:"(?:[^"\\]|\\[^\\])*+"|[^"<>,;:]*+)'
_PARAMETER = (
    rf""";{_SPACE}([^ \t\r\n=;,"<>]+){_SPACE}"""
    rf"""(?:={_SPACE}("[^"\\]*"|[^ \t\r\n;,"'<>][^ \t\r\n;,"<>]*){_SPACE})?"""
)
_PARAMETERS = re.compile(_PARAMETER)
_VALUE = re.compile(
    rf'{_SPACE}(?:{_NAME}{_SPACE}<([^<>"]*)>|([^ \t\r\n<>,;"]+)){_SPACE}((?:{_PARAMETER})*)(?:,|\Z)'
)
_ALIAS = re.compile(r";alias=[^;?]*")


class Malformed(ValueError):
    """A Contact that nobody can read, or that Kamailio could read otherwise than we do."""


class Contact(NamedTuple):
    """A Contact of a REGISTER.

    uri            without brackets
    removes        it is to be removed, not bound
    has_instance   registrar matches it by its `+sip.instance` (RFC 5626)
    has_received   it has the parameter that usrloc takes for the address to send to
    """

    uri: str
    removes: bool
    has_instance: bool = False
    has_received: bool = False


def read(headers: Iterable[str], expires: str) -> list[Contact]:
    """All Contacts of a REGISTER.

    Args:
        headers: the bodies of the Contact headers.
        expires: the Expires header's body without white space, NULL where there is none.
    Returns:
        [] for a query and for `*`.
    Raises:
        Malformed: one is not as RFC 3261 25.1 has it, or has a parameter twice (7.3.1).
    """
    contacts = []
    for header in headers:
        if header == "*":
            return []
        at = 0
        while at < len(header):
            value = _VALUE.match(header, at)
            if value is None:
                raise Malformed
            contacts.append(_contact((value[1] or value[2]).strip(), value[3], expires))
            at = value.end()
    return contacts


def is_outdated(known: str, contacts: list[Contact], alias: str) -> bool:
    """Whether a stored Contact of the same Call-ID is no longer a place of the phone.

    usrloc matches a binding by its URI, alias included, so a new port of the NAT would make a
    second binding and calls would also ring whoever holds the old port now. The Call-ID says that
    it is the same phone: a UA keeps it for all its registrations (RFC 3261 10.2). A REGISTER
    with several Contacts says itself which ones it means, but of their aliases it knows nothing.

    Args:
        known: the stored URI.
        contacts: those of the REGISTER.
        alias: the parameter that tells where the REGISTER came from, '' without NAT.
    """
    place = _ALIAS.sub("", known)
    asked = [contact for contact in contacts if _ALIAS.sub("", contact.uri) == place]
    if len(contacts) == 1:
        uri = contacts[0].uri
        new = _ALIAS.sub("", uri) + alias if alias and "?" not in uri else uri
        return known != new and (bool(asked) or not contacts[0].removes)
    # only one of several Contacts gets the alias
    return bool(asked) and (asked[0].removes or known not in (asked[0].uri, place + alias))


def _contact(uri: str, parameters: str, expires: str) -> Contact:
    if not parameters:
        return Contact(uri, expires == "0")
    fields = _PARAMETERS.findall(parameters)
    values = {name.lower(): value.strip('"') for name, value in fields}
    if len(values) < len(fields):
        raise Malformed
    # any other number Kamailio may take for another one
    removes = (values.get("expires") or expires) == "0"
    return Contact(uri, removes, "+sip.instance" in values, "received" in values)
