"""What Kamailio 5.6.3 answered, and the stub: lists and parts of all kinds."""

from __future__ import annotations

import pytest

from tests.stub.recorded_calls import Case, cases, check


@pytest.mark.parametrize("case", cases("lists") + cases("bodies") + cases("sockets"))
def test_it_answers_as_the_real_one_did(case: Case) -> None:
    check(case)
