"""Our tables beside those of Kamailio's own tools: kamctl and kamdbctl take them for their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kemi_routes.subscribers.database import Database, connect
from kemi_routes.subscribers.schema import LOCATION, LOCATION_ATTRS, SUBSCRIBER, VERSION, initialise
from kemi_routes.subscribers.store import open_store
from tests.subscriber_behaviour import stored

from .network import CLEAN_PATH
from .postgres import PostgresServer
from .requirement import require

TABLES = (VERSION, SUBSCRIBER, LOCATION, LOCATION_ATTRS)
SCHEMAS = Path("/usr/share/kamailio")
FILES = ("standard", "auth_db", "usrloc")


@pytest.fixture(params=["sqlite", "postgres"])
def dburls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Two empty databases of one kind."""
    require("kamctl", "kamdbctl", "sqlite3", "psql")
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database(), server.new_database()
    for name in ("a", "b"):
        (tmp_path / name).touch()
    return f"sqlite://{tmp_path}/a", f"sqlite://{tmp_path}/b"


def test_our_tables_are_those_of_kamailios_own_files(dburls: tuple[str, str]) -> None:
    """Columns, types, defaults, constraints, indices and versions, as the database sees them."""
    ours, theirs = dburls
    initialise(ours)
    load_kamailio_schema(theirs)
    assert structure(ours) == structure(theirs)


def test_tables_of_kamailios_own_files_are_left_as_they_are(dburls: tuple[str, str]) -> None:
    """`db init` on a database that is in use already."""
    dburl, _ = dburls
    load_kamailio_schema(dburl)
    with connect(dburl) as database:
        database.execute(
            "INSERT INTO subscriber (username, domain, ha1) VALUES ('1111', 'example.test', 'kept')"
        )
    before = structure(dburl)
    assert initialise(dburl) == ()
    assert structure(dburl) == before
    assert stored(dburl)["1111@example.test"] == ("", "kept", "")


def test_kamctl_shows_our_subscriber_and_we_list_that_of_kamctl(
    dburls: tuple[str, str], tmp_path: Path
) -> None:
    """And both make the same hashes of the same password."""
    dburl, other = dburls
    initialise(dburl)
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
    assert "1111@example.test" in kamctl(tmp_path, dburl, "db", "show", "subscriber").replace(
        "\t", "@"
    ).replace("|", "@")
    kamctl(tmp_path, dburl, "add", "2222@example.test", "secret")
    initialise(other)
    with open_store(dburl) as store, open_store(other) as reference:
        assert [str(aor) for aor in store.list()] == ["1111@example.test", "2222@example.test"]
        reference.add("2222@example.test", "secret")
    assert stored(dburl)["2222@example.test"][1:] == stored(other)["2222@example.test"][1:]


def test_a_database_of_kamdbctl_serves_our_subscribers(tmp_path: Path) -> None:
    """With all the tables of the modules we do not use around them."""
    require("kamctl", "kamdbctl", "sqlite3")
    dburl = f"sqlite://{tmp_path}/kamailio.sqlite"
    tool(tmp_path, dburl, "kamdbctl", "create", f"{tmp_path}/kamailio.sqlite")
    assert initialise(dburl) == ()
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
        assert store.exists("1111@example.test")


def load_kamailio_schema(dburl: str) -> None:
    """Run Kamailio's SQL files, as kamdbctl does."""
    directory = SCHEMAS / ("db_sqlite" if dburl.startswith("sqlite") else "postgres")
    statements = ";".join((directory / f"{name}-create.sql").read_text() for name in FILES)
    with connect(dburl) as database:
        for statement in statements.split(";"):
            if statement.strip():
                database.execute(statement)


def structure(dburl: str) -> dict[str, list[tuple[object, ...]]]:
    """All the database knows of our four tables, and the version rows."""
    with connect(dburl) as database:
        ask = _sqlite_structure if dburl.startswith("sqlite") else _postgres_structure
        found = {table.name: ask(database, table.name) for table in TABLES}
        found["versions"] = database.rows(
            "SELECT table_name, table_version FROM version ORDER BY table_name"
        )
    assert all(len(rows) > 2 for rows in found.values())
    return found


def _sqlite_structure(database: Database, table: str) -> list[tuple[object, ...]]:
    columns = database.rows("SELECT * FROM pragma_table_info(?)", (table,))
    indices = database.rows(
        'SELECT list.name, list."unique", list.origin, column.seqno, column.name '
        "FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS column "
        "ORDER BY list.name, column.seqno",
        (table,),
    )
    return columns + indices


def _postgres_structure(database: Database, table: str) -> list[tuple[object, ...]]:
    columns = database.rows(
        "SELECT column_name, ordinal_position, column_default, is_nullable, data_type, "
        "character_maximum_length FROM information_schema.columns WHERE table_name = ? "
        "ORDER BY ordinal_position",
        (table,),
    )
    indices = database.rows(
        "SELECT indexdef FROM pg_indexes WHERE tablename = ? ORDER BY indexname", (table,)
    )
    constraints = database.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = ?::regclass ORDER BY conname",
        (table,),
    )
    return columns + indices + constraints


def kamctl(home: Path, dburl: str, *words: str) -> str:
    """Run kamctl on a database and return what it prints."""
    return tool(home, dburl, "kamctl", *words)


def tool(home: Path, dburl: str, *words: str) -> str:
    """Run one of Kamailio's tools, which read their settings from the home directory."""
    url = urlsplit(dburl)
    settings = {"SIP_DOMAIN": "example.test"}
    settings |= {f"INSTALL_{kind}_TABLES": "no" for kind in ("EXTRA", "PRESENCE", "DBUID")}
    if url.scheme == "sqlite":
        settings |= {"DBENGINE": "SQLITE", "DB_PATH": url.path}
    else:
        settings |= {"DBENGINE": "PGSQL", "DBHOST": url.hostname or "", "DBPORT": str(url.port)}
        settings |= {"DBNAME": url.path[1:], "DBRWUSER": url.username or ""}
        settings |= {"DBROUSER": url.username or "", "DBROPW": url.password or ""}
        settings |= {"DBRWPW": url.password or ""}
    lines = [f"{name}='{value}'\n" for name, value in settings.items()]
    (home / ".kamctlrc").write_text("".join(lines))
    done = subprocess.run(
        words,
        env=os.environ | {"HOME": str(home), "PATH": CLEAN_PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
