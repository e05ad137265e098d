"""Our own routes on the stub: a database that hangs, and workers that wait."""

from __future__ import annotations

import sys

import pytest
from ksr_stub.builders import message, options
from ksr_stub.harness import Ksr
from ksr_stub.models.htable import Tables

from kemi_routes import patience

from .own_routes import alice, bob, start

STRANGER = "sip:stranger@other.test"


@pytest.fixture
def server(ksr: Ksr, monkeypatch: pytest.MonkeyPatch) -> Ksr:
    server = start(ksr)
    for name in ("LONG", "SHORT"):
        monkeypatch.setattr(sys.modules["kemi_routes.patience"], name, 0.02)
    return server


def others_wait(server: Ksr, queue: str, count: int = 1) -> None:
    """So many other workers are in a queue."""
    table = server.world.part(Tables).get(patience.TABLE)
    assert table is not None
    for _ in range(count):
        table.add(queue, 1, server.clock.now)


def test_one_worker_is_left_when_all_others_wait_for_the_database(server: Ksr) -> None:
    others_wait(server, "pool 0", 3)
    phone = alice(server)
    reply = phone.register()
    assert (reply.status, reply["Retry-After"]) == (503, "10")
    assert server.receive(options("sip:example.test")).reply.status == 200
    assert server.receive(message("sip:9@example.test", sender=STRANGER)).reply.status == 503


def test_a_worker_waits_a_moment_for_a_place(server: Ksr, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is done with the database, and its own request gets its answer."""
    others_wait(server, "pool 0", 3)
    table = server.world.part(Tables).get(patience.TABLE)
    assert table is not None
    monkeypatch.setattr("time.sleep", lambda _seconds: table.add("pool 0", -1, server.clock.now))
    assert alice(server).register().status == 200


def test_a_database_that_answers_others_is_busy_and_not_away(
    server: Ksr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 for whom no place was free in time, and for nobody else."""
    others_wait(server, "pool 0", 3)
    table = server.world.part(Tables).get(patience.TABLE)
    assert table is not None
    monkeypatch.setattr(
        "time.sleep", lambda _seconds: table.add(patience.ANSWERS, 1, server.clock.now)
    )
    assert alice(server).register().status == 503
    table.add("pool 0", -1, server.clock.now)
    assert alice(server).register().status == 200


def test_two_workers_may_wait_while_a_third_is_free(server: Ksr) -> None:
    others_wait(server, "pool 0", 2)
    assert alice(server).register().status == 200


def test_a_worker_of_tcp_waits_only_while_half_of_them_do_not(
    ksr: Ksr, monkeypatch: pytest.MonkeyPatch
) -> None:
    ksr.listen("udp:203.0.113.10:5060", "tcp:203.0.113.10:5060")
    server = start(ksr)
    monkeypatch.setattr(sys.modules["kemi_routes.patience"], "LONG", 0.02)
    others_wait(server, "pool 0", 2)
    phone = server.phone("1111", "first secret", source=("203.0.113.5", 4), proto="tcp")
    assert phone.register().status == 503


def test_nobody_asks_a_database_that_is_away_until_the_probe_has_found_it(server: Ksr) -> None:
    others_wait(server, patience.AWAY)
    phone = alice(server)
    assert phone.register().status == 503
    assert not [call for call in server.results[-1].calls if call.name == "auth_db.auth_check"]
    server.lose_database()
    timer(server)
    assert phone.register().status == 503
    server.lose_database(lost=False)
    timer(server)
    assert phone.register().status == 200


def test_who_is_known_needs_no_database(server: Ksr) -> None:
    """A registered phone is called while it is away."""
    callee = bob(server)
    callee.register()
    others_wait(server, patience.AWAY)
    assert server.receive(message("sip:2222@example.test", sender=STRANGER)).requests != []


def test_bindings_that_another_worker_is_stuck_with_are_503(server: Ksr) -> None:
    callee = bob(server)
    callee.register()
    others_wait(server, f"bindings {hash('2222') % patience.QUEUES}")
    assert callee.register(expires=600).status == 503
    called = server.receive(message("sip:2222@example.test", sender=STRANGER)).reply
    assert (called.status, called["Retry-After"]) == (503, "10")
    assert alice(server).register().status == 200


def test_a_database_that_fails_after_a_long_time_is_away(
    server: Ksr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is not made to wait for it."""
    phone = alice(server)
    monkeypatch.setattr(sys.modules["kemi_routes.patience"], "LONG", -1.0)
    server.lose_database()
    assert phone.register().status == 503
    server.lose_database(lost=False)
    assert phone.register().status == 503
    timer(server)
    assert phone.register().status == 200


def test_a_wait_that_outlasts_its_counter_is_not_counted_twice(server: Ksr) -> None:
    """htable forgets the counters after a minute without a change."""

    def long_ago(*_arguments: object) -> int:
        table = server.world.part(Tables).get(patience.TABLE)
        assert table is not None
        table.cells.clear()
        return -1

    server.answer("auth_db.auth_check", long_ago)
    assert alice(server).register().status == 503
    table = server.world.part(Tables).get(patience.TABLE)
    assert table is not None
    assert "pool 0" not in table.cells


def test_a_queue_is_empty_afterwards_whatever_happened(server: Ksr) -> None:
    def fail(*_arguments: object) -> int:
        raise RuntimeError("boom")

    phone = alice(server)
    server.answer("auth_db.auth_check", fail)
    assert phone.register().status == 500
    table = server.world.part(Tables).get(patience.TABLE)
    assert table is not None
    cell = table.find("pool 0", server.clock.now)
    assert cell is None or cell.value == 0


def timer(server: Ksr) -> None:
    """The probe's process has its turn."""
    module = server.world.script
    assert module is not None
    module.ksr_rtimer_probe(None, "probe")
