"""Module tm: the functions about timers."""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub.models.tm import current
from ksr_stub.registry import model
from ksr_stub.tm import cell, reply
from ksr_stub.tm.cell import Client, Pending, Transaction
from ksr_stub.world import World


def _set_timers(world: World, **values: float) -> int:
    transaction = current(world)
    holder: Transaction | Pending = transaction or cell.pending(world.msg)
    for name, value in values.items():
        if value:
            setattr(holder, name, value)
    return 1


@model("tm")
def t_set_fr(world: World, fr_inv: int, fr: int) -> int:
    """How long to wait for a final reply after a provisional one, and for any; milliseconds."""
    transaction = current(world)
    _set_timers(world, fr_inv=fr_inv / 1000, fr=fr / 1000)
    if transaction is not None:
        _restart(world, transaction)
    return 1


@model("tm")
def t_set_fr_inv(world: World, fr_inv: int) -> int:
    """As t_set_fr, the first only."""
    return t_set_fr(world, fr_inv, 0)


@model("tm")
def t_reset_fr(world: World) -> int:
    """Back to the modparams fr_inv_timer and fr_timer; 1."""
    if current(world) is None:
        note = cell.pending(world.msg)
        note.fr = note.fr_inv = 0.0
        return 1
    inv, other = world.param("tm", "fr_inv_timer", 120000), world.param("tm", "fr_timer", 30000)
    return t_set_fr(world, inv, other)


def _restart(world: World, transaction: Transaction) -> None:
    for client in transaction.clients:
        if client.request.expire is None:
            continue
        ringing = transaction.is_invite and 0 < client.last_received < 200
        after = transaction.fr_inv if ringing else transaction.fr
        cell.restart_expiry(
            world, transaction, client.request, after, expiry(world, transaction, client)
        )


def expiry(world: World, transaction: Transaction, client: Client) -> Callable[[], None]:
    """What happens when nobody answers on a branch in time."""
    return lambda: reply.timeout(world, transaction, client)


@model("tm")
def t_set_retr(world: World, t1: int, t2: int) -> int:
    """The first and the longest interval of retransmissions, in milliseconds; 1."""
    return _set_timers(world, t1=t1 / 1000, t2=t2 / 1000)


@model("tm")
def t_reset_retr(world: World) -> int:
    """Back to the modparams retr_timer1 and retr_timer2; 1."""
    return _set_timers(
        world,
        t1=cell.seconds(world, "retr_timer1", 500),
        t2=cell.seconds(world, "retr_timer2", 4000),
    )


@model("tm")
def t_set_max_lifetime(world: World, invite: int, other: int) -> int:
    """How long transactions of INVITE and of others live at most, in milliseconds; 1."""
    transaction = current(world)
    if transaction is None:
        note = cell.pending(world.msg)
        note.life_inv, note.life = invite / 1000, other / 1000
        return 1
    chosen = invite if transaction.is_invite else other
    if chosen:
        transaction.life_end = world.clock.now + chosen / 1000
    return 1


@model("tm")
def t_reset_max_lifetime(world: World) -> int:
    """Back to the modparams max_inv_lifetime and max_noninv_lifetime; 1."""
    inv = world.param("tm", "max_inv_lifetime", 180000)
    return t_set_max_lifetime(world, inv, world.param("tm", "max_noninv_lifetime", 32000))
