"""A PostgreSQL server of our own on loopback, which a test may stop, kill and start again."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

SUPERUSER = "postgres"  # the role, and the account the server runs as when we are root
USER = "kamailio"


def binaries() -> Path | None:
    """The directory of initdb and pg_ctl (Debian keeps it out of PATH), or None without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


class PostgresServer:
    """One server in a directory of its own, with password authentication (SCRAM).

    options    of the server's own, such as "-c autovacuum=off"

    Used as a context manager it is running inside and gone after. It keeps its port and its data
    over stop() and start().
    """

    def __init__(self, host: str = "127.0.0.1", options: str = "") -> None:
        self.host = host
        self._options = options
        self.password = secrets.token_urlsafe(12)
        self._super_password = secrets.token_urlsafe(12)
        self._databases = 0

    @property
    def url(self) -> str:
        """The DBURL of the database `kamailio`, owned by the user `kamailio`, empty at first."""
        return self.url_of("kamailio")

    def url_of(self, database: str) -> str:
        """The DBURL of a database, for the user `kamailio`."""
        return f"postgres://{USER}:{self.password}@{self.host}:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """Make another empty database of the user `kamailio` and return its DBURL."""
        self._databases += 1
        name = f"kamailio{self._databases}"
        self.administer(f"CREATE DATABASE {name} OWNER {USER} {options}")
        return self.url_of(name)

    def administer(self, *statements: str, database: str = "postgres") -> None:
        """Run SQL as the superuser, each statement on its own."""
        with psycopg.connect(
            host=self.host,
            port=self.port,
            user=SUPERUSER,
            password=self._super_password,
            dbname=database,
            autocommit=True,
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def start(self) -> None:
        """Start and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses={self.host} "
            f"-c unix_socket_directories={self._directory} -c fsync=off -c shared_buffers=16MB "
            f"{self._options}"
        )
        self._pg_ctl("start", "-l", str(self.log), "-o", options)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it and wait; `immediate` is a crash: clients are cut off, nothing is written."""
        self._pg_ctl("stop", "-m", "immediate" if immediate else "fast")

    def restart(self, *, immediate: bool = False) -> None:
        """Stop it, then start it on the same port with the same data."""
        self.stop(immediate=immediate)
        self.start()

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self._directory / "log"

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="kemi-postgres-"))
        try:
            self.port = _free_port(self.host)
            self._initialise()
            self.start()
            self.administer(
                f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'",
                f"CREATE DATABASE kamailio OWNER {USER}",
            )
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _initialise(self) -> None:
        password = self._directory / "password"
        password.write_text(self._super_password)
        if os.geteuid() == 0:
            for path in (self._directory, password):
                shutil.chown(path, SUPERUSER, SUPERUSER)
        self._run(
            "initdb",
            *("-D", str(self._data), "-U", SUPERUSER, f"--pwfile={password}"),
            *("--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )

    def _remove(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop(immediate=True)
        shutil.rmtree(self._directory)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _pg_ctl(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", *words)

    def _run(self, program: str, *words: str) -> None:
        directory = binaries()
        if directory is None:
            raise FileNotFoundError("PostgreSQL is missing: install the package postgresql")
        # PostgreSQL refuses to run as root.
        prefix = ["runuser", "-u", SUPERUSER, "--"] if os.geteuid() == 0 else []
        output = self._directory / f"{program}.out"  # a pipe would stay open with the server
        with output.open("w") as file:
            done = subprocess.run(
                [*prefix, directory / program, *words],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            log = self.log.read_text() if self.log.exists() else ""
            raise RuntimeError(f"{program} failed: {output.read_text()}{log}")


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
