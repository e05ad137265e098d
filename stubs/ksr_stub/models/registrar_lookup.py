"""registrar: where the bindings of an address of record are (Kamailio module registrar)."""

from __future__ import annotations

import re

from ksr_stub import branches, methods, nameaddr, registering
from ksr_stub.branches import Branch
from ksr_stub.message import ParseError, SipMessage
from ksr_stub.models.registrar import has_table
from ksr_stub.models.usrloc import Binding, Usrloc
from ksr_stub.registering import Refused
from ksr_stub.registry import model
from ksr_stub.uri import Uri
from ksr_stub.world import World

FOUND, NOT_FOUND, METHOD_NOT_ALLOWED, ERROR = 1, -1, -2, -3


@model("registrar")
def lookup(world: World, table: str) -> int:
    """Replace the R-URI by the first binding, and make branches of the others.

    Returns:
        1, -1 not found, -2 no binding takes the method, -3 the R-URI can't be parsed.
    """
    return lookup_uri(world, table, "")


@model("registrar")
def lookup_uri(world: World, table: str, address: str) -> int:
    """The same for the bindings of another URI."""
    if not has_table(world, table):
        return NOT_FOUND
    return _lookup(world, table, address or world.msg.uri, rewrite=True)


@model("registrar")
def lookup_to_dset(world: World, table: str, address: str) -> int:
    """Make branches of all bindings; the R-URI stays."""
    if not has_table(world, table):
        return NOT_FOUND
    return _lookup(world, table, address or world.msg.uri, rewrite=False)


@model("registrar")
def lookup_branches(world: World, table: str) -> int:
    """Look up the R-URI and every branch."""
    if not has_table(world, table):
        return NOT_FOUND
    message = world.msg
    asked = list(branches.current(world))
    code = lookup(world, table)
    if not asked:
        return code
    hit = code > 0
    kept = _kept(message)
    for branch in asked:
        if branch.dst_uri or branch.path or branch.socket is not None or branch.bflags:
            continue
        _restore(message, Branch(branch.uri))
        code = lookup(world, table)
        if code > 0:
            hit = True
            _move(message, branch)
    _restore(message, kept)
    return FOUND if hit else code


@model("registrar")
def registered(world: World, table: str) -> int:
    """1 if the user of the R-URI (of To, in a reply) has a binding, else -1."""
    return registered_uri(world, table, "")


@model("registrar")
def registered_uri(world: World, table: str, address: str) -> int:
    """The same for another URI."""
    return registered_action(world, table, address, 0, 0)


@model("registrar")
def registered_flags(world: World, table: str, address: str, flags: int) -> int:
    """The same; the flags only count with xavp_cfg, which the stub does not model."""
    return registered_action(world, table, address, flags, 0)


@model("registrar")
def registered_action(world: World, table: str, address: str, _flags: int, _actions: int) -> int:
    """The same; the flags only count with xavp_cfg and xavp_contact."""
    if not has_table(world, table):
        return NOT_FOUND
    message = world.msg
    if not address:
        to = nameaddr.of(message, "to")
        address = message.uri if message.is_request else ("" if to is None else to.uri)
    try:
        aor, _ = registering.address_of_record(world, address)
    except Refused:
        return NOT_FOUND
    usrloc = world.part(Usrloc)
    found = any(_is_alive(world, b) for b in usrloc.record(table, aor) or [])
    return FOUND if found else NOT_FOUND


def _lookup(world: World, table: str, address: str, *, rewrite: bool) -> int:
    try:
        aor, asked = registering.address_of_record(world, address)
    except Refused:
        return ERROR
    found, blocked, gruu = _bindings(world, table, aor, asked)
    if found is None:
        return NOT_FOUND
    if not found:
        return METHOD_NOT_ALLOWED if blocked else NOT_FOUND
    rest = found
    if rewrite:
        rest = found[1:]
        if not _rewrite(world, found[0]):
            return ERROR
    if gruu or not world.param("registrar", "append_branches", 1):
        return FOUND
    for binding in rest:
        _append(world, binding)
    return FOUND


def _bindings(
    world: World, table: str, aor: str, asked: Uri
) -> tuple[list[Binding] | None, bool, bool]:
    """The bindings that may be called, whether others refuse the method, and whether by GRUU."""
    usrloc = world.part(Usrloc)
    instance = asked.param("gr")
    if instance == "":
        ruid = asked.user.rpartition("-")[0]
        binding = usrloc.by_ruid(table, ruid)
        record = None if binding is None else [binding]
    else:
        record = usrloc.record(table, aor)
    if record is None:
        return None, False, False
    alive = [one for one in record if _is_alive(world, one)]
    taking = [one for one in alive if _takes(world, one)]
    if instance:
        named = [one for one in taking if _bare(one.instance) == _bare(instance)]
        return named, len(taking) < len(alive), True
    return taking, len(taking) < len(alive), instance is not None


def _is_alive(world: World, binding: Binding) -> bool:
    expired = world.param("registrar", "use_expired_contacts", 0)
    return bool(expired) or binding.is_valid(world.part(Usrloc).now)


def _takes(world: World, binding: Binding) -> bool:
    if not world.param("registrar", "method_filtering", 0):
        return True
    to = nameaddr.of(world.msg, "to")
    number = methods.number(methods.of(world.msg))
    return bool(number & binding.methods) or (to is not None and bool(to.tag))


def _bare(instance: str) -> str:
    return re.sub(r"^<(.+)>$", r"\1", instance)


def _rewrite(world: World, binding: Binding) -> bool:
    message = world.msg
    try:
        hop, path = _next_hop(binding)
    except ParseError:
        return False
    message.new_uri, message.dst_uri = binding.uri, None
    if hop:
        message.dst_uri = hop
    if path:
        message.path_vector = path
    if binding.instance:
        message.instance = binding.instance
    message.ruid, message.location_ua = binding.ruid, binding.user_agent
    message.q = binding.q
    message.bflags |= binding.cflags
    message.notes["registrar.reg_id"] = binding.reg_id
    if binding.socket is not None:
        message.send_socket = binding.socket
    return True


def _append(world: World, binding: Binding) -> None:
    try:
        hop, path = _next_hop(binding)
    except ParseError:
        world.say(-1, "registrar: failed to get dst_uri for Path")
        return
    branches.append(
        world,
        Branch(
            binding.uri, hop, path, binding.socket, binding.q, binding.cflags, binding.instance,
            binding.ruid, binding.user_agent, reg_id=binding.reg_id if binding.instance else 0,
        ),
    )  # fmt: skip


def _next_hop(binding: Binding) -> tuple[str, str]:
    """Where to send a request, and the Path it takes."""
    if not binding.path:
        return binding.received, ""
    return nameaddr.parse(binding.path).uri, binding.path


def _kept(message: SipMessage) -> Branch:
    return Branch(
        message.uri, message.dst_uri or "", message.path_vector or "", message.send_socket,
        message.q, message.bflags, message.instance, message.ruid, message.location_ua,
    )  # fmt: skip


def _restore(message: SipMessage, kept: Branch) -> None:
    message.new_uri, message.dst_uri = kept.uri, kept.dst_uri or None
    message.path_vector, message.send_socket = kept.path or None, kept.socket
    message.q, message.bflags = kept.q, kept.bflags
    message.instance, message.ruid, message.location_ua = kept.instance, kept.ruid, kept.ua


def _move(message: SipMessage, branch: Branch) -> None:
    branch.uri, branch.dst_uri = message.uri, message.dst_uri or ""
    branch.path, branch.socket = message.path_vector or "", message.send_socket
    branch.q, branch.bflags = message.q, message.bflags
