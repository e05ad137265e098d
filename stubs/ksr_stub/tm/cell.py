"""A transaction, its branches, and how messages find theirs (RFC 3261 17)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import attrs

from ksr_stub import build, nameaddr, sending, via
from ksr_stub.clock import Timer
from ksr_stub.message import Address, SipMessage, Socket, Way
from ksr_stub.pv import lists
from ksr_stub.world import World

FAKED = "faked"
BRANCH_FAILURE = "branch_failure"


_NOWHERE = Address("", 0)
_NO_WAY = Way(Socket("udp", "", 0), "udp")


@attrs.define(eq=False)
class Buffer:
    """Bytes that may be sent again, with their two timers."""

    text: str = ""
    to: Address = _NOWHERE
    way: Way = _NO_WAY
    connection: int = 0
    retransmit: Timer | None = None
    expire: Timer | None = None
    interval: float = 0.0
    slow: bool = False

    def stop_retransmitting(self) -> None:
        """Send it no more; the time for an answer goes on."""
        if self.retransmit is not None:
            self.retransmit.cancel()
            self.retransmit = None

    def stop(self) -> None:
        """Stop both timers."""
        self.stop_retransmitting()
        if self.expire is not None:
            self.expire.cancel()
            self.expire = None


@attrs.define(eq=False)
class Client:
    """One branch of a transaction that was sent on."""

    index: int
    request: Buffer
    uri: str = ""
    dst_uri: str = ""
    path: str = ""
    instance: str = ""
    ruid: str = ""
    location_ua: str = ""
    bflags: int = 0
    last_received: int = 0
    reply: SipMessage | str | None = None
    on_reply: str = ""
    on_failure: str = ""
    on_branch_failure: str = ""
    cancelled: bool = False
    cancel: Buffer = attrs.Factory(Buffer)
    timed_out: bool = False
    replied: bool = False
    first_of_step: bool = False
    # sent nowhere: its timer ends the waiting of a suspended transaction
    blind: bool = False


@attrs.define(eq=False)
class Transaction:
    """A request that the server keeps the state of."""

    request: SipMessage
    number: int
    label: str
    status: int = 0
    response: Buffer = attrs.Factory(Buffer)
    clients: list[Client] = attrs.Factory(list)
    local_tag: str = ""
    relayed_branch: int = -1
    lumps_saved: bool = False
    cancelled: bool = False
    six_hundred: bool = False
    admin_reply: bool = False
    cancel_reasons: list[str] = attrs.Factory(list)
    on_failure: str = ""
    on_reply: str = ""
    on_branch: str = ""
    on_branch_failure: str = ""
    fr: float = 30.0
    fr_inv: float = 120.0
    t1: float = 0.5
    t2: float = 4.0
    life_end: float = 0.0
    auto_100: bool = True
    disable_6xx: bool = False
    no_failover: bool = False
    no_internal_reply: bool = False
    no_cancel_reason: bool = False
    # nobody waits for its replies: t_replicate; without a client at all: t_uac_send
    local: bool = False
    generated: bool = False
    suspended: bool = False
    waiting: Client | None = None
    wait: Timer | None = None
    avps: dict[str, object] = attrs.Factory(dict)

    @property
    def is_invite(self) -> bool:
        """Whether it is one of INVITE."""
        return self.request.method == "INVITE"

    def branch(self, index: int) -> str:
        """The branch parameter of our Via of a branch."""
        return f"{build.MAGIC}{self.number:04x}.{self.label}.{index:x}"


@attrs.define(eq=False)
class Pending:
    """What a message's routes said to tm before there was a transaction, and after."""

    looked_up: bool = False
    transaction: Transaction | None = None
    branch: int = -1
    on_failure: str = ""
    on_reply: str = ""
    on_branch: str = ""
    on_branch_failure: str = ""
    fr: float = 0.0
    fr_inv: float = 0.0
    t1: float = 0.0
    t2: float = 0.0
    life: float = 0.0
    life_inv: float = 0.0
    auto_100: bool | None = None
    disable_6xx: bool | None = None
    no_failover: bool | None = None
    no_internal_reply: bool | None = None
    no_cancel_reason: bool | None = None
    # what happened, for the end of the route: `forwarded`, `replied`, `released`, `delayed`
    done: set[str] = attrs.Factory(set)
    error: int = 0
    timed_out: bool = False
    replied: bool = False


@attrs.define(eq=False)
class Table:
    """All transactions, by what Kamailio's hash is made of: Call-ID and number of CSeq.

    `drop_replies` is the failure_reply_mode of the running failure route.
    """

    slots: dict[tuple[str, str], list[Transaction]] = attrs.Factory(dict)
    labels: dict[str, Transaction] = attrs.Factory(dict)
    count: int = 0
    drop_replies: int = 0

    def add(self, transaction: Transaction) -> None:
        """Keep a new transaction."""
        self.slots.setdefault(_slot(transaction.request), []).append(transaction)
        self.labels[transaction.label] = transaction

    def remove(self, transaction: Transaction) -> None:
        """Forget a transaction."""
        if self.labels.pop(transaction.label, None) is not None:
            self.slots[_slot(transaction.request)].remove(transaction)

    def beside(self, message: SipMessage) -> list[Transaction]:
        """The transactions that a message is compared with."""
        return self.slots.get(_slot(message), [])


def table(world: World) -> Table:
    """The transactions of a World."""
    return world.part(Table)


def pending(message: SipMessage) -> Pending:
    """What tm keeps about a message."""
    found = message.notes.get("tm")
    if not isinstance(found, Pending):
        found = Pending()
        message.notes["tm"] = found
    return found


def seconds(world: World, name: str, default: int) -> float:
    """A modparam of tm in milliseconds."""
    return world.param("tm", name, default) / 1000


def create(world: World, request: SipMessage) -> Transaction:
    """Start a transaction for a request; its copy has no edits until it is relayed."""
    here = table(world)
    here.count += 1
    lists.of(request)
    kept = build.copy(request)
    kept.lumps = []
    kept.reply_lumps = []
    digest = hashlib.md5(f"{here.count}{request.buf}".encode()).hexdigest()  # noqa: S324
    transaction = Transaction(kept, here.count & 0xFFFF, digest)
    take_settings(world, transaction, pending(request))
    to = sending.reply_address(world, request)
    way = Way(request.socket, request.proto)
    transaction.response = Buffer("", to, way, request.connection)
    here.add(transaction)
    note = pending(request)
    note.looked_up, note.transaction = True, transaction
    return transaction


def take_settings(world: World, transaction: Transaction, note: Pending) -> None:
    """Give a transaction its timers and routes: the modparams, or what the route said before."""
    transaction.fr = note.fr or seconds(world, "fr_timer", 30000)
    transaction.fr_inv = note.fr_inv or seconds(world, "fr_inv_timer", 120000)
    transaction.t1 = note.t1 or seconds(world, "retr_timer1", 500)
    transaction.t2 = note.t2 or seconds(world, "retr_timer2", 4000)
    if transaction.is_invite:
        life = note.life_inv or seconds(world, "max_inv_lifetime", 180000)
    else:
        life = note.life or seconds(world, "max_noninv_lifetime", 32000)
    transaction.life_end = world.clock.now + life
    transaction.auto_100 = bool(world.param("tm", "auto_inv_100", 1))
    transaction.disable_6xx = bool(world.param("tm", "disable_6xx_block", 0))
    for name in ("auto_100", "disable_6xx", "no_failover", "no_internal_reply", "no_cancel_reason"):
        chosen = getattr(note, name)
        if chosen is not None:
            setattr(transaction, name, chosen)
    transaction.on_failure, transaction.on_reply = note.on_failure, note.on_reply
    transaction.on_branch = note.on_branch
    transaction.on_branch_failure = note.on_branch_failure


def of_request(world: World, request: SipMessage) -> Transaction | None:
    """The transaction that a request retransmits or acknowledges."""
    methods = ("INVITE",) if request.method == "ACK" else (request.method,)
    for transaction in table(world).beside(request):
        if transaction.generated or transaction.request.method not in methods:
            continue
        if request.method == "ACK" and transaction.status < 300:
            if transaction.relayed_branch == -2 and _same_dialog(transaction, request):
                return transaction
            continue
        if _same_branch(transaction.request, request):
            return transaction
    return None


def original(world: World, cancel: SipMessage) -> Transaction | None:
    """The transaction that a CANCEL means."""
    for transaction in table(world).beside(cancel):
        if transaction.generated or transaction.request.method in ("CANCEL", "ACK"):
            continue
        if _same_branch(transaction.request, cancel):
            return transaction
    return None


def of_reply(world: World, reply: SipMessage) -> tuple[Transaction, Client] | None:
    """The transaction and branch that a reply belongs to."""
    branch = via.all_of(reply)[0].branch
    transaction = table(world).labels.get(branch.partition(".")[2].partition(".")[0])
    if transaction is None:
        return None
    method = reply.get("cseq").rpartition(" ")[2].strip()
    if method != transaction.request.method and not (method == "CANCEL" and transaction.is_invite):
        return None
    for client in transaction.clients:
        if branch == transaction.branch(client.index):
            return transaction, client
    return None


def _same_branch(kept: SipMessage, request: SipMessage) -> bool:
    mine, other = build.top_via(kept), build.top_via(request)
    if mine is None or other is None:
        return False
    if not other.branch.startswith(build.MAGIC):
        return _same_quadruple(kept, request)
    return (mine.branch, mine.host, mine.port, mine.proto.upper()) == (
        other.branch, other.host, other.port, other.proto.upper(),
    )  # fmt: skip


def _slot(message: SipMessage) -> tuple[str, str]:
    """Messages that differ in this are never compared."""
    return message.get("call-id"), message.get("cseq").split()[0]


def _same_quadruple(kept: SipMessage, request: SipMessage) -> bool:
    """RFC 2543 clients send no magic cookie: Call-ID, CSeq, From, R-URI and Via count."""
    if _tag(kept, "from") != _tag(request, "from"):
        return False
    if request.method == "ACK":
        return True
    if _tag(kept, "to") != _tag(request, "to"):
        return False
    return kept.ruri == request.ruri and kept.get("via") == request.get("via")


def _same_dialog(transaction: Transaction, ack: SipMessage) -> bool:
    kept = transaction.request
    same_caller = _tag(kept, "from") == _tag(ack, "from")
    return same_caller and transaction.local_tag == _tag(ack, "to")


def _tag(message: SipMessage, name: str) -> str:
    value = nameaddr.of(message, name)
    return "" if value is None else value.tag


def totag(request: SipMessage) -> str:
    """The To tag of replies that tm makes."""
    prefix = hashlib.md5(b"KAMAILIO-stateful").hexdigest()  # noqa: S324
    top = build.top_via(request)
    seen = "" if top is None else f"{top.host}{top.port}{top.branch}"
    return f"{prefix}-{hashlib.md5(seen.encode('latin-1')).hexdigest()[:8]}"  # noqa: S324


def transmit(world: World, buffer: Buffer) -> bool:
    """Send a buffer; False where it can't be sent."""
    return sending.send(world, buffer.text, buffer.to, buffer.way, buffer.connection)


def start(
    world: World,
    transaction: Transaction,
    buffer: Buffer,
    expired: Callable[[], None] | None,
    *,
    always: bool = False,
) -> None:
    """Start the timers of a buffer that was sent: again by UDP, and the end of waiting."""
    if buffer.way.proto == "udp" or always:
        buffer.interval = transaction.t1
        _again(world, transaction, buffer)
    if expired is not None:
        restart_expiry(world, transaction, buffer, transaction.fr, expired)


def restart_expiry(
    world: World,
    transaction: Transaction,
    buffer: Buffer,
    after: float,
    expired: Callable[[], None],
) -> None:
    """Wait so long for an answer; never beyond the transaction's life."""
    if buffer.expire is not None:
        buffer.expire.cancel()
    left = max(transaction.life_end - world.clock.now, 0.0)
    buffer.expire = world.clock.after(min(after, left), expired)


def _again(world: World, transaction: Transaction, buffer: Buffer) -> None:
    def send_again() -> None:
        if buffer.expire is not None and buffer.expire.at <= world.clock.now:
            return
        transmit(world, buffer)
        slow = buffer.slow or buffer.interval * 2 > transaction.t2
        buffer.interval = transaction.t2 if slow else buffer.interval * 2
        buffer.retransmit = world.clock.after(buffer.interval, send_again)

    buffer.retransmit = world.clock.after(buffer.interval, send_again)


def put_on_wait(world: World, transaction: Transaction) -> None:
    """A transaction that is done stays for wt_timer, to absorb what comes late."""
    if transaction.wait is not None:
        return

    def forget() -> None:
        transaction.response.stop()
        stop_clients(transaction)
        for client in transaction.clients:
            client.cancel.stop()
        table(world).remove(transaction)

    transaction.wait = world.clock.after(seconds(world, "wt_timer", 5000), forget)


def stop_clients(transaction: Transaction) -> None:
    """Stop the timers of all branches."""
    for client in transaction.clients:
        client.request.stop()


def release(world: World, transaction: Transaction) -> None:
    """End a transaction: an ACK came, or the route let it go."""
    transaction.response.stop()
    stop_clients(transaction)
    put_on_wait(world, transaction)
