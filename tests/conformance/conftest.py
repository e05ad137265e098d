"""The real Kamailio that the stub is compared with, and its version of the stub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ksr_stub import signatures

from tests.live.conftest import require
from tests.live.requirement import kamailio_version

from .real import RealKamailio


@pytest.fixture(scope="session", autouse=True)
def known_release() -> None:
    """The stub is held against the Kamailio that is here, if it knows that."""
    require("kamailio")
    if kamailio_version() not in signatures.VERSIONS:
        pytest.fail(f"the stub does not know Kamailio {kamailio_version()}")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKamailio]:
    """A started Kamailio; a skip, or with KEMI_REQUIRE_LIVE=1 a failure, where there is none."""
    require("kamailio")
    kamailio = RealKamailio(tmp_path_factory.mktemp("kamailio"))
    yield kamailio
    kamailio.close()
