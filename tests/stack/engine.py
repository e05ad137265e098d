"""The Docker Engine of this machine, and the images it needs where it can pull none."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.live.network import CommandFailed, Namespace

MACHINE = Namespace()
BASE = "debian:trixie-slim"
POSTGRES = "postgres:17"
STAND_IN = Path(__file__).with_name("postgres")


def compose() -> tuple[str, ...]:
    """The command for `docker compose`: version 2, else docker-compose; or what COMPOSE says."""
    if given := os.environ.get("COMPOSE"):
        return tuple(shlex.split(given))
    for command in (("docker", "compose"), ("docker-compose",)):
        if _works(*command, "version"):
            return command
    pytest.fail("neither `docker compose` nor `docker-compose` is here")


def provide_images() -> None:
    """Pull the two images that ours are made from, or make them of Debian's packages.

    debian:trixie-slim is what debootstrap makes; postgres:17 is tests/stack/postgres.
    """
    if not _has(BASE):
        _debootstrap()
    if not _has(POSTGRES):
        MACHINE.run("docker", "build", "-q", "-t", POSTGRES, str(STAND_IN), timeout=600)


def _has(image: str) -> bool:
    return _works("docker", "image", "inspect", image) or _works("docker", "pull", "-q", image)


def _debootstrap() -> None:
    root = tempfile.mkdtemp(prefix="kemi-debian-")
    try:
        MACHINE.run("debootstrap", "--variant=minbase", "trixie", root, timeout=600)
        MACHINE.run("sh", "-c", f"tar -C {root} -c . | docker import - {BASE}", timeout=600)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _works(*command: str) -> bool:
    try:
        MACHINE.run(*command, timeout=300)
    except (CommandFailed, FileNotFoundError):
        return False
    return True
