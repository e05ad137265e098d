"""DBURL, read as Kamailio does (lib/srdb1): no %-decoding, the last @ ends the password."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import field, frozen

from kemi_routes.subscribers.errors import BadDatabaseURL, UnknownScheme

MAX_URL = 1023  # characters: srdb1's MAX_URL_LENGTH
_POSTGRES = re.compile(
    r"(?:(?P<user>[^:@/\[\]]+)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:/@\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
    r"/(?P<database>[^/]+)"
)
_FORMS = "sqlite:///abs/path.sqlite or postgres://user:password@host:port/database"


@frozen
class SqliteURL:
    """A SQLite file, by its absolute path."""

    path: Path

    @property
    def kamailio(self) -> str:
        """The URL for db_sqlite. The fourth slash keeps the path absolute under `kamailio -w`."""
        return f"sqlite:///{self.path}"

    def __str__(self) -> str:
        return self.kamailio


@frozen
class PostgresURL:
    """A PostgreSQL database; what is None is left to libpq and its PG* environment variables."""

    host: str
    database: str
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def kamailio(self) -> str:
        """The URL for db_postgres, with the password."""
        return self._render(self.password)

    def __str__(self) -> str:
        return self._render(None if self.password is None else "***")

    def _render(self, password: str | None) -> str:
        login = "" if self.user is None else self.user
        if password is not None:
            login += f":{password}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"postgres://{login}{'@' if login else ''}{host}{port}/{self.database}"


DatabaseURL = SqliteURL | PostgresURL


def parse_dburl(text: str) -> DatabaseURL:
    """Read DBURL; `str()` of the answer masks the password.

    Errors: UnknownScheme, BadDatabaseURL. Neither shows a password.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z0-9+_-]+", scheme):
        raise BadDatabaseURL(f"DBURL is not a database URL: write it as {_FORMS}")
    if len(text) > MAX_URL:
        raise BadDatabaseURL(f"DBURL has {len(text)} characters: Kamailio reads at most {MAX_URL}")
    if re.search(r'[\x00-\x1f\x7f"\\]', text):
        raise BadDatabaseURL(
            'DBURL holds a quote ("), a backslash or a control character, '
            "which kamailio.cfg cannot carry: choose a path or password without"
        )
    if scheme == "sqlite":
        return _sqlite(rest)
    if scheme in {"postgres", "postgresql"}:
        return _postgres(rest)
    raise UnknownScheme(f"DBURL begins with {scheme!r}, which is not supported: use {_FORMS}")


def _sqlite(rest: str) -> SqliteURL:
    if not rest.startswith("/") or not rest.strip("/"):
        raise BadDatabaseURL("DBURL needs an absolute path: write it as sqlite:///abs/path.sqlite")
    if "?" in rest:
        raise BadDatabaseURL("DBURL holds a '?', where Kamailio ends the path: rename the file")
    return SqliteURL(Path("/" + rest.lstrip("/")))


def _postgres(rest: str) -> PostgresURL:
    match = _POSTGRES.fullmatch(rest)
    if match is None:
        raise BadDatabaseURL(
            "DBURL is not complete: write it as postgres://user:password@host:port/database"
        )
    host, database, port, user, password = match.group(
        "host", "database", "port", "user", "password"
    )
    if "/" in (password or ""):
        raise BadDatabaseURL("Kamailio cannot read a '/' in DBURL's password: choose one without")
    if "?" in database:
        raise BadDatabaseURL(
            "DBURL has parameters after '?', which Kamailio ignores: "
            "set them as PG* environment variables, for example PGSSLMODE=require"
        )
    if port is not None and not 1 <= int(port) <= 65535:
        raise BadDatabaseURL(f"DBURL's port {port} is not between 1 and 65535")
    return PostgresURL(host.strip("[]"), database, int(port) if port else None, user, password)
