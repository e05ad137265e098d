"""The Contacts of a REGISTER (RFC 3261 20.10), as far as we have to know them before registrar."""

from __future__ import annotations

import re
from typing import NamedTuple

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_ONE = re.compile(r"[^<>,]*<([^<>]*)>([^<>,]*)")
_VALUE = re.compile(r"(?:<[^>]*>|[^,<])+")
_BRACKETED = re.compile(r"<([^>]*)>(.*)", re.DOTALL)
_ALIAS = re.compile(r";alias=[^;?]*")
_EXPIRES = re.compile(r";\s*expires\s*=\s*(\d+)", re.IGNORECASE)
_RECEIVED = re.compile(r";\s*received\b", re.IGNORECASE)


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


def read(headers: list[str], expires: str) -> list[Contact]:
    """All Contacts of a REGISTER.

    Args:
        headers: the bodies of the Contact headers.
        expires: the Expires header's body without white space, '' where there is none.
    Returns:
        [] for a query and for `*`.
    """
    contacts = []
    for header in headers:
        bare = _QUOTED.sub("", header) if '"' in header else header
        if one := _ONE.fullmatch(bare):
            contacts.append(_contact(one[1], one[2], expires))
        elif bare.strip() == "*":
            return []
        else:
            values = _VALUE.findall(bare)
            contacts += [_any(value.strip(), expires) for value in values if value.strip()]
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


def _any(value: str, expires: str) -> Contact:
    bracketed = _BRACKETED.search(value)
    if bracketed:
        return _contact(bracketed[1], bracketed[2], expires)
    uri, _, parameters = value.partition(";")
    return _contact(uri, f";{parameters}", expires)


def _contact(uri: str, parameters: str, expires: str) -> Contact:
    if not parameters:
        return Contact(uri.strip(), _is_zero(expires))
    own = _EXPIRES.search(parameters)
    return Contact(
        uri.strip(),
        _is_zero(own[1] if own else expires),
        "+sip.instance" in parameters,
        _RECEIVED.search(parameters) is not None,
    )


def _is_zero(seconds: str) -> bool:
    return seconds.isdigit() and int(seconds) == 0
