"""The project of docker-compose.yml, started as an operator starts it: from a copy of a clone."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.live.message import Address
from tests.live.network import CommandFailed
from tests.live.patience import eventually
from tests.live.server import ROOT

from .engine import MACHINE, compose
from .terminal import type_in

PROJECT = "kemi-stack-test"
LONG_RUNNING = ("db", "rtpengine", "kamailio")
BUILD = 900  # seconds, on a slow line
AUTHOR = ("-c", "user.name=tests", "-c", "user.email=tests@example.test")


class Stack:
    """The containers of one project; `directory` is the clone that they are started from, and
    `origin` the repository that it was cloned from. What an earlier run left behind is removed."""

    def __init__(self) -> None:
        place = Path(tempfile.mkdtemp(prefix="kemi-stack-"))
        self.origin, self.directory = place / "origin", place / "clone"
        for name in tracked_files():
            target = self.origin / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        git(self.origin, "init", "-q")
        self.commit("as it is")
        git(place, "clone", "-q", str(self.origin), str(self.directory))
        self.remove()

    def commit(self, message: str) -> None:
        """Commit all that is in `origin`, for a `git pull` in the clone."""
        git(self.origin, "add", "--all")
        git(self.origin, *AUTHOR, "commit", "-q", "-m", message)

    def compose(self, *words: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run `docker compose ...` in the clone; its output. Raises CommandFailed."""
        command = ("env", "-C", str(self.directory), *compose(), *words)
        return MACHINE.run(*command, stdin=stdin, env=ENVIRONMENT, timeout=timeout)

    def shell(self, line: str) -> str:
        """Run a line of the documentation word for word, on a terminal in the clone; what it
        shows. Only where this machine has no `docker compose`, it is `docker-compose`."""
        line = line.replace("docker compose", " ".join(compose()))
        return type_in(line, self.directory, ENVIRONMENT)

    def build(self) -> None:
        """Make our images of this clone; `up` alone takes images that are there, of any age."""
        self.compose("build", timeout=BUILD)

    def up(self) -> None:
        """`docker compose up -d`, until all that goes on running is healthy."""
        self.compose("up", "-d")
        for service in LONG_RUNNING:
            self.wait_until_healthy(service)

    def down(self) -> None:
        """`docker compose down`: the containers are gone, the volumes stay."""
        self.compose("down")

    def configure(self, **values: str) -> None:
        """Write .env; without values there is none."""
        path = self.directory / ".env"
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        if not values:
            path.unlink()

    def exec(self, service: str, *words: str, stdin: str | None = None) -> str:
        """Run a command in a container, as its user and as `docker compose exec -T` does, which
        takes a second longer. Raises CommandFailed."""
        return MACHINE.run("docker", "exec", "-i", self.container(service), *words, stdin=stdin)

    def sql(self, statements: str) -> str:
        """What psql prints for SQL, without headings."""
        psql = (
            "psql",
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "/var/run/postgresql",
            "-p",
            "15432",
        )
        return self.exec("db", *psql, "-U", "kamailio", "kamailio", stdin=statements)

    def state(self, service: str) -> dict[str, Any]:
        """What `docker inspect` says of a container."""
        shown = MACHINE.run("docker", "inspect", self.container(service))
        found: dict[str, Any] = json.loads(shown)[0]
        return found

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={PROJECT}"
        found = MACHINE.run("docker", "ps", "-aq", "--filter", label, "--filter", project).split()
        assert len(found) == 1, f"{service} has {len(found)} containers"
        return found[0]

    def wait_until_healthy(self, service: str) -> None:
        """Wait for the health check of a container; AssertionError with its log."""

        def healthy() -> bool:
            state = self.state(service)["State"]
            return bool(state["Running"] and state["Health"]["Status"] == "healthy")

        try:
            eventually(healthy, f"healthy {service}", 90)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log:\n{self.log(service)}") from None

    def log(self, service: str) -> str:
        """All that a container has written."""
        return MACHINE.run("docker", "logs", self.container(service))

    def processes(self, service: str) -> list[tuple[int, str]]:
        """Id, as the machine has it, and command line of each process in a container."""
        shown = MACHINE.run("docker", "top", self.container(service), "-eo", "pid,args")
        return [(int(pid), args) for pid, args in re.findall(r"^(\d+)\s+(.*)$", shown, re.M)]

    def bindings(self, aor: str) -> list[str]:
        """The Contact URIs of an address of record, as `kamcmd ul.lookup` shows them."""
        try:
            shown = self.exec("kamailio", "kamcmd", "ul.lookup", "location", aor)
        except CommandFailed as failed:
            shown = str(failed)
        return re.findall(r"^\s*Address: (\S+)", shown, re.MULTILINE)

    def forget(self, aor: str) -> None:
        """Remove all bindings of an address of record, if a server runs that has any."""
        with suppress(CommandFailed):
            self.exec("kamailio", "kamcmd", "ul.rm", "location", aor)

    @property
    def sip(self) -> Address:
        """The address that Kamailio itself says it listens on."""
        found = re.search(r"ready on udp:([\d.]+):(\d+)", self.log("kamailio"))
        assert found, self.log("kamailio")
        return found[1], int(found[2])

    def remove(self) -> None:
        """Remove containers and volumes."""
        self.compose("down", "--volumes", "--remove-orphans")

    def close(self) -> None:
        """Remove containers, volumes and the clone."""
        try:
            self.remove()
        finally:
            shutil.rmtree(self.directory.parent, ignore_errors=True)


def git(directory: Path, *words: str) -> str:
    """Run git in a directory."""
    return MACHINE.run("git", "-c", "safe.directory=*", "-C", str(directory), *words)


def tracked_files() -> list[str]:
    """The files that a clone would have, with what is changed or new and not ignored."""
    shown = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard")
    return [name for name in shown.splitlines() if (ROOT / name).is_file()]


def _unset() -> Mapping[str, str]:
    """docker compose prefers the environment to .env: none of our settings may be in it."""
    text = (ROOT / FILE).read_text()
    return dict.fromkeys(set(re.findall(r"^ +([A-Z][A-Z_]+):$", text, re.M)) & set(os.environ), "")


FILE = "docker-compose.yml"
ENVIRONMENT = {**_unset(), "COMPOSE_PROJECT_NAME": PROJECT}
