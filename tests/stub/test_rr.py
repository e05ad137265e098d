"""Record-Route and loose routing, as Kamailio 5.6.3 does them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stub.replay import cases, replay


@pytest.mark.parametrize("case", cases("rr"))
def test_what_is_sent_is_what_kamailio_sent(case: dict[str, Any]) -> None:
    """The stub sends, step by step, what the real one sent."""
    replay(case)
