"""Our column of the scoreboard in docs/hardening.md: `make attacks` has the others beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.servers import ATTACKED
from tests.attacks.__main__ import PROBES
from tests.attacks.scene import Probe, Scene, scene_of

from .requirement import require
from .server import LAUNCHER


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Our server, with PostgreSQL."""
    require("kamailio", "kamcmd", LAUNCHER)
    with scene_of(ATTACKED[-1]) as scene:
        yield scene


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.group}: {probe.name}")
def test_we_withstand(scene: Scene, probe: Probe) -> None:
    finding = probe.run(scene)
    assert finding.withstood, finding.words
