"""The stub's own plugin, also where it is not installed."""

import signal
from collections.abc import Iterator

import pytest
from ksr_stub import plugin

# For a pytest inside a test: the stub's plugin is loaded once, be it installed or only in the path,
# and that of hypothesis does not compile all of hypothesis anew for each of them.
PLUGIN = ("-p", "no:ksr", "-p", "ksr_stub.plugin", "-p", "no:hypothesispytest")


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin, "ksr")


@pytest.fixture(autouse=True)
def _own_sigterm() -> Iterator[None]:
    """The routes take SIGTERM for themselves, which here would be that of the tests."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
