"""`kemi-routes db upgrade` on SQLite; PostgreSQL is in tests/stack and tests/live."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kemi_routes import cli
from kemi_routes.subscribers.database import connect
from kemi_routes.subscribers.errors import SchemaOutdated
from kemi_routes.subscribers.schema import LOCATION, SUBSCRIBER, initialise, versions
from kemi_routes.subscribers.store import open_store
from kemi_routes.subscribers.upgrade import STEPS, upgrade

AOR = "1111@example.test"
NEWER = ("server_id", "connection_id", "keepalive", "partition")


@pytest.fixture
def dburl(tmp_path: Path) -> str:
    """A database with the tables of Kamailio 4.0 and a subscriber in them."""
    url = f"sqlite://{tmp_path}/k.sqlite"
    initialise(url)
    with open_store(url) as store:
        store.add(AOR, "secret")
    with sqlite3.connect(tmp_path / "k.sqlite") as database:
        for index in ("location_connection_idx", "location_tcpcon_idx"):
            database.execute(f"DROP INDEX {index}")
        for column in NEWER:
            database.execute(f"ALTER TABLE location DROP COLUMN {column}")
        set_version(url, "location", 6)
        set_version(url, "subscriber", 6)
    return url


def set_version(dburl: str, table: str, version: int) -> None:
    """Let a table claim a version."""
    with connect(dburl) as database:
        database.execute(
            "UPDATE version SET table_version = ? WHERE table_name = ?", (version, table)
        )


def structure(dburl: str) -> list[tuple[str, ...]]:
    """Columns and indices of the table that the steps change most."""
    with connect(dburl) as database:
        columns = database.rows("SELECT name, type FROM pragma_table_info('location')")
        indices = database.rows("SELECT name FROM sqlite_master WHERE type = 'index'")
    return sorted([*columns, *indices])


def test_older_tables_become_those_of_today_and_keep_their_rows(dburl: str, tmp_path: Path) -> None:
    new = f"sqlite://{tmp_path}/new.sqlite"
    initialise(new)
    assert structure(dburl) != structure(new)
    done = upgrade(dburl)
    assert len(done) == len(STEPS)
    assert structure(dburl) == structure(new)
    with connect(dburl) as database:
        found = versions(database)
    assert (found["location"], found["subscriber"]) == (LOCATION.version, SUBSCRIBER.version)
    with open_store(dburl) as store:
        assert store.exists(AOR)


def test_a_second_upgrade_does_nothing(dburl: str) -> None:
    upgrade(dburl)
    assert upgrade(dburl) == ()


def test_an_upgrade_that_was_interrupted_between_two_versions_is_continued(dburl: str) -> None:
    upgrade(dburl)
    set_version(dburl, "location", 8)
    assert upgrade(dburl) == ("brought location to version 9",)


def test_an_empty_database_gets_its_tables(tmp_path: Path) -> None:
    done = upgrade(f"sqlite://{tmp_path}/empty.sqlite")
    assert "made subscriber" in done
    assert "made location" in done


@pytest.mark.parametrize("version", [5, 10])
def test_tables_that_no_step_leads_from_are_left_as_they_are(dburl: str, version: int) -> None:
    """Too old, or made by a Kamailio that is newer than these steps."""
    set_version(dburl, "location", version)
    before = structure(dburl)
    with pytest.raises(SchemaOutdated, match=f"location has version {version}"):
        upgrade(dburl)
    assert structure(dburl) == before


def test_the_command_says_what_it_did(dburl: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["db", "upgrade", "--dburl", dburl]) == 0
    assert "brought location to version 9" in capsys.readouterr().out
    assert cli.main(["db", "upgrade", "--dburl", dburl]) == 0
    assert "all tables are up to date" in capsys.readouterr().out
