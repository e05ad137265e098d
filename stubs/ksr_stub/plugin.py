"""The pytest plugin: the fixture `ksr`, the marker `ksr`, and what a failure shows."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from ksr_stub import signatures
from ksr_stub.harness import Ksr
from ksr_stub.world import World, use

MODES = ("strict", "faithful")
_KEY = pytest.StashKey[Ksr]()


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest about the marker."""
    config.addinivalue_line(
        "markers",
        'ksr(version="5.6", mode="strict"): the Kamailio of the fixture `ksr`: version 5.6, 6.0 or'
        " 6.1; mode `strict` fails the test on faults, `faithful` does what that version does.",
    )


@pytest.fixture
def ksr(request: pytest.FixtureRequest) -> Iterator[Ksr]:
    """A Kamailio for this test; `import KSR` speaks to it."""
    world = _world_for(request.node)
    former = use(world)
    harness = Ksr(world)
    request.node.stash[_KEY] = harness
    try:
        yield harness
    finally:
        faults = harness.swallowed_faults()
        harness.unload()
        use(former)
    if faults:
        shown = "\n".join(f"  {type(fault).__name__}: {fault}" for fault in faults)
        pytest.fail(f"the routes hid {len(faults)} fault(s) with a bare except:\n{shown}", False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show the messages, calls and log of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    harness = item.stash.get(_KEY, None)
    if report.failed and harness is not None and (harness.results or harness.world.log):
        report.sections.append(("KSR", harness.report()))
    if report.when == "teardown" and harness is not None:
        del item.stash[_KEY]  # pytest keeps the item until the last test is done


def _world_for(item: pytest.Item) -> World:
    options: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("ksr"))):
        if marker.args or set(marker.kwargs) - {"version", "mode"}:
            raise pytest.UsageError("the marker ksr takes version= and mode= only")
        options.update(marker.kwargs)
    version, mode = options.get("version", "5.6"), options.get("mode", "strict")
    if version not in signatures.VERSIONS or mode not in MODES:
        raise pytest.UsageError(
            f"the marker ksr takes version in {signatures.VERSIONS} and mode in {MODES},"
            f" not version={version!r} mode={mode!r}"
        )
    return World(version=version, strict=mode == "strict")
