"""tmx's pseudo-variables: `$T_branch_idx`, `$T_reply_code`, `$T_rpl(...)` ... (tmx/t_var.c)."""

from __future__ import annotations

from ksr_stub import branches
from ksr_stub.message import SipMessage
from ksr_stub.models import tm
from ksr_stub.models.tmx_suspend import identity
from ksr_stub.pv import spec
from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import NoValue, Value, no_value
from ksr_stub.tm import cell
from ksr_stub.tm.cell import BRANCH_FAILURE, FAKED, Transaction
from ksr_stub.tm.reasons import error_text
from ksr_stub.world import BRANCH, FAILURE, REPLY, REQUEST, World

_UNDEFINED = -1
_NAMES = (
    "uri", "ruid", "flags", "id_label", "id_index", "reply_code", "reply_type", "id_label_n",
    "id_index_n", "branch_index", "reply_reason",
)  # fmt: skip


@variable("T_branch_idx")
def branch_index(world: World, inner: object, index: object) -> Value:
    """The branch that the route is about; in a request route how many there are besides."""
    note = cell.pending(world.msg)
    if not world.msg.is_request or world.route in (BRANCH, BRANCH_FAILURE):
        return note.branch
    if world.route == REQUEST:
        return len(branches.current(world))
    if world.route == FAILURE:
        if note.transaction is None:
            raise NoValue
        return len(note.transaction.clients) + len(branches.current(world))
    return _UNDEFINED


@variable("T_reply_code")
def reply_code(world: World, inner: object, index: object) -> Value:
    """The status: of the reply, of the last one sent, in a failure route of the winning one."""
    if world.route == REPLY:
        return world.msg.status
    transaction = tm.check(world)
    if transaction is None:
        return 0
    if world.route in (REQUEST, BRANCH):
        return transaction.status
    if world.route in (FAILURE, BRANCH_FAILURE):
        client = _picked(world, transaction)
        return 0 if client is None else client.last_received
    return 0


@variable("T_reply_reason")
def reply_reason(world: World, inner: object, index: object) -> Value:
    """The reason of the reply, in a failure route of the winning one; None elsewhere."""
    transaction = tm.check(world)
    if transaction is None:
        return ""
    if world.route == REPLY:
        return world.msg.reason
    client = _picked(world, transaction)
    if world.route != FAILURE or client is None:
        raise no_value(world, f"unsupported route type {world.route} for $T_reply_reason")
    if isinstance(client.reply, SipMessage):
        return client.reply.reason
    return error_text(client.last_received)


@variable("T_reply_last")
def reply_last(world: World, inner: object, index: object) -> Value:
    """In an onreply route of tm: the highest code of the branch."""
    transaction = tm.current(world)
    client = None if transaction is None else _picked(world, transaction)
    if world.route != REPLY or client is None:
        raise no_value(world, f"unsupported route type {world.route} for $T_reply_last")
    return client.last_received


@variable("T_reply_ruid")
def reply_ruid(world: World, inner: object, index: object) -> Value:
    """The ruid of the branch that was picked or answered."""
    transaction = tm.check(world)
    if transaction is None:
        return ""
    client = _picked(world, transaction)
    if world.route not in (REPLY, FAILURE, BRANCH_FAILURE) or client is None:
        world.say(-1, f"tmx: unsupported route type {world.route} for $T_reply_ruid")
        return ""
    return client.ruid


@variable("T_branch", inner=one_of(*_NAMES))
def branch_value(world: World, inner: str, index: object) -> Value:
    """`$T_branch(flags)`, `$T_branch(uri)`, `$T_branch(ruid)`."""
    transaction = tm.current(world)
    if transaction is None:
        return None
    if inner == "ruid":
        return reply_ruid(world, None, None)
    allowed = (REPLY,) if inner == "uri" else (REPLY, FAILURE, BRANCH_FAILURE)
    client = _picked(world, transaction)
    if world.route not in allowed or client is None:
        world.say(-1, f"tmx: $T_branch({inner}) - unsupported route type {world.route}")
        return None
    return client.bflags if inner == "flags" else client.uri


def one_variable(text: str) -> spec.Spec:
    """Read the variable within `$T_req(...)`.

    Raises:
        ValueError: it is none.
    """
    found, end = spec.parse(text, 0)
    if end != len(text):
        raise ValueError("one variable is wanted")
    return found


@variable("T_req", inner=one_variable)
def of_request(world: World, inner: spec.Spec, index: object) -> Value:
    """A variable of the request, in an onreply route."""
    transaction = tm.check(world) if world.route == REPLY else None
    return None if transaction is None else _of(world, transaction.request, inner)


@variable("T_rpl", inner=one_variable)
def of_reply(world: World, inner: spec.Spec, index: object) -> Value:
    """A variable of the reply that was picked, in a failure route."""
    transaction = tm.current(world) if world.route in (FAILURE, BRANCH_FAILURE) else None
    client = None if transaction is None else _picked(world, transaction)
    reply = None if client is None else client.reply
    return _of(world, reply, inner) if isinstance(reply, SipMessage) else None


@variable("T_inv", inner=one_variable)
def of_invite(world: World, inner: spec.Spec, index: object) -> Value:
    """A variable of the INVITE that a CANCEL means."""
    if world.route != REQUEST or world.msg.method != "CANCEL":
        return None
    invite = cell.original(world, world.msg)
    return None if invite is None else _of(world, invite.request, inner)


def _of(world: World, message: SipMessage, inner: spec.Spec) -> Value:
    former, world.message = world.message, message
    try:
        return inner.value(world)
    finally:
        world.message = former


@variable("T", inner=one_of(*_NAMES))
def transaction_value(world: World, inner: str, index: object) -> Value:
    """A value of the transaction; None without one."""
    if inner == "reply_code":
        return reply_code(world, None, None)
    if inner == "branch_index":
        return branch_index(world, None, None)
    if inner == "reply_reason":
        return reply_reason(world, None, None)
    transaction = tm.current(world)
    if transaction is None and inner in ("id_label_n", "id_index_n"):
        transaction = cell.create(world, world.msg)
    if transaction is None:
        return None
    if inner in ("id_index", "id_index_n"):
        return transaction.number
    if inner == "reply_type":
        client = _picked(world, transaction) if world.route == FAILURE else None
        return int(client is not None and client.reply == FAKED)
    return identity(transaction)[1]


def _picked(world: World, transaction: Transaction) -> cell.Client | None:
    branch = cell.pending(world.msg).branch
    return next((client for client in transaction.clients if client.index == branch), None)
