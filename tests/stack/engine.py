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
# what the official image leaves out, of these packages and of those that are installed in it
LEFT_OUT = (
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
)
SLIM = """
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
path-exclude /usr/share/man/*
"""


def compose() -> tuple[str, ...]:
    """The command for `docker compose`: version 2, else docker-compose; or what COMPOSE says."""
    if given := os.environ.get("COMPOSE"):
        return tuple(shlex.split(given))
    for command in (("docker", "compose"), ("docker-compose",)):
        if works(*command, "version"):
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
    return works("docker", "image", "inspect", image) or works("docker", "pull", "-q", image)


def _debootstrap() -> None:
    root = tempfile.mkdtemp(prefix="kemi-debian-")
    try:
        MACHINE.run("debootstrap", "--variant=minbase", "trixie", root, timeout=600)
        (Path(root) / "etc/dpkg/dpkg.cfg.d/docker").write_text(SLIM)
        without = " ".join(f"--exclude='./{path}/*'" for path in LEFT_OUT)
        line = f"tar -C {root} {without} -c . | docker import - {BASE}"
        MACHINE.run("sh", "-c", line, timeout=600)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def works(*command: str) -> bool:
    """Whether a command is here and succeeds."""
    try:
        MACHINE.run(*command, timeout=300)
    except (CommandFailed, FileNotFoundError):
        return False
    return True
