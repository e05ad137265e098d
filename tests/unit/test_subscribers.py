"""Subscribers in SQLite, and the values they are made of: addresses, passwords, DBURL."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi_routes.subscribers.address import AoR, parse_domain
from kemi_routes.subscribers.credentials import check_password, credentials, generate_password
from kemi_routes.subscribers.database import connect
from kemi_routes.subscribers.dburl import PostgresURL, SqliteURL, parse_dburl
from kemi_routes.subscribers.errors import (
    BadAddress,
    BadDatabaseURL,
    BadPassword,
    DatabaseBusy,
    DatabaseDenied,
    DatabaseFault,
    DatabaseUnreachable,
    SchemaMissing,
    UnknownScheme,
)
from kemi_routes.subscribers.schema import initialise
from kemi_routes.subscribers.store import open_store
from tests.subscriber_behaviour import StoreBehaviour


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the SQLite file is to be."""
    return tmp_path / "kamailio.sqlite"


@pytest.fixture
def dburl(path: Path) -> str:
    """The DBURL of that file."""
    return f"sqlite://{path}"


class TestSqlite(StoreBehaviour):
    """The behaviour both databases share."""

    def test_a_database_without_tables_says_how_to_make_them(self, dburl: str) -> None:
        """A file that is there but empty, as Kamailio itself may make it."""
        parse = parse_dburl(dburl)
        assert isinstance(parse, SqliteURL)
        parse.path.touch()
        super().test_a_database_without_tables_says_how_to_make_them(dburl)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_a_new_file_is_closed_to_others_and_in_wal_mode(path: Path, dburl: str) -> None:
    """HA1 is as good as the password; with WAL the server reads while somebody writes."""
    initialise(dburl)
    with connect(dburl) as database:
        database.execute("DELETE FROM version WHERE table_name = 'none'")
        assert database.rows("PRAGMA journal_mode") == [("wal",)]
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes.pop(path.name) == 0o640
    assert set(modes.values()) <= {0o640}


def test_a_first_start_waits_for_another_that_writes_already(
    path: Path, dburl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself does not wait for the lock that switching on WAL needs."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE of_the_other (x)")
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def end_the_other(seconds: float) -> None:
        waits.append(seconds)
        other.close()

    monkeypatch.setattr(time, "sleep", end_the_other)
    assert len(initialise(dburl)) == 4
    assert len(waits) == 1


def test_opening_a_database_that_is_not_there_does_not_make_it(path: Path, dburl: str) -> None:
    """A mistyped DBURL would otherwise look like a server without subscribers."""
    with pytest.raises(SchemaMissing, match=rf"{path}: run kemi-routes db init"):
        open_store(dburl)
    assert not path.exists()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """It is not made: it may be a mount that is not there yet."""
    with pytest.raises(DatabaseUnreachable, match=r"there is no directory .*/no: make it first"):
        initialise(f"sqlite://{tmp_path}/no/kamailio.sqlite")


def test_a_directory_where_no_file_can_be_made_is_named() -> None:
    """/proc refuses even root."""
    with pytest.raises(DatabaseDenied, match="make /proc writable"):
        initialise("sqlite:///proc/kamailio.sqlite")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    """Neither to open nor to initialise."""
    for use in (open_store, initialise):
        with pytest.raises(DatabaseUnreachable, match="is not a file"):
            use(f"sqlite://{tmp_path}")


def test_a_file_of_another_kind_is_left_alone(path: Path, dburl: str) -> None:
    """The error asks to move it away."""
    path.write_text("A shopping list, much longer than the header of a database. " * 20)
    before = path.read_text()
    for use in (open_store, initialise):
        with pytest.raises(DatabaseFault, match="is not a SQLite database: move that file away"):
            use(dburl)
    assert path.read_text() == before


def test_a_file_another_process_keeps_locked_is_busy(dburl: str) -> None:
    """Reading goes on meanwhile."""
    initialise(dburl)
    with connect(dburl) as holder, connect(dburl) as waiter, holder.transaction():
        waiter.rows("PRAGMA busy_timeout = 1")
        with pytest.raises(DatabaseBusy, match="try again"):
            waiter.execute("DELETE FROM subscriber")
        assert waiter.rows("SELECT count(*) FROM subscriber") == [(0,)]


def test_a_database_that_may_only_be_read_says_so(dburl: str) -> None:
    """SQLite has the same error for a file without write permission."""
    initialise(dburl)
    with connect(dburl) as database:
        database.rows("PRAGMA query_only = 1")
        with pytest.raises(DatabaseDenied, match="make the file and its directory writable"):
            database.execute("DELETE FROM subscriber")


@pytest.mark.parametrize(
    ("text", "user", "domain"),
    [
        ("1111@example.test", "1111", "example.test"),
        (" sip:Alice@Example.TEST\n", "Alice", "example.test"),
        ("SIP:a@b", "a", "b"),
        ("a-_.+!~*'()&=$,@example.test", "a-_.+!~*'()&=$,", "example.test"),
        ("a@192.0.2.1", "a", "192.0.2.1"),
        ("a@[2001:DB8::1]", "a", "[2001:db8::1]"),
        ("a@xn--bcher-kva.example", "a", "xn--bcher-kva.example"),
    ],
)
def test_an_address_of_record_is_read(text: str, user: str, domain: str) -> None:
    """The domain in lower case, the user as it is."""
    assert AoR.parse(text) == AoR(user, domain)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1111", "write it as user@domain"),
        ("", "write it as user@domain"),
        ("@example.test", "user part"),
        ("a b@example.test", "user part"),
        ("a:b@example.test", "user part"),
        ("sips:a@example.test", "user part"),
        ("a;x=1@example.test", "user part"),
        ("a%40b@example.test", "user part"),
        ("ä@example.test", "user part"),
        ("a\0@example.test", "user part"),
        ("a\n@example.test", "user part"),
        ("x" * 65 + "@example.test", "65 characters: at most 64"),
        ("a@", "domain"),
        ("a@b@c", "domain"),
        ("a@example.test:5060", "without a port"),
        ("a@example.test;transport=tcp", "without a port or parameters"),
        ("a@example..test", "domain"),
        ("a@example.test.", "domain"),
        ("a@-x.test", "domain"),
        ("a@ex_ample.test", "domain"),
        ("a@bücher.example", "domain"),
        ("a@999.0.2.1", "domain"),
        ("a@2001:db8::1", "domain"),
        ("a@[2001:db8::1", "domain"),
        ("a@[fe80::1%eth0]", "domain"),
        ("a@[192.0.2.1]", "domain"),
        ("a@" + "x" * 60 + ".test", "65 characters: at most 64"),
    ],
)
def test_what_is_no_address_of_record_is_refused(text: str, reason: str) -> None:
    """In one line, with what to write instead."""
    with pytest.raises(BadAddress, match=reason) as caught:
        AoR.parse(text)
    assert "\n" not in str(caught.value)


def test_a_domain_on_its_own_is_read_like_that_of_an_address() -> None:
    """`subscriber list DOMAIN` takes one."""
    assert parse_domain("Example.Test") == "example.test"
    with pytest.raises(BadAddress):
        parse_domain("a@example.test")


def test_a_password_may_hold_colons_and_letters_of_any_alphabet() -> None:
    """HA1 is of its UTF-8 bytes, as in every phone that can send them."""
    kept = credentials(AoR("bob", "example.test"), "pässwörd:colon")
    assert kept.ha1 == "820153d72c6fbe2304dd648ac2e7400d"


def test_the_hash_is_of_the_algorithm_of_the_servers_challenges() -> None:
    """RFC 8760; 64 digits, which the columns have room for."""
    kept = credentials(AoR("bob", "example.test"), "secret", "SHA-256")
    expected = hashlib.sha256(b"bob:example.test:secret").hexdigest()
    assert (kept.ha1, len(kept.ha1b)) == (expected, 64)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "empty"),
        ("s3cr3t\n", "line break"),
        ("s3\rcr3t", "line break"),
        ("s3cr3t\0", "NUL"),
        ("s3cr3t" * 43, "258 characters: at most 256"),
        ("s3cr3t\udcff", "UTF-8"),
    ],
)
def test_a_password_no_phone_could_send_is_refused_without_being_shown(
    password: str, reason: str
) -> None:
    """The message may end in a log."""
    with pytest.raises(BadPassword, match=reason) as caught:
        check_password(password)
    assert "s3" not in str(caught.value)


def test_a_password_of_256_characters_is_accepted() -> None:
    """The limit itself is still allowed."""
    check_password("ä" * 256)


def test_generated_passwords_differ_and_are_accepted() -> None:
    """And need no quoting in a shell or in XML."""
    passwords = {generate_password() for _ in range(100)}
    assert len(passwords) == 100
    for password in passwords:
        check_password(password)
        assert len(password) == 24
        assert password.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    ["sqlite:///var/lib/k.sqlite", "sqlite:////var/lib/k.sqlite", "sqlite://///var/lib/k.sqlite"],
)
def test_a_sqlite_url_is_absolute_however_many_slashes_it_has(text: str) -> None:
    """For Kamailio it gets four: with three the path depends on Kamailio's working directory."""
    url = parse_dburl(text)
    assert url == SqliteURL(Path("/var/lib/k.sqlite"))
    assert url.kamailio == "sqlite:////var/lib/k.sqlite"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (
            "postgres://kamailio:secret@db.test:5433/sip",
            PostgresURL("db.test", "sip", 5433, "kamailio", "secret"),
        ),
        ("postgresql://me@db/sip", PostgresURL("db", "sip", None, "me")),
        ("postgres://db/sip", PostgresURL("db", "sip")),
        ("postgres://u:p@[2001:db8::1]:1/d", PostgresURL("2001:db8::1", "d", 1, "u", "p")),
        ("postgres://u:a@b:c?%40@db/d", PostgresURL("db", "d", None, "u", "a@b:c?%40")),
    ],
)
def test_a_postgres_url_is_read_as_kamailio_reads_it(text: str, url: PostgresURL) -> None:
    """Nothing is %-decoded and the last @ ends the password; one form goes to Kamailio."""
    assert parse_dburl(text) == url
    assert url.kamailio == text.replace("postgresql:", "postgres:")


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("", BadDatabaseURL, "write it as"),
        ("/var/lib/k.sqlite", BadDatabaseURL, "write it as"),
        ("u:s3cret@db://x", BadDatabaseURL, "write it as"),
        ("mysql://u:s3cret@db/d", UnknownScheme, "'mysql'"),
        ("sqlite://k.sqlite", BadDatabaseURL, "absolute path"),
        ("sqlite:///", BadDatabaseURL, "absolute path"),
        ("sqlite:///a?b", BadDatabaseURL, r"'\?'"),
        ("sqlite:///" + "a" * 1020, BadDatabaseURL, "1030 characters"),
        ('sqlite:///a"b', BadDatabaseURL, "quote"),
        ("postgres://u:s3cret\n@db/d", BadDatabaseURL, "control character"),
        ("postgres://u:s3cret@db", BadDatabaseURL, "not complete"),
        ("postgres://u:s3cret@/d", BadDatabaseURL, "not complete"),
        ("postgres://u:s3cret@db:x/d", BadDatabaseURL, "not complete"),
        ("postgres://u:s3cret/x@db/d", BadDatabaseURL, "'/' in DBURL's password"),
        ("postgres://u:s3cret@db:0/d", BadDatabaseURL, "between 1 and 65535"),
        ("postgres://u:s3cret@db:65536/d", BadDatabaseURL, "between 1 and 65535"),
        ("postgres://u:s3cret@db/d?sslmode=require", BadDatabaseURL, "PGSSLMODE"),
    ],
)
def test_a_url_kamailio_could_not_read_is_refused_without_its_password(
    text: str, error: type[Exception], reason: str
) -> None:
    """Before Kamailio starts, and in words that say what to write."""
    with pytest.raises(error, match=reason) as caught:
        parse_dburl(text)
    assert "s3cret" not in str(caught.value)


def test_no_way_of_printing_a_url_shows_its_password() -> None:
    """But `kamailio`, which is for kamailio.cfg."""
    url = parse_dburl("postgres://u:s3cret@db/d")
    assert str(url) == "postgres://u:***@db/d"
    assert "s3cret" not in f"{url} {url!r}"
