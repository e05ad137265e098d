"""What the images are made of, and that they can be made again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.network import CommandFailed

from .documentation import command
from .engine import BASE, MACHINE, works
from .stack import BUILD, Stack, git

# Docker's own files, and what a container's file system is mounted over.
NOT_OF_THE_IMAGE = (
    "./proc",
    "./sys",
    "./dev",
    "./etc/hostname",
    "./etc/hosts",
    "./etc/resolv.conf",
)
LIST = """
cd /
find . -xdev {but} -printf '%y %m %U:%G %p %l\\n' | LC_ALL=C sort
find . -xdev {but} -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
"""
METADATA = """
from importlib.metadata import distributions
for one in distributions():
    print(one.name, one.version, one.metadata["License-Expression"] or one.metadata["License"])
"""
DEBIAN = "deb http://deb.debian.org/debian trixie main"
DOCKERFILES = {"kamailio": ("-f", "kamailio/Dockerfile", "."), "rtpengine": ("rtpengine",)}


def test_an_image_keeps_what_scanners_read(stack: Stack) -> None:
    """The package databases of dpkg and of Python's packages: names, versions, licences."""
    said = stack.exec("kamailio", "python3", "-c", METADATA)
    assert re.search(r"attrs [\d.]+ MIT", said)
    assert re.search(r"psycopg [\d.]+ GNU Lesser", said)
    for service, package in (("kamailio", "kamailio"), ("rtpengine", "rtpengine-daemon")):
        assert f"{package}=" in stack.exec(service, "dpkg-query", "-Wf", "${Package}=${Version}\n")
        stack.exec(service, "test", "-s", f"/usr/share/doc/{package}/copyright")


def test_nothing_in_the_image_is_of_pypi(stack: Stack) -> None:
    """Every Python module beside ours belongs to a package of Debian."""
    found = stack.exec("kamailio", "find", "/usr", "-name", "*.dist-info", "-o", "-name", "pip")
    assert found.split()
    for path in found.split():
        stack.exec("kamailio", "dpkg-query", "-S", path)


@pytest.mark.parametrize("image", DOCKERFILES)
def test_a_locked_build_has_the_same_files_as_the_first(stack: Stack, image: str) -> None:
    """Same names, kinds, modes, owners and contents, of the versions in the lock file."""
    MACHINE.run(str(stack.directory / ".ci/lock"))
    with built(stack, image, "LOCKED=1", f"SOURCES={DEBIAN}") as again:
        first, second = (files_of(tag) for tag in (f"kemi-routes-{image}", again))
    assert len(first) > 1000
    assert sorted(first ^ second) == []


def test_a_version_that_is_gone_ends_a_locked_build_and_is_named(stack: Stack) -> None:
    lock = stack.directory / "rtpengine/packages.lock"
    lock.write_text(re.sub("(?m)^(rtpengine-daemon)=.*", r"\1=1.2.3-4", lock.read_text()))
    gone = "Version '1.2.3-4' for 'rtpengine-daemon' was not found"
    try:
        with pytest.raises(CommandFailed, match=gone), built(stack, "rtpengine", "LOCKED=1"):
            pass
    finally:
        git(stack.directory, "checkout", "-q", ".")


@pytest.mark.registry
def test_the_images_are_renewed_from_the_registry(stack: Stack) -> None:
    if not works("docker", "pull", "-q", BASE):
        pytest.skip("Docker's registry can't be reached from here")
    stack.shell(command("build --pull"))
    stack.up()


@contextmanager
def built(stack: Stack, image: str, *arguments: str) -> Iterator[str]:
    """Another build of an image with these arguments, from scratch; its tag."""
    tag = f"kemi-stack-test-{image}"
    words = [word for argument in arguments for word in ("--build-arg", argument)]
    build = ("docker", "build", "--no-cache", "--force-rm", "-t", tag, *words, *DOCKERFILES[image])
    MACHINE.run("env", "-C", str(stack.directory), *build, timeout=BUILD)
    try:
        yield tag
    finally:
        MACHINE.run("docker", "rmi", tag)


def files_of(tag: str) -> set[str]:
    """A line for each file of an image, and another with the hash of what is in it."""
    but = " ".join(f"-path {path} -prune -o" for path in NOT_OF_THE_IMAGE)
    command = ("--entrypoint", "sh", tag, "-c", LIST.format(but=but))
    shown = MACHINE.run(
        "docker", "run", "--rm", "--user=0", "--network=none", *command, timeout=120
    )
    return set(shown.splitlines())
