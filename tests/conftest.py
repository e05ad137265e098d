"""In CI nothing is skipped: with KEMI_REQUIRE_LIVE=1 a skipped test fails the run."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that could not run proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KEMI_REQUIRE_LIVE") == "1" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("KEMI_REQUIRE_LIVE=1 forbids skipped tests", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
