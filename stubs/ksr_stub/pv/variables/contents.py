"""What the message says: method, status, Call-ID, Contact, body ... (modules/pv/pv_core.c)."""

from __future__ import annotations

from ksr_stub import build, contacts, methods, tobody
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header, ParseError, Socket, Way
from ksr_stub.pv.spec import Index, Spec, parse
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Numbered, Value, Worded, no_value, number_of, parse_int, signed
from ksr_stub.world import World


@variable("null")
def null(world: World, inner: object, index: Index) -> Value:
    return None


@variable("true")
def true(world: World, inner: object, index: Index) -> Value:
    return 1


@variable("mi")
def message_id(world: World, inner: object, index: Index) -> Value:
    return world.msg.id


@variable("rm")
def method(world: World, inner: object, index: Index) -> Value:
    name = methods.of(world.msg)
    return Numbered(name, methods.number(name)) if name else None


@variable("rmid")
def method_id(world: World, inner: object, index: Index) -> Value:
    name = methods.of(world.msg)
    return methods.number(name) if name else None


@variable("mt")
def message_type(world: World, inner: object, index: Index) -> Value:
    return 1 if world.msg.is_request else 2


@variable("mts")
def message_type_name(world: World, inner: object, index: Index) -> Value:
    return "rq" if world.msg.is_request else "rp"


@variable("rv")
def version(world: World, inner: object, index: Index) -> Value:
    line = world.msg.buf[: world.msg.first_line_end].strip("\r\n").rstrip(" \t")
    return line.rpartition(" ")[2] if world.msg.is_request else line.partition(" ")[0]


@variable("rs")
def status(world: World, inner: object, index: Index) -> Value:
    return None if world.msg.is_request else world.msg.status


@variable("rsi")
def status_or_zero(world: World, inner: object, index: Index) -> Value:
    return world.msg.status


@variable("rr")
def reason(world: World, inner: object, index: Index) -> Value:
    return None if world.msg.is_request else world.msg.reason


def _body_of(world: World, key: str) -> Value:
    header = world.msg.first(key)
    return None if header is None else header.body


@variable("ci")
def call_id(world: World, inner: object, index: Index) -> Value:
    return _body_of(world, "call-id")


@variable("cs")
def cseq_number(world: World, inner: object, index: Index) -> Value:
    return methods.cseq(world.msg)[0] or None


@variable("csb")
def cseq_body(world: World, inner: object, index: Index) -> Value:
    return _body_of(world, "cseq")


@variable("ct")
def contact(world: World, inner: object, index: Index) -> Value:
    return _body_of(world, "contact") or None


@variable("ctu")
def contact_uri(world: World, inner: object, index: Index) -> Value:
    header = _first_contact(world, "$ctu")
    found = [] if header is None else contacts.of_header(world.msg, header)
    return found[0].value.uri if found else None


@variable("cts")
def contact_is_star(world: World, inner: object, index: Index) -> Value:
    header = _first_contact(world, "$cts")
    return None if header is None else int(contacts.is_star(header))


def _first_contact(world: World, name: str) -> Header | None:
    """The first Contact header field; None where one of them is broken."""
    message = world.msg
    header = message.first("contact")
    if message.unreadable():
        return None
    if header is None:
        raise world.fault(
            Unpredictable(f"{name} of a message without Contact crashes Kamailio {world.version}")
        )
    try:
        contacts.all_of(message)
    except ParseError:
        return None
    return header


@variable("cT")
def content_type(world: World, inner: object, index: Index) -> Value:
    return _body_of(world, "content-type")


@variable("cl")
def content_length(world: World, inner: object, index: Index) -> Value:
    header = world.msg.first("content-length")
    if header is None:
        return None
    return Worded(parse_int(header.body.split()[0] if header.body else "") or 0, header.body)


@variable("ua")
def user_agent(world: World, inner: object, index: Index) -> Value:
    return _body_of(world, "user-agent")


def _uri_of(world: World, key: str) -> Value:
    found = tobody.of(world.msg, key)
    return None if found is None else found.uri


@variable("rt")
def refer_to(world: World, inner: object, index: Index) -> Value:
    return _uri_of(world, "refer-to")


@variable("re")
def remote_party_id(world: World, inner: object, index: Index) -> Value:
    return _uri_of(world, "remote-party-id")


@variable("mb")
def buffer(world: World, inner: object, index: Index) -> Value:
    return world.msg.buf


def _offset(text: str) -> int | Spec:
    """A number, or the variable with it.

    Raises:
        ValueError: it is none.
    """
    if text.startswith("$"):
        return parse(text)[0]
    number = parse_int(text)
    if number is None:
        raise ValueError("bad index value")
    return number


@variable("msgbuf", inner=_offset)
def byte(world: World, inner: int | Spec, index: Index) -> Value:
    """One character, and the NUL that Kamailio counts as part of it."""
    at = inner if isinstance(inner, int) else number_of(inner.value(world)) or 0
    message = world.msg
    return f"{message.buf[at]}\0" if 0 <= at < len(message.buf) else None


@variable("mbu")
def updated_buffer(world: World, inner: object, index: Index) -> Value:
    message = world.msg
    way = Way(message.socket, "udp")
    if message.is_request:
        return build.build_request(world, message, way, "", local_via=False)
    return build.build_reply_as_it_is(message, Way(Socket("udp", "", 5060), "udp"))


@variable("ml")
def length(world: World, inner: object, index: Index) -> Value:
    return len(world.msg.buf)


@variable("rb")
def body(world: World, inner: object, index: Index) -> Value:
    return None if world.msg.unreadable() else world.msg.body


@variable("bs")
def body_size(world: World, inner: object, index: Index) -> Value:
    return len(world.msg.body)


@variable("ruid")
def ruid(world: World, inner: object, index: Index) -> Value:
    return (world.msg.is_request and world.msg.ruid) or None


@variable("location_ua")
def location_ua(world: World, inner: object, index: Index) -> Value:
    return (world.msg.is_request and world.msg.location_ua) or None


_MSG = ("len", "buf", "body", "hdrs", "fline", "body_len", "hdrc", "fpart", "hdrs_len", "lpart")


@variable("msg", inner=one_of(*_MSG))
def msg(world: World, inner: str, index: Index) -> Value:
    message = world.msg
    if message.unreadable():
        return None
    first, end = message.first_line_end, message.headers_end
    parts: dict[str, Value] = {
        "len": len(message.buf), "buf": message.buf, "body": message.body,
        "hdrs": message.buf[first:end].strip(" \t\r\n"),
        "fline": message.buf[:first].strip(" \t\r\n"), "body_len": len(message.body),
        "hdrc": len(message.headers), "fpart": message.buf[:end].strip(" \t\r\n"),
        "hdrs_len": len(message.buf[first:end].strip(" \t\r\n")),
        "lpart": message.buf[first:],
    }  # fmt: skip
    return parts[inner]


@variable("expires", inner=one_of("min", "max"))
def expires(world: World, inner: str, index: Index) -> Value:
    from ksr_stub import contacts
    from ksr_stub.message import ParseError

    if world.msg.unreadable():
        return None
    header = world.msg.first("expires")
    general = None if header is None else parse_int(header.body) or 0
    try:
        values = contacts.all_of(world.msg)
    except ParseError:
        raise no_value(world, "failed to parse Contact body") from None
    found: list[int] = []
    for one in values:
        own = one.get("expires")
        number = parse_int(own) if own else general
        if own and number is None:
            return None
        if number is not None:
            found.append(number)
    if not found and general is not None:
        found.append(general)
    if not found:
        return None
    return signed(min(found) if inner == "min" else max(found))
