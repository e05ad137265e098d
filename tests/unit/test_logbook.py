"""Long lines of Kamailio's log are cut, and a flood of them is thinned out."""

from __future__ import annotations

import io
import json

from kemi_routes import logbook
from kemi_routes.logbook import BURST, LONGEST, RATE, Json, Text, Thinner


def test_a_long_line_is_cut_and_says_how_long_it_was() -> None:
    short = b"x" * LONGEST
    assert Text.cut(short) == short
    cut = Text.cut(b"y" * 20000 + b"\n")
    assert cut == b"y" * LONGEST + b"... (20001 bytes)\n"


def test_a_flood_is_thinned_out_and_what_is_missing_is_said() -> None:
    now = [0.0]
    thinner = Thinner(Text, lambda: now[0])
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


def test_an_entry_stays_json_when_its_texts_are_cut() -> None:
    """Whatever a message has brought into it."""
    entry = {"level": "ERROR", "line": 74, "callid": "c" * 900, "message": "short"}
    cut = json.loads(Json.cut(json.dumps(entry).encode() + b"\n"))
    assert cut == {**entry, "callid": "c" * LONGEST + "... (900 characters)"}
    for broken in (b'{ "message": "' + b"x" * 900, b"\xff" * 900, b"[" + b"1," * 400 + b"1]"):
        cut = json.loads(Json.cut(broken + b"\n"))
        assert len(cut["message"]) < LONGEST + 30


def test_what_is_missing_is_said_in_json_as_well() -> None:
    now = [0.0]
    thinner = Thinner(Json, lambda: now[0])
    for _ in range(BURST + 5):
        thinner.thin(b"{}\n")
    now[0] = 1.0
    note, line = thinner.thin(b"{}\n").splitlines()
    assert json.loads(note)["message"] == "kemi-routes: 5 lines of the log left out"
    assert line == b"{}"
