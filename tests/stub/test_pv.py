"""What Kamailio 5.6.3 answered, and the stub: pseudo-variables, and the ways to write one wrong."""

from __future__ import annotations

import pytest

from tests.stub.recorded_calls import Case, cases, check


@pytest.mark.parametrize("case", cases("variables"))
def test_it_answers_as_the_real_one_did(case: Case) -> None:
    check(case)
