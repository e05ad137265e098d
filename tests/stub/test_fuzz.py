"""Broken messages on the stub: our routes answer or drop each of them, and nothing raises."""

from __future__ import annotations

import re

import pytest
from ksr_stub.harness import Ksr

from ..mutation import NO_TEXT, Mutator, seeds
from .own_routes import DOMAIN, alice, start

MESSAGES = 1000
FAILED = re.compile(r"kemi-routes: \S+ failed")


@pytest.mark.ksr(mode="faithful")
def test_mutated_requests_do_no_harm(ksr: Ksr) -> None:
    server = start(ksr, MAX_RATE="100000")
    alice(server).register()
    mutator = Mutator(seeds(DOMAIN, "1111"), seed=3261)
    for _ in range(MESSAGES):
        result = server.receive(mutator.message(), source=("192.0.2.66", 5060))
        assert result.error is None, result
        failed = [line.text for line in result.log if FAILED.search(line.text)]
        assert all(NO_TEXT.search(line) for line in failed), result
