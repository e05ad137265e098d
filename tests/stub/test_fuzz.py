"""Broken messages on the stub: our routes answer or drop each of them, and nothing raises."""

from __future__ import annotations

import re

import pytest
from ksr_stub.builders import register
from ksr_stub.harness import Ksr

from ..mutation import NO_TEXT, Mutator, seeds
from .own_routes import DOMAIN, alice, start

MESSAGES = 1000
GOOD = register("1111")
# what `make fuzz-stub` has found
FOUND = [GOOD.replace(b"Content-Length: 0", b"Content-Length: 0\x1d")]
FAILED = re.compile(r"kemi-routes: \S+ failed")


@pytest.mark.ksr(mode="faithful")
def test_mutated_requests_do_no_harm(ksr: Ksr) -> None:
    server = start(ksr, MAX_RATE="65535")
    alice(server).register()
    mutator = Mutator(seeds(DOMAIN, "1111"), seed=3261)
    for _ in range(MESSAGES):
        result = server.receive(mutator.message(), source=("192.0.2.66", 5060))
        assert result.error is None, result
        failed = [line.text for line in result.log if FAILED.search(line.text)]
        assert all(NO_TEXT.search(line) for line in failed), result


@pytest.mark.ksr(mode="faithful")
@pytest.mark.parametrize("data", FOUND)
def test_what_was_found_once_is_dropped(ksr: Ksr, data: bytes) -> None:
    server = start(ksr)
    assert server.receive(GOOD).reply.status == 401
    result = server.receive(data)
    assert result.error is None
    assert result.replies == []
