"""In CI nothing is skipped: with KEMI_REQUIRE_LIVE=1 a skipped test fails the run.

`@pytest.mark.kamailio("6.0", "6.1")` is for a test of what only these releases have: where another
one is installed it is no test at all. `@pytest.mark.registry` is for what only Docker's registry
can show; `.ci/run` leaves these out by name.
"""

from __future__ import annotations

import functools
import gc
import os
import sys

import attr
import pytest

from .live.requirement import kamailio_version


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers."""
    config.addinivalue_line("markers", "kamailio(*releases): the only ones that have what it tests")
    config.addinivalue_line("markers", "registry: needs to reach Docker's registry")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the installed Kamailio does not have."""
    others = [item for item in items if not all(map(_is_for_this, item.iter_markers("kamailio")))]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def _is_for_this(marker: pytest.Mark) -> bool:
    return kamailio_version() in ("", *marker.args)


# The stub imports the routes anew for each test. Most of the time of that would go into compiling
# what does not change: the files, and the methods that attrs writes for each class.
sys.dont_write_bytecode = False
vars(attr._make)["compile"] = functools.lru_cache(maxsize=None)(compile)


def pytest_collection_finish() -> None:
    """What is there before the first test stays; garbage is looked for in what comes later."""
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that could not run proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KEMI_REQUIRE_LIVE") == "1" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("KEMI_REQUIRE_LIVE=1 forbids skipped tests", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
