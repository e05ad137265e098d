"""Long lines of Kamailio's log are cut, and a flood of them is thinned out."""

from __future__ import annotations

import io

from kemi_routes import logbook
from kemi_routes.logbook import BURST, LONGEST, RATE, Thinner


def test_a_long_line_is_cut_and_says_how_long_it_was() -> None:
    short = b"x" * LONGEST
    assert logbook.cut(short) == short
    cut = logbook.cut(b"y" * 20000 + b"\n")
    assert cut == b"y" * LONGEST + b"... (20001 bytes)\n"


def test_a_flood_is_thinned_out_and_what_is_missing_is_said() -> None:
    now = [0.0]
    thinner = Thinner(lambda: now[0])
    passed = [thinner.thin(b"line\n") for _ in range(BURST + 50)]
    assert passed == [b"line\n"] * BURST + [b""] * 50
    now[0] = 1.0
    assert thinner.thin(b"line\n") == b"kemi-routes: 50 lines of the log left out\nline\n"
    assert [thinner.thin(b"line\n") for _ in range(RATE)][-2:] == [b"line\n", b""]


def test_a_log_is_passed_on_until_it_ends() -> None:
    out = io.BytesIO()
    logbook.follow(io.BytesIO(b"one\n" + b"z" * 70000 + b"\nlast"), out).join(5)
    lines = out.getvalue().split(b"\n")
    assert (lines[0], lines[-1]) == (b"one", b"last")
    assert max(map(len, lines)) < LONGEST + 30
