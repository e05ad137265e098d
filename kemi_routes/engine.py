"""The callbacks that Kamailio calls. Each exists and returns an int; none lets an exception out.

On Kamailio 5.6 a callback that is missing or returns something else makes the next KSR call of
that worker fail, and an exception that leaves a callback leaves the request without a reply.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import ParamSpec

import KSR

from kemi_routes import (
    ambiguity,
    auth,
    bans,
    dialog,
    guard,
    ha1,
    identity,
    listener,
    location,
    loops,
    nat,
    orphan,
    patience,
    registrar,
    registration,
    relay,
    renewal,
    seal,
    settings,
    websocket,
    whole_lines,
)
from kemi_routes.outcome import DONE, Outcome
from kemi_routes.registration import Registration

P = ParamSpec("P")
FIRST_WORKER = 1  # its rank; the others wait for it at start
CALLBACKS = (
    "child_init",
    "ksr_request_route",
    "ksr_reply_route",
    "ksr_branch_route",
    "ksr_onreply_route",
    "ksr_failure_route",
    "ksr_registrar_event",
    "ksr_xhttp_event",
    "ksr_rtimer_listener",
    "ksr_rtimer_probe",
)

STEPS: tuple[Callable[[], Outcome], ...] = (
    bans.limit_rate,
    guard.screen,
    loops.stop,
    nat.find_caller,
    dialog.cancel,
    identity.discard_claims,
    dialog.within,
    dialog.absorb_retransmission,
    auth.caller,
    dialog.record_route,
    ambiguity.refuse,
    location.locate,
    relay.send,
)
# A REGISTER ends in the registrar: what is there for calls and against loops is passed over. Hardly
# anything is read of a phone that is only challenged, or that says the same as before.
REGISTER_SCREENS: tuple[Callable[[], Outcome], ...] = (
    bans.limit_rate,
    renewal.renew,
    guard.screen_register,
    auth.challenge_newcomer,
    guard.drop_scanner,
    dialog.refuse_tag,
)
REGISTER_STEPS: tuple[Callable[[Registration], Outcome], ...] = (
    auth.registrant,
    nat.find_registrant,
    registrar.register,
)


def start(get_def: Callable[[str], str], former: ModuleType | None = None) -> None:
    """Read the settings; called when the routes are loaded and reloaded.

    Args:
        get_def: gives the text of a #!define, as `KSR.kx.get_def` does.
        former: the module `kemi_routes.seal` before a reload.
    Raises:
        SettingsError: naming all faults; Kamailio then refuses to start.
    """
    settings.active = settings.read(get_def)
    whole_lines.write()
    seal.use(settings.active.server_secret, getattr(former, "key", b""))


def child_init(rank: int) -> int:
    """Each Kamailio process, at start and after a reload."""
    patience.join(rank)
    orphan.join()
    if rank == FIRST_WORKER:
        # once: what a later process forgets, phones may have said after the start
        renewal.forget_all()
    return 0


def ksr_request_route(_msg: object) -> int:
    """Every SIP request: the steps one after the other, until one is done with it."""
    step: Callable[..., object] = STEPS[0]
    try:
        registers = KSR.is_REGISTER()
        for step in REGISTER_SCREENS if registers else STEPS:
            if step() is DONE:
                return 1
        if registers:  # pragma: no branch
            step = registration.read
            asked = registration.read()
            for step in REGISTER_STEPS:
                if step(asked) is DONE:
                    return 1
            _unasked(renewal.remember, asked)
    except Exception as error:
        guard.fault(f"{step.__module__}.{step.__name__}", error)
    return 1


def ksr_reply_route(_msg: object) -> int:
    """Each reply, before tm sees it."""
    return _guarded(relay.screen_reply)


def ksr_branch_route(_msg: object) -> int:
    """Each branch of a relayed request, before it is sent (tm)."""
    return _guarded(relay.branch)


def ksr_onreply_route(_msg: object) -> int:
    """Each reply of a relayed request (tm)."""
    return _guarded(relay.reply)


def ksr_failure_route(_msg: object) -> int:
    """An INVITE none of whose branches was answered with 2xx (tm)."""
    return _guarded(relay.failure)


def ksr_registrar_event(_msg: object, _event: str) -> int:
    """A binding has expired (registrar, `usrloc:contact-expired`)."""
    _unasked(renewal.forget_expired)
    return _guarded(registrar.log_removal)


def ksr_xhttp_event(_msg: object, _event: str) -> int:
    """An HTTP request on a SIP port: the handshake of a WebSocket, or nothing for us."""
    return _guarded(websocket.upgrade)


def ksr_rtimer_probe(_msg: object, _event: str) -> int:
    """Five times a second, in a process of its own (rtimer): is the database back? And if the main
    process is gone, it writes the bindings before it ends."""
    _unasked(orphan.watch)
    return _unasked(ha1.probe)


def ksr_rtimer_listener(_msg: object, _event: str) -> int:
    """Twice a second, in a process of its own (rtimer): which subscribers have changed."""
    return _unasked(listener.tick)


def _guarded(handle: Callable[[], None]) -> int:
    try:
        handle()
    except Exception as error:
        guard.fault(f"{handle.__module__}.{handle.__name__}", error)
    return 1


def _unasked(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> int:
    """What nobody waits for: a request has its reply, or there is none."""
    try:
        work(*args, **kwargs)
    except Exception as error:
        KSR.err(f"kemi-routes: {work.__module__}.{work.__name__} failed: {error!r}\n")
    return 1
