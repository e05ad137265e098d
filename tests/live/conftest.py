"""Fixtures of the live tests: a network, and the server on loopback or on the network.

A test that also needs SIPp, baresip, rtpengine or tshark says so: `@pytest.mark.needs("sipp")`.
What the machine lacks is a skip with its reason; with KEMI_REQUIRE_LIVE=1 (CI) it is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .network import CLEAN_PATH, Namespace, Network
from .server import LAUNCHER, Server


def pytest_configure(config: pytest.Config) -> None:
    """Declare our marker."""
    config.addinivalue_line("markers", "needs(*programs): programs that a live test starts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this directory is a live one."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("live")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check the programs that the test's marker names."""
    for marker in item.iter_markers("needs"):
        require(*marker.args)


def require(*programs: str) -> None:
    """Skip the test, or fail it in CI, unless these programs are here ("root" is the user)."""
    missing = [program for program in programs if not _is_here(program)]
    if not missing:
        return
    reason = f"live test: this machine has no {', no '.join(missing)}"
    if os.environ.get("KEMI_REQUIRE_LIVE") == "1":
        pytest.fail(f"{reason}, and KEMI_REQUIRE_LIVE=1 forbids to skip it")
    pytest.skip(reason)


def _is_here(program: str) -> bool:
    if program == "root":
        return os.geteuid() == 0
    return shutil.which(program, path=CLEAN_PATH) is not None


@pytest.fixture
def network() -> Iterator[Network]:
    """An empty internet; see Network for the hosts that can be put in it."""
    require("root", "ip", "nft")
    with Network() as network:
        yield network


@pytest.fixture
def loopback() -> Iterator[Namespace]:
    """This machine, for phones on 127.0.0.1."""
    with Namespace() as host:
        yield host


@pytest.fixture
def server(loopback: Namespace) -> Server:
    """The server on free ports of 127.0.0.1, with SQLite and no subscribers yet."""
    require("kamailio", LAUNCHER)
    return Server(loopback)


@pytest.fixture
def nat_server(network: Network) -> Server:
    """The server on 203.0.113.10 of `network`, with udp, tcp and tls."""
    require("kamailio", LAUNCHER)
    return Server(network.server_host())
