"""Fixtures: the stack, started once from nothing, and phones behind the NATs of two homes."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.network import Network
from tests.live.requirement import require

from .engine import provide_images
from .outside import INTERNET, Outside
from .stack import Stack

ORDER = (
    "test_first_start",
    "test_documentation",
    "test_operation",
    "test_faults",
    "test_data",
    "test_own_settings",
    "test_images",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """As an operator meets it, first start first; the first test of all builds the images."""
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)
    for item in items:
        item.add_marker(pytest.mark.timeout(1200 if item is items[0] else 300))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack after `docker compose up` in a fresh clone, with nothing prepared."""
    require("root", "docker", "git", "ip", "nft", "openssl")
    with alone_on_this_machine():
        provide_images()
        stack = Stack()
        try:
            stack.build()
            stack.up()
            yield stack
        finally:
            stack.close()


@contextmanager
def alone_on_this_machine() -> Iterator[None]:
    """All containers use the machine's own ports: two runs at once would take each other's."""
    with (Path(tempfile.gettempdir()) / "kemi-stack-test.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("another `make stack-test` is running on this machine")
        yield


@pytest.fixture(scope="session")
def outside(stack: Stack) -> Iterator[Outside]:
    """An internet in which the machine has an address, with phones of two subscribers."""
    with Network() as network:
        network.this_machine(f"{INTERNET}.1")
        yield Outside(network, stack)
