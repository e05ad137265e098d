"""Our own routes on the stub: the main process was killed, and its children are to end."""

from __future__ import annotations

import json
import os
import signal

import pytest
from ksr_stub.harness import Ksr
from ksr_stub.models.htable import Tables

from kemi_routes import patience

from .own_routes import start

MAIN, INIT = 1000, 1


@pytest.fixture
def written(ksr: Ksr, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked for over RPC by the process of the probe, a child of `MAIN`."""
    asked: list[str] = []
    ksr.answer("jsonrpcs.exec", lambda text: asked.append(json.loads(text)["method"]) or 1)
    monkeypatch.setattr(os, "getppid", lambda: MAIN)
    monkeypatch.setattr(os, "_exit", lambda status: asked.append(f"ended with {status}"))
    start(ksr)
    return asked


def test_the_bindings_are_written_when_the_main_process_is_gone(
    ksr: Ksr, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ksr.run_timer("probe")
    monkeypatch.setattr(os, "getppid", lambda: INIT)
    signal.raise_signal(signal.SIGTERM)
    assert written == ["ul.flush", "ended with 0"]


def test_a_main_process_that_is_there_writes_them_itself(ksr: Ksr, written: list[str]) -> None:
    ksr.run_timer("probe")
    signal.raise_signal(signal.SIGTERM)
    assert written == ["ended with 0"]


def test_nothing_holds_back_the_end_while_the_database_is_away(
    ksr: Ksr, written: list[str]
) -> None:
    ksr.run_timer("probe")
    table = ksr.world.part(Tables).get(patience.TABLE)
    assert table is not None
    table.add(patience.AWAY, 1, ksr.clock.now)
    ksr.lose_database()
    ksr.run_timer("probe")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert written == []
