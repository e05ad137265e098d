"""What Kamailio 5.6.3 answered, and the stub: textops and textopsx."""

from __future__ import annotations

from tests.stub.recorded_calls import differences


def test_it_answers_as_the_real_one_did() -> None:
    assert differences("textops") == []
