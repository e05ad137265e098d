"""RFC 4475: the stub answers each torture message as the real Kamailio does, or is as silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..live.network import Namespace
from ..live.requirement import require
from ..live.server import LAUNCHER
from ..torture import RFC4475
from .scenarios import RealSide, Talk, difference, faithful_stub

pytestmark = pytest.mark.live
# With domains of the RFC's messages they get further than to 403.
DOMAINS = "example.test example.com example.net"
# The name of a message, and why the stub may answer it otherwise: none now.
KNOWN_DIFFERENCES: dict[str, str] = {}


@pytest.fixture(scope="module")
def real() -> Iterator[RealSide]:
    """One Kamailio for all messages."""
    require("kamailio", "kamcmd", LAUNCHER)
    with Namespace() as host:
        yield RealSide(host, DOMAINS)


def test_there_are_all_messages_of_the_rfc() -> None:
    """None of the 49 has been lost, and none is excused that does not exist."""
    names = {path.stem for path in sorted(RFC4475.glob("*.dat"))}
    assert len(names) == 49
    assert set(KNOWN_DIFFERENCES) <= names


@pytest.mark.parametrize("path", sorted(RFC4475.glob("*.dat")), ids=lambda path: path.stem)
def test_torture(real: RealSide, path: Path, request: pytest.FixtureRequest) -> None:
    """The stub sends the same bytes back, or nothing where Kamailio sends nothing."""
    if reason := KNOWN_DIFFERENCES.get(path.stem):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    real.forget()
    with faithful_stub(real, DOMAINS) as stub:
        stubbed, live = Talk(stub, path.stem), Talk(real, path.stem)
        for talk in (stubbed, live):
            talk.say("stranger", path.read_bytes())
    assert difference(stubbed, live) == ""
