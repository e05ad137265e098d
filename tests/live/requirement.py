"""What a live test needs of the machine, and what becomes of it where that is not there."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

from .network import CLEAN_PATH
from .postgres import binaries


def require(*programs: str) -> None:
    """Skip the test, or fail it in CI, unless these programs are here.

    "root" is the user, "postgresql" a server to be started, which Debian keeps out of PATH.
    """
    missing = [program for program in programs if not _is_here(program)]
    if not missing:
        return
    reason = f"live test: this machine has no {', no '.join(missing)}"
    if os.environ.get("KEMI_REQUIRE_LIVE") == "1":
        pytest.fail(f"{reason}, and KEMI_REQUIRE_LIVE=1 forbids to skip it")
    pytest.skip(reason)


@functools.cache
def kamailio_version() -> str:
    """The release of this machine's Kamailio, such as "5.6" or "6.0"; "" where there is none."""
    if not _is_here("kamailio"):
        return ""
    shown = subprocess.run(
        ["kamailio", "-v"], env={"PATH": CLEAN_PATH}, capture_output=True, text=True, check=True
    ).stdout
    return ".".join(shown.split()[2].split(".")[:2])


def _is_here(program: str) -> bool:
    if program == "root":
        return os.geteuid() == 0
    if program == "postgresql":
        return binaries() is not None
    return shutil.which(program, path=CLEAN_PATH) is not None
