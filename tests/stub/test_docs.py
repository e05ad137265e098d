"""docs/testing.md: every code block on it is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import PLUGIN

pytest_plugins = ["pytester"]

PAGE = Path(__file__).resolve().parents[2] / "docs/testing.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """The files on the page, by name."""
    found = {}
    for language, text in _BLOCK.findall(PAGE.read_text()):
        assert language == "python", f"a block in {language!r} is not run by this test"
        first = text.splitlines()[0]
        assert first.startswith("# "), f"a block has no file name in its first line: {first!r}"
        found[first.removeprefix("# ")] = text
    return found


@pytest.mark.parametrize("name", [name for name in files() if name.startswith("test_")])
def test_a_test_on_the_page_passes(name: str, pytester: pytest.Pytester) -> None:
    """A test file of the page passes with the scripts of the page."""
    for other, text in files().items():
        if other == name or not other.startswith("test_"):
            pytester.path.joinpath(other).write_text(text)
    result = pytester.runpytest(*PLUGIN, name)
    outcomes = result.parseoutcomes()
    tests = len(re.findall(r"^def test_", files()[name], re.MULTILINE))
    assert outcomes.pop("passed") >= tests
    outcomes.pop("warnings", None)
    assert outcomes == {}


def test_every_function_that_the_page_names_exists() -> None:
    """What the page says of `ksr.x` is there."""
    from ksr_stub.harness import Ksr

    named = set(re.findall(r"`ksr\.(\w+)", PAGE.read_text()))
    assert sorted(name for name in named if not hasattr(Ksr, name)) == []
