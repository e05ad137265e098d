"""The stub's own plugin, also where it is not installed."""

import pytest
from ksr_stub import plugin


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin, "ksr")
