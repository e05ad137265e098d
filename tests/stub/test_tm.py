"""Transactions: calls, forking, failure routes, CANCEL and timers, as Kamailio 5.6.3 has them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stub.replay import cases, replay


@pytest.mark.parametrize("case", cases("tm"))
def test_what_is_sent_is_what_kamailio_sent(case: dict[str, Any]) -> None:
    """The stub sends, step by step, what the real one sent."""
    replay(case)


@pytest.mark.parametrize("case", cases("tm_own"))
def test_what_tm_sends_of_its_own_accord_is_what_kamailio_sent(case: dict[str, Any]) -> None:
    """Serial forking by q and by instance, replication, own requests, suspended ones."""
    replay(case)
