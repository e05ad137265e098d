"""docs/hardening.md names tests that exist and messages that are dropped."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.attacks.__main__ import PROBES
from tests.attacks.scoreboard import BEGIN, END
from tests.torture import DROPPED_BY_THE_CORE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/hardening.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:\w+/)test_\w+\.py)::(\w+)`", PAGE)))


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 100


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert name in _functions(ROOT / "tests" / path)


@functools.cache
def _functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_no_name_of_a_test_is_left_unread() -> None:
    """A name in another form than `place/test_file.py::test_name` would not be looked at."""
    assert PAGE.count("::") == len(re.findall(r"`\w+/test_\w+\.py::test_\w+`", PAGE))


def test_the_messages_that_kamailio_drops_are_named() -> None:
    section = PAGE.partition("## What Kamailio's core drops")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) == DROPPED_BY_THE_CORE


def test_the_scoreboard_has_a_row_for_each_probe_there_is() -> None:
    """Else `make attacks` has to be run again."""
    board = PAGE.partition(BEGIN)[2].partition(END)[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in board.splitlines() if "|" in line]
    groups = list(dict.fromkeys(f"**{probe.group}**" for probe in PROBES))
    assert sorted(rows[2:]) == sorted([*groups, *(probe.name for probe in PROBES)])
