"""Fixtures of the live tests: a network, the server on loopback or on the network, and the phones
of two users in homes behind NAT.

A test that also needs SIPp, baresip, rtpengine or tshark says so: `@pytest.mark.needs("sipp")`.
What the machine lacks is a skip with its reason; with KEMI_REQUIRE_LIVE=1 (CI) it is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .homes import Homes, two_homes
from .network import Namespace, Network
from .phone import Phone
from .postgres import PostgresServer
from .requirement import require
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


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """This machine, for a server that the tests of one file share."""
    require("kamailio", LAUNCHER)
    with Namespace() as host:
        yield host


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server shared by the tests of one file, which take databases of their own."""
    require("postgresql")
    with PostgresServer() as postgres:
        yield postgres


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


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    """The homes around a server with the default settings, shared by the tests of one file."""
    with two_homes() as homes:
        yield homes


@pytest.fixture
def alice(homes: Homes) -> Iterator[Phone]:
    """1111, at home."""
    with homes.phone("home", "1111") as phone:
        yield phone


@pytest.fixture
def bob(homes: Homes) -> Iterator[Phone]:
    """2222, in the office."""
    with homes.phone("office", "2222") as phone:
        yield phone


@pytest.fixture
def mobile(homes: Homes, bob: Phone) -> Iterator[Phone]:
    """Bob's second phone, elsewhere."""
    with homes.phone("hotel", bob.user) as phone:
        yield phone
