"""A PostgreSQL server that is none of the project's, as a provider of databases runs one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.live.patience import eventually

from .engine import MACHINE, POSTGRES, works

NAME = "kemi-stack-test-elsewhere"
PORT = 25432
# The owner of a database, who may do nothing else on its server, and somebody who owns nothing.
ROLES = """
CREATE ROLE phones LOGIN PASSWORD '{password}' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE guest LOGIN PASSWORD '{password}';
CREATE DATABASE phones OWNER phones;
"""


class Elsewhere:
    """The running server, with the database `phones` of the role `phones`."""

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(12)

    def url(self, user: str = "phones") -> str:
        """The DBURL of the database, for its owner or for `guest`."""
        return f"postgres://{user}:{self.password}@127.0.0.1:{PORT}/phones"

    def sql(self, statements: str, user: str = "phones", database: str = "phones") -> str:
        """What psql prints for SQL, without headings."""
        who = ("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "/var/run/postgresql")
        where = ("-p", str(PORT), "-U", user, database)
        return MACHINE.run("docker", "exec", "-i", NAME, *who, *where, stdin=statements)


@contextmanager
def database_elsewhere() -> Iterator[Elsewhere]:
    """Start the server; it is gone afterwards, with its data."""
    server = Elsewhere()
    works("docker", "rm", "-fv", NAME)
    options = ("--rm", "--network=host", "-e", f"POSTGRES_PASSWORD={server.password}")
    address = ("-c", "listen_addresses=127.0.0.1", "-c", f"port={PORT}")
    MACHINE.run("docker", "run", "-d", "--name", NAME, *options, POSTGRES, "postgres", *address)
    try:
        ready = ("docker", "exec", NAME, "pg_isready", "-h", "127.0.0.1", "-p", str(PORT))
        eventually(lambda: works(*ready), "PostgreSQL elsewhere", 60)
        server.sql(ROLES.format(password=server.password), "postgres", "postgres")
        yield server
    finally:
        MACHINE.run("docker", "rm", "-fv", NAME)
