"""How registrar reads a REGISTER and writes its reply (Kamailio module registrar, RFC 3261 10)."""

from __future__ import annotations

import re
from enum import Enum

from ksr_stub import contacts, methods, nameaddr, pv, uri
from ksr_stub.contacts import Contact
from ksr_stub.hashing import core_hash
from ksr_stub.message import ParseError, SipMessage
from ksr_stub.models.usrloc import Binding, Info, Usrloc
from ksr_stub.uri import Uri
from ksr_stub.world import World

PATH_OFF, PATH_LAZY, PATH_STRICT = 0, 1, 2
_MAX_USER, _MAX_DOMAIN, _MAX_CALL_ID, _MAX_RECEIVED = 64, 128, 255, 255
_Q = re.compile(r"[ \t]*(?:0*\.(\d+)|0*1(?:\.0+)?|0+)$")
_REASONS = {
    200: "OK", 400: "Bad Request", 420: "Bad Extension", 421: "Extension Required",
    423: "Interval Too Brief", 500: "Server Internal Error", 503: "Service Unavailable",
}  # fmt: skip


class Fault(Enum):
    """Why a REGISTER is refused: the reply's code, and what P-Registrar-Error says."""

    CSEQ = (400, "Invalid CSeq number")
    AOR_LENGTH = (500, "Address Of Record too long")
    AOR = (400, "Error while parsing AOR")
    Q = (400, "Invalid q param in contact")
    PARSE = (400, "Message parse error")
    EXPIRES = (400, "Expires parse error")
    CONTACT = (400, "Contact parse error")
    STAR_EXPIRES = (400, "* used in contact and expires is not zero")
    STAR_CONTACT = (400, "* used in contact and more than 1 contact")
    UNESCAPE = (400, "Error while unescaping username")
    TOO_MANY = (503, "Too many registered contacts")
    CONTACT_LENGTH = (400, "Contact/received too long")
    CALL_ID_LENGTH = (400, "Callid too long")
    PATH = (400, "Path parse error")
    PATH_UNSUPPORTED = (420, "No support for found Path indicated")
    OUTBOUND_UNSUPPORTED = (421, "No support for Outbound indicated")
    OUTBOUND_REQUIRED = (420, "No support for Outbound on server")
    REG_ID = (400, "Invalid Reg-Id number")
    LOW_EXPIRES = (423, "Interval too brief")

    @property
    def code(self) -> int:
        """The status code."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return _REASONS[self.code]

    @property
    def text(self) -> str:
        """The body of P-Registrar-Error."""
        return self.value[1]


class Refused(Exception):
    """The REGISTER can't be processed. `fault` is None where registrar forgets to say why."""

    def __init__(self, fault: Fault | None) -> None:
        super().__init__(fault)
        self.fault = fault


def tags(message: SipMessage, key: str) -> set[str]:
    """The option tags of Supported or Require."""
    return {tag.strip().lower() for header in message.all(key) for tag in header.body.split(",")}


def address_of_record(world: World, text: str) -> tuple[str, Uri]:
    """`user@domain` (or `user`, without use_domain) of a URI.

    Raises:
        Refused: it is none.
    """
    parsed = uri.parse(text)
    if parsed is None:
        raise Refused(Fault.AOR)
    if len(parsed.user) > _MAX_USER or len(parsed.host) > _MAX_DOMAIN:
        raise Refused(Fault.AOR_LENGTH)
    user = _unescaped(parsed.user)
    if not world.param("usrloc", "use_domain", 0):
        return _lower(world, user, ""), parsed
    prefix = world.param("registrar", "realm_prefix", "")
    host = parsed.host.removeprefix(prefix) if prefix else parsed.host
    return _lower(world, f"{user}@" if user else "", host), parsed


def _lower(world: World, user: str, host: str) -> str:
    if world.param("registrar", "case_sensitive", 0) and user:
        return user + host.lower()
    return (user + host).lower()


def _unescaped(user: str) -> str:
    if "%" not in user:
        return user
    if re.search(r"%(?![0-9A-Fa-f]{2})|%[01][0-9A-Fa-f]|%7[Ff]", user):
        raise Refused(Fault.UNESCAPE)
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), user)


def expires_header(message: SipMessage) -> int:
    """The seconds of the Expires header, -1 without a usable one.

    Raises:
        Refused: it is empty.
    """
    header = message.first("expires")
    if header is None:
        return -1
    if not header.body:
        raise Refused(Fault.EXPIRES)
    digits = re.match(r"(\d{1,10})(?:[ \t\r\n]|$)", header.body)
    usable = digits is not None and len(header.body) <= 10
    return signed(int(digits[1])) if digits is not None and usable else -1


def signed(number: int) -> int:
    """The number as C's int keeps it."""
    number &= 0xFFFFFFFF
    return number - 2**32 if number >= 2**31 else number


def expires_of(world: World, message: SipMessage, contact: Contact) -> int:
    """When a Contact expires, in seconds since the epoch; 0 for one that is to be removed.

    Raises:
        Refused: it is shorter than min_expires, and min_expires_mode is on.
    """
    seconds = _asked(world, message, contact)
    if not seconds:
        return 0
    least = world.param("registrar", "min_expires", 60)
    most = world.param("registrar", "max_expires", 0)
    # unsigned: a negative number is a huge one
    if seconds & 0xFFFFFFFF < least:
        if world.param("registrar", "min_expires_mode", 0):
            raise Refused(Fault.LOW_EXPIRES)
        seconds = least
    if most and seconds & 0xFFFFFFFF > most:
        seconds = most
    return seconds + world.part(Usrloc).now


def _asked(world: World, message: SipMessage, contact: Contact) -> int:
    own = contact.get("expires")
    default = world.param("registrar", "default_expires", 3600)
    if own:
        return signed(int(own)) if own.isdigit() and int(own) < 2**32 else default
    header = expires_header(message)
    return header if header >= 0 else default


def q_of(world: World, contact: Contact) -> int:
    """The q of a Contact times 1000.

    Raises:
        Refused: it is no q.
    """
    text = contact.get("q")
    if not text:
        return world.param("registrar", "default_q", -1)
    match = _Q.match(text)
    if match is None:
        raise Refused(Fault.Q)
    if match[1] is not None:
        return int(match[1][:3].ljust(3, "0"))
    return 1000 if "1" in text else 0


def shown_q(q: int) -> str:
    """`;q=0.5`, '' where there is none."""
    if q < 0:
        return ""
    return ";q=1" if q >= 1000 else f";q={('0.' + f'{q:03}').rstrip('0').rstrip('.')}"


def methods_of(message: SipMessage, contact: Contact) -> int:
    """What a Contact takes, as bits: its `methods`, else Allow, else everything.

    Raises:
        Refused: they are no methods.
    """
    own = contact.get("methods")
    if own is not None:
        return _bits(own)
    allow = [header.body for header in message.all("allow")]
    if not allow:
        return 0xFFFFFFFF
    try:
        return sum({bit for body in allow for bit in _each(body)})
    except Refused:
        return 0xFFFFFFFF


def _bits(text: str) -> int:
    return sum(set(_each(text)))


def _each(text: str) -> list[int]:
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    if any(not re.fullmatch(r"[A-Za-z0-9.!%*_+`'~-]+", name) for name in names):
        raise Refused(Fault.PARSE)
    return [methods.number(name) for name in names]


def path_of(world: World, message: SipMessage) -> tuple[str, str]:
    """The Path of a REGISTER, and the `received` of its first URI (RFC 3327).

    Raises:
        Refused: the first URI is no loose router.
    """
    headers = [header.body for header in message.all("path")]
    if not headers:
        return "", ""
    try:
        first = uri.parse(nameaddr.parse(headers[0]).uri)
    except ParseError:
        first = None
    if first is None or not first.has_param("lr"):
        raise Refused(Fault.PATH)
    received = first.param("received") if world.param("registrar", "path_use_received", 0) else ""
    return ",".join(headers), _percent_decoded(received or "")


def _percent_decoded(text: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), text)


def all_contacts(message: SipMessage) -> list[Contact]:
    """The Contacts of a REGISTER, [] for a query.

    Raises:
        Refused: one of them can't be parsed, or is too long.
    """
    try:
        return contacts.all_of(message)
    except ParseError:
        raise Refused(Fault.CONTACT) from None


def is_star(message: SipMessage) -> bool:
    """Whether the REGISTER removes everything with `Contact: *`.

    Raises:
        Refused: it wants something else besides.
    """
    headers = list(message.all("contact"))
    stars = [contacts.is_star(header) for header in headers]
    if not any(stars):
        return False
    if stars[0] and expires_header(message) != 0:
        raise Refused(Fault.STAR_EXPIRES)
    if len(headers) > 1:
        raise Refused(Fault.STAR_CONTACT)
    return True


def info_of(world: World, message: SipMessage) -> Info:
    """What all Contacts of a REGISTER have in common.

    Raises:
        Refused: the Call-ID is too long, or the Path is wrong.
    """
    if len(message.get("call-id")) > _MAX_CALL_ID:
        raise Refused(Fault.CALL_ID_LENGTH)
    number = methods.cseq(message)[0]
    if not number.isdigit() or int(number) > 0xFFFFFFFF:
        raise Refused(Fault.CSEQ)
    info = Info(message.get("call-id"), int(number), cflags=message.bflags, socket=message.socket)
    info.user_agent = message.get("user-agent") or "n/a"
    info.connection = -1 if message.proto == "udp" else message.connection
    if world.param("registrar", "use_path", 0):
        path, received = path_of(world, message)
        if path:
            info.path = path
            if world.param("registrar", "path_mode", PATH_STRICT) != PATH_OFF:
                message.path_vector = path
        if received:
            info.cflags |= nat_flag(world)
            info.received = received
    return info


def nat_flag(world: World) -> int:
    """The branch flag of a phone behind NAT, as a mask."""
    number = world.param("usrloc", "nat_bflag", -1)
    return 1 << number if number >= 0 else 0


def begin(world: World, message: SipMessage, flags: int, contact: Contact, expires: int) -> Info:
    """What all Contacts have in common, with what the first one says.

    Raises:
        Refused: as info_of and complete.
    """
    info = info_of(world, message)
    info.flags = flags
    try:
        complete(world, message, info, contact, expires)
    except Refused as refused:
        # of the first reg-id registrar forgets to say that it is wrong
        raise Refused(None if refused.fault is Fault.REG_ID else refused.fault) from None
    return info


def complete(world: World, message: SipMessage, info: Info, contact: Contact, expires: int) -> None:
    """Add what one Contact says to what they have in common.

    Raises:
        Refused: its q, methods or reg-id are wrong.
    """
    info.uri, info.expires = contact.uri, expires
    override = message.notes.get("registrar.q")
    info.q = override if isinstance(override, int) else q_of(world, contact)
    info.methods = methods_of(message, contact)
    if not info.received:
        info.received = contact.get("received") or _received_avp(world)
    info.instance = contact.get("+sip.instance") or info.instance
    reg_id = contact.get("reg-id") if contact.get("+sip.instance") else ""
    if reg_id:
        if not reg_id.isdigit() or not int(reg_id):
            raise Refused(Fault.REG_ID)
        info.reg_id = int(reg_id)
    info.ruid = world.part(Usrloc).next_ruid()


def _received_avp(world: World) -> str:
    name = world.param("registrar", "received_avp", "")
    value = pv.get(world, name) if name else None
    if isinstance(value, str) and len(value) > _MAX_RECEIVED:
        raise Refused(Fault.CONTACT_LENGTH)
    return value if isinstance(value, str) else ""


def contact_header(world: World, message: SipMessage, record: list[Binding], host: str) -> str:
    """The Contact header of a reply, '' where no binding is valid."""
    now = world.part(Usrloc).now
    gruu = world.param("registrar", "gruu_enabled", 1) and "gruu" in tags(message, "supported")
    shown = [_shown(world, one, now, host if gruu else "") for one in record if one.is_valid(now)]
    return f"Contact: {', '.join(shown)}\r\n" if shown else ""


def _shown(world: World, binding: Binding, now: int, gruu_host: str) -> str:
    text = f"<{binding.uri}>{shown_q(binding.q)};expires={binding.expires - now}"
    name = world.param("registrar", "received_param", "received")
    if name and binding.received:
        text += f';{name}="{binding.received}"'
    if gruu_host and binding.instance:
        text += _gruus(binding, gruu_host)
    if binding.instance:
        text += f';+sip.instance="{binding.instance}"'
    return text + (f";reg-id={binding.reg_id}" if binding.reg_id else "")


def _gruus(binding: Binding, host: str) -> str:
    instance = binding.instance
    if instance.startswith("<") and instance.endswith(">"):
        instance = instance[1:-1]
    whole = binding.aor if "@" in binding.aor else f"{binding.aor}@{host}"
    number = f"{core_hash(binding.aor):x}"[::-1] if core_hash(binding.aor) else ""
    return (
        f';pub-gruu="sip:{whole};gr={instance}";temp-gruu="sip:{binding.ruid}-{number}@{host};gr"'
    )
