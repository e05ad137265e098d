"""SIP messages as a test sees them: parsed without judgement, built by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from textwrap import dedent

COMPACT = {
    "v": "via", "f": "from", "t": "to", "m": "contact", "i": "call-id", "s": "subject",
    "l": "content-length", "c": "content-type", "k": "supported", "o": "event",
    "e": "content-encoding", "r": "refer-to", "u": "allow-events", "b": "referred-by",
    "x": "session-expires",
}  # fmt: skip
Address = tuple[str, int]


class Message:
    """One request or response: `start_line`, `fields` in order, `body`, and its `source` address.

    `message["Contact"]` is the first value of a header ('' where it has none), names are
    case-insensitive and compact forms are known. `message.all("Record-Route")` is every value, with
    comma-separated ones split.
    """

    def __init__(
        self,
        start_line: str,
        fields: Iterable[tuple[str, str]] = (),
        body: str = "",
        source: Address = ("", 0),
    ) -> None:
        self.start_line = start_line
        self.fields = list(fields)
        self.body = body
        self.source = source

    @classmethod
    def parse(cls, data: bytes, source: Address = ("", 0)) -> Message:
        """Read a message from the wire. Raises ValueError where it is no SIP message."""
        head, _, body = data.decode("utf-8", "surrogateescape").partition("\r\n\r\n")
        start_line, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        if "SIP/2.0" not in start_line:
            raise ValueError(f"not a SIP message: {data[:80]!r}")
        fields = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        return cls(start_line, fields, body, source)

    def __bytes__(self) -> bytes:
        body = self.body.encode("utf-8", "surrogateescape")
        fields = [*self.fields, ("Content-Length", str(len(body)))]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"{self.start_line}\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body

    def __str__(self) -> str:
        return "\n".join([self.start_line, *(f"{n}: {v}" for n, v in self.fields), "", self.body])

    def __repr__(self) -> str:
        return f"<{self.start_line} | CSeq: {self['CSeq']} | Call-ID: {self['Call-ID']}>"

    def __getitem__(self, name: str) -> str:
        wanted = _canonical(name)
        return next((v for n, v in self.fields if _canonical(n) == wanted), "")

    def __contains__(self, name: str) -> bool:
        return any(_canonical(n) == _canonical(name) for n, _ in self.fields)

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order; `all("Contact")` has one item a contact."""
        wanted = _canonical(name)
        values = (v for n, v in self.fields if _canonical(n) == wanted)
        return [item for value in values for item in _split(value)]

    @property
    def is_request(self) -> bool:
        """Whether this is a request."""
        return not self.start_line.startswith("SIP/2.0 ")

    @property
    def status(self) -> int:
        """The status code of a response, 0 for a request."""
        return 0 if self.is_request else int(self.start_line.split()[1])

    @property
    def method(self) -> str:
        """The method of a request, or of the request that a response answers."""
        return self.start_line.split()[0] if self.is_request else self["CSeq"].split()[-1]

    @property
    def uri(self) -> str:
        """The Request-URI of a request."""
        return self.start_line.split()[1]

    @property
    def branch(self) -> str:
        """The branch of the topmost Via."""
        return parameter(self["Via"], "branch")

    @property
    def contact_uri(self) -> str:
        """The URI of the first Contact."""
        return address_uri(self["Contact"])


def wire(text: str) -> bytes:
    """A message written as indented text, as bytes for the wire. Lines of a body follow an empty
    line; Content-Length is as written (or absent)."""
    head, _, body = dedent(text).strip("\n").partition("\n\n")
    return f"{head}\n\n{body}".replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def fields_of(headers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Headers given as a dict, as fields of a message."""
    return list((headers or {}).items())


def parameter(value: str, name: str) -> str:
    """A `;name=value` parameter of a header value, '' where it has none."""
    found = re.search(rf"[;,\s]{re.escape(name)}=\"?([^;,\s\">]+)", value, re.IGNORECASE)
    return found[1] if found else ""


def address_uri(value: str) -> str:
    """The URI of a name-addr or addr-spec: From, To, Contact, Route."""
    bracketed = re.search(r"<([^>]*)>", value)
    return bracketed[1] if bracketed else value.split(";")[0].strip()


def uri_address(uri: str, default_port: int = 5060) -> Address:
    """Host and port of a SIP URI or a Via's sent-by; IPv6 without its brackets."""
    found = re.match(r"(?:sips?:)?(?:[^@;]*@)?(\[[^\]]+\]|[^:;?>]+)(?::(\d+))?", uri.strip())
    if not found:
        raise ValueError(f"no host in {uri!r}")
    return found[1].strip("[]"), int(found[2] or default_port)


def host_port(address: Address) -> str:
    """`host:port` for a URI or a Via; IPv6 gets its brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _canonical(name: str) -> str:
    return COMPACT.get(name.lower(), name.lower())


def _split(value: str) -> list[str]:
    """Split a header value at the commas that are in neither quotes nor angle brackets."""
    return [item.strip() for item in re.findall(r"(?:\"[^\"]*\"|<[^>]*>|[^,])+", value)]
