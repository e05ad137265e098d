"""The README says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kemi_routes import cli, settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_the_one_that_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = re.search(r"<!-- settings:.*?-->\n(.*?)<!-- end of settings -->", README, re.DOTALL)
    assert found is not None
    assert settings.main([]) == 0
    printed = capsys.readouterr().out
    assert found[1] == printed, "put the output of `kemi-routes settings` there"


def test_every_file_and_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`(?:sudo )?make ([a-z-]+)", README)) <= targets
    for path in re.findall(
        r"\]\((docs/[^)]+)\)|^\| `((?:kamailio|kemi_routes|tests)/[\w./]*)`", README, re.M
    ):
        assert (ROOT / "".join(path)).exists(), path


def test_every_command_of_kemi_routes_in_the_readme_is_understood() -> None:
    for words in re.findall(r"kemi-routes ((?:subscriber|db) \w+)", README):
        assert cli.main([*words.split(), "--help"]) == 0, words
