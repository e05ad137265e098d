"""registrar: save and remove bindings, and tell about them (Kamailio module registrar)."""

from __future__ import annotations

import attrs

from ksr_stub import nameaddr, registering, uri
from ksr_stub.contacts import Contact
from ksr_stub.message import SipMessage
from ksr_stub.models.usrloc import FOUND, OUT_OF_ORDER, RETRANSMISSION, Binding, Info, Usrloc
from ksr_stub.registering import Fault, Refused
from ksr_stub.registry import MODELS, model
from ksr_stub.world import FAILURE, REQUEST, World

MEMORY_ONLY, NO_REPLY, REPLACE, NO_VARIATION, PREPARE_REPLY = 1, 2, 4, 8, 16
ADDED, UPDATED, REMOVED, ASKED = 1, 2, 3, 4
ERROR, TOO_MANY, NO_BINDING = -1, -2, -3


@attrs.define(eq=False)
class Pending:
    """What registrar keeps for a reply: one server-wide buffer, as in Kamailio."""

    contact: str = ""
    fault: Fault | None = None


@model("registrar")
def save(world: World, table: str, flags: int) -> int:
    """Process a REGISTER and reply to it, on failure too.

    Args:
        world: the server.
        table: of usrloc; under KEMI it must be preloaded.
        flags: 1 memory only, 2 no reply, 4 one binding only, 16 prepare the reply.
    Returns:
        1 added, 2 updated, 3 removed, 4 a query, -1, -2 too many contacts.
    """
    return save_uri(world, table, flags, "")


@model("registrar")
def save_uri(world: World, table: str, flags: int, address: str) -> int:
    """The same for the address of record of another URI than that in To."""
    if not has_table(world, table):
        return ERROR
    if world.msg.unreadable():  # there is no reply either
        world.say(-1, f"registrar: failed to parse headers: {world.msg.broken}")
        return ERROR
    message, pending = world.msg, world.part(Pending)
    try:
        pending.fault = None
        code = _save(world, table, flags, address)
    except Refused as refused:
        pending.fault = refused.fault
        if world.route == REQUEST and not flags & NO_REPLY:
            send_reply(world)
        return TOO_MANY if refused.fault is Fault.TOO_MANY else ERROR
    if not flags & NO_REPLY:
        if world.route in (REQUEST, FAILURE) and not send_reply(world):
            return ERROR
    elif flags & PREPARE_REPLY:
        prepare_reply(world)
    if world.param("registrar", "use_path", 0):
        message.path_vector = None
    return code


@model("registrar")
def reg_send_reply(world: World) -> int:
    """Send the reply that save with flag 2 did not send."""
    return 1 if send_reply(world) else ERROR


@model("registrar")
def set_q_override(world: World, text: str) -> int:
    """Let save use another q for all Contacts of this REGISTER."""
    try:
        q = registering.q_of(world, _with_q(text))
    except Refused:
        return ERROR
    world.msg.notes["registrar.q"] = q
    return 1


@model("registrar")
def add_sock_hdr(world: World, name: str) -> int:
    """Add a header with the socket the request came to."""
    if not name:
        return ERROR
    world.msg.insert(world.msg.headers_end, f"{name}: {world.msg.socket}\r\n")
    return 1


@model("registrar")
def unregister(world: World, table: str, address: str) -> int:
    """Remove all bindings of an address of record; 1 also where there is none."""
    aor = _asked_aor(world, table, address)
    if aor is None:
        return ERROR
    world.part(Usrloc).remove_record(table, aor)
    return 1


@model("registrar")
def unregister_ruid(world: World, table: str, address: str, ruid: str) -> int:
    """Remove one binding.

    Returns:
        1, -1 for a wrong address, -3 where there is no such binding.
    """
    aor = _asked_aor(world, table, address)
    if aor is None:
        return ERROR
    usrloc = world.part(Usrloc)
    found = next((b for b in usrloc.record(table, aor) or [] if b.ruid == ruid), None)
    if found is None:
        world.say(0, "registrar: AOR/Contact not found")
        return NO_BINDING
    usrloc.remove(found)
    return 1


def has_table(world: World, table: str) -> bool:
    """Whether usrloc has the table; it logs the error."""
    if world.part(Usrloc).knows(table):
        return True
    world.say(
        -1,
        f"registrar: usrloc domain [{table}] not found"
        f' (under KEMI it must be loaded: modparam("usrloc", "preload", "{table}"))',
    )
    return False


def send_reply(world: World) -> bool:
    """Send what save has to say."""
    code, reason = prepare_reply(world)
    return int(str(MODELS["sl", "send_reply"](world, code, reason))) >= 0


def prepare_reply(world: World) -> tuple[int, str]:
    """Add the headers of the reply to the request, and say its code and reason."""
    message, pending = world.msg, world.part(Pending)
    lumps = message.reply_lumps
    if pending.contact:
        lumps.append(pending.contact)
        pending.contact = ""
    if pending.fault is None:
        _add_path(world, message, pending)
        _add_outbound(world, message)
    fault = pending.fault
    if fault is None:
        return 200, "OK"
    if fault is Fault.OUTBOUND_UNSUPPORTED:
        lumps += ["Require: outbound\r\n", "Supported: outbound\r\n"]
    elif fault is Fault.OUTBOUND_REQUIRED:
        lumps.append("Unsupported: outbound\r\n")
    elif fault is Fault.LOW_EXPIRES:
        lumps.append(f"Min-Expires: {world.param('registrar', 'min_expires', 60)}\r\n")
    lumps.append(f"P-Registrar-Error: {fault.text}\r\n")
    retry = world.param("registrar", "retry_after", 0)
    if fault.code >= 500 and retry:
        lumps.append(f"Retry-After: {retry}\r\n")
    return fault.code, fault.reason


def _add_path(world: World, message: SipMessage, pending: Pending) -> None:
    mode = world.param("registrar", "path_mode", registering.PATH_STRICT)
    path = message.path_vector
    if not path or mode == registering.PATH_OFF or not world.param("registrar", "use_path", 0):
        return
    known = "path" in registering.tags(message, "supported")
    if not known and mode == registering.PATH_STRICT:
        pending.fault = Fault.PATH_UNSUPPORTED
        message.reply_lumps.append("Unsupported: path\r\n")
    if known or mode == registering.PATH_STRICT:
        message.reply_lumps.append(f"Path: {path}\r\n")


def _add_outbound(world: World, message: SipMessage) -> None:
    mode = world.param("registrar", "outbound_mode", 0)
    timer = world.param("registrar", "flow_timer", 0)
    asked = any("outbound" in registering.tags(message, key) for key in ("require", "supported"))
    supported = ["Supported: outbound\r\n"] if mode else []
    required = ["Require: outbound\r\n"] if mode == 2 or (mode and asked) else []
    message.reply_lumps += required + supported if mode == 2 else supported + required
    if required and timer:
        message.reply_lumps.append(f"Flow-Timer: {timer}\r\n")


def _save(world: World, table: str, flags: int, address: str) -> int:
    message = world.msg
    to = nameaddr.of(message, "to")
    target = None if to is None else uri.parse(to.uri)
    if to is None or target is None:
        raise Refused(None)
    registering.expires_header(message)
    found = registering.all_contacts(message)
    star = registering.is_star(message)
    _check_length(world, found)
    _check_outbound(world, message)
    aor, _ = registering.address_of_record(world, address or to.uri)
    usrloc = world.part(Usrloc)
    if star:
        usrloc.remove_record(table, aor)
        return REMOVED
    record = usrloc.record(table, aor)
    if not found:
        _show(world, record or [], target.host)
        return ASKED
    return _change(world, table, aor, found, flags, target.host)


def _change(world: World, table: str, aor: str, found: list[Contact], flags: int, host: str) -> int:
    usrloc = world.part(Usrloc)
    record = usrloc.record(table, aor)
    if record is None:
        try:
            _insert_all(world, table, aor, found, flags)
        except Refused:
            usrloc.remove_record(table, aor)
            raise
        _show(world, usrloc.record(table, aor) or [], host)
        return ADDED
    try:
        code = _update_all(world, table, aor, found, flags)
    finally:
        _show(world, record, host)
        usrloc.release(table, aor)
    return code or ADDED


def _show(world: World, record: list[Binding], host: str) -> None:
    header = registering.contact_header(world, world.msg, record, host)
    world.part(Pending).contact = header


def _insert_all(world: World, table: str, aor: str, found: list[Contact], flags: int) -> None:
    message, usrloc = world.msg, world.part(Usrloc)
    most, count = world.param("registrar", "max_contacts", 0), 0
    info: Info | None = None
    for contact in found:
        expires = registering.expires_of(world, message, contact)
        if not expires:
            continue
        if most and count >= most:
            raise Refused(Fault.TOO_MANY)
        count += 1
        usrloc.new_record(table, aor)
        if info is None:
            # the first round reads the first Contact, also where that one is to be removed
            info = registering.begin(world, message, flags & MEMORY_ONLY, found[0], expires)
        else:
            info.instance = ""
            registering.complete(world, message, info, contact, expires)
        _insert_or_update(usrloc, table, aor, contact.uri, info)


def _insert_or_update(usrloc: Usrloc, table: str, aor: str, address: str, info: Info) -> None:
    record = usrloc.new_record(table, aor)
    later = attrs.evolve(info, cseq=info.cseq + 1)
    outcome, known = usrloc.match(record, address, later)
    if outcome == FOUND and known is not None:
        usrloc.update(known, info)
    else:
        usrloc.insert(table, aor, address, info)


def _update_all(world: World, table: str, aor: str, found: list[Contact], flags: int) -> int:
    message, usrloc = world.msg, world.part(Usrloc)
    record = usrloc.new_record(table, aor)
    info = registering.begin(world, message, flags & MEMORY_ONLY, found[0], 0)
    if not flags & REPLACE:
        _check_count(world, record, found, info)
    code = 0
    for contact in found:
        expires = registering.expires_of(world, message, contact)
        info.instance = ""
        info.flags = flags & MEMORY_ONLY
        registering.complete(world, message, info, contact, expires)
        outcome, known = usrloc.match(record, contact.uri, info)
        if outcome == OUT_OF_ORDER:
            raise Refused(Fault.CSEQ)
        if outcome == RETRANSMISSION:
            if expires and flags & REPLACE:
                break
            continue
        changed, only = _apply(usrloc, table, aor, contact, info, known, bool(flags & REPLACE))
        code = changed or code
        if only:
            break
    return code


def _apply(
    usrloc: Usrloc,
    table: str,
    aor: str,
    contact: Contact,
    info: Info,
    known: Binding | None,
    replace: bool,
) -> tuple[int, bool]:
    """Add, update or remove one binding: the return code of save, and whether it is the last."""
    record = usrloc.new_record(table, aor)
    if known is None:
        if not info.expires:
            return 0, False
        added = usrloc.insert(table, aor, contact.uri, info)
        if replace:
            record[:] = [added]
        return ADDED, replace
    if not info.expires:
        usrloc.remove(known)
        return REMOVED, False
    if replace:
        record[:] = [known]
    moved = bool(info.instance) and info.call_id != known.call_id
    if moved:
        record[:] = [b for b in record if b is known or b.instance != known.instance]
    usrloc.update(known, info)
    return UPDATED, replace or moved


def _check_count(world: World, record: list[Binding], found: list[Contact], info: Info) -> None:
    most = world.param("registrar", "max_contacts", 0)
    if not most:
        return
    usrloc, message = world.part(Usrloc), world.msg
    count = sum(one.is_valid(usrloc.now) for one in record)
    for contact in found:
        try:
            expires = registering.expires_of(world, message, contact)
        except Refused:
            expires = 1
        outcome, _ = usrloc.match(record, contact.uri, info)
        if outcome == OUT_OF_ORDER:
            raise Refused(Fault.CSEQ)
        if outcome == RETRANSMISSION:
            continue
        if outcome == FOUND:
            count -= not expires
        else:
            count += bool(expires)
    if count > most:
        raise Refused(Fault.TOO_MANY)


def _check_length(world: World, found: list[Contact]) -> None:
    most = world.param("registrar", "contact_max_size", 512)
    if any(len(c.uri) > most or len(c.get("received") or "") > 255 for c in found):
        raise Refused(Fault.CONTACT_LENGTH)


def _check_outbound(world: World, message: SipMessage) -> None:
    mode = world.param("registrar", "outbound_mode", 0)
    supported = registering.tags(message, "supported")
    if mode == 2 and supported != {""} and "outbound" not in supported:
        raise Refused(Fault.OUTBOUND_UNSUPPORTED)
    if not mode and "outbound" in registering.tags(message, "require"):
        raise Refused(Fault.OUTBOUND_REQUIRED)


def _with_q(text: str) -> Contact:
    from ksr_stub import message

    data = f"R s:x SIP/2.0\r\nm: <sip:x>;q={text}\r\n\r\n".encode("latin-1")
    return registering.all_contacts(message.parse(data))[0]


def _asked_aor(world: World, table: str, address: str) -> str | None:
    if not address or not has_table(world, table):
        return None
    try:
        return registering.address_of_record(world, address)[0]
    except Refused:
        return None
