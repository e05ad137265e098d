"""The real Kamailio that the stub is compared with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.live.conftest import require
from tests.live.network import CLEAN_PATH

from .real import RealKamailio


@pytest.fixture(scope="session", autouse=True)
def only_5_6() -> None:
    """The stub is held against 5.6; a newer Kamailio answers differently where it should."""
    require("kamailio")
    shown = subprocess.run(
        ["kamailio", "-v"], env={"PATH": CLEAN_PATH}, capture_output=True, text=True, check=True
    ).stdout
    if not shown.split()[2].startswith("5.6."):
        pytest.skip(f"the stub is held against Kamailio 5.6, here is {shown.split()[2]}")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKamailio]:
    """A started Kamailio; a skip, or with KEMI_REQUIRE_LIVE=1 a failure, where there is none."""
    require("kamailio")
    kamailio = RealKamailio(tmp_path_factory.mktemp("kamailio"))
    yield kamailio
    kamailio.close()
