"""What both databases do for subscribers, written once: a test class inherits it and says where."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kemi_routes.subscribers.database import Database, connect
from kemi_routes.subscribers.errors import (
    BadAddress,
    BadPassword,
    DuplicateRow,
    NoSuchSubscriber,
    SchemaMissing,
    SchemaOutdated,
    StoreError,
    SubscriberExists,
)
from kemi_routes.subscribers.schema import announces, initialise
from kemi_routes.subscribers.store import Store, open_store

ALL_TABLES = ("version", "subscriber", "location", "location_attrs")
# md5sum of "1111:example.test:correct horse" and of "1111@example.test:example.test:correct horse"
HA1 = "9a642a439b06eb1ca44d8e3788ecefaa"
HA1B = "efd0c70ad1318a660bcd4e740a8feef3"


def stored(dburl: str) -> dict[str, tuple[str, str, str]]:
    """The columns password, ha1 and ha1b of every subscriber, by AoR."""
    with connect(dburl) as database:
        rows = database.rows("SELECT username, domain, password, ha1, ha1b FROM subscriber")
    return {f"{user}@{domain}": (password, ha1, ha1b) for user, domain, password, ha1, ha1b in rows}


def change(dburl: str, *statements: str) -> None:
    """Run SQL behind the back of the store."""
    with connect(dburl) as database:
        for statement in statements:
            database.execute(statement)


def _made(database: Database) -> str:
    return " ".join(database.announcement.make).replace("IF NOT EXISTS ", "")


class StoreBehaviour:
    """Needs the fixture `dburl`: a database that is there (or, SQLite, may be made) and empty."""

    @pytest.fixture
    def store(self, dburl: str) -> Iterator[Store]:
        """An initialised, open store."""
        initialise(dburl)
        with open_store(dburl) as store:
            yield store

    def test_an_added_subscriber_is_kept_as_two_hashes_and_no_password(
        self, dburl: str, store: Store
    ) -> None:
        """auth_db reads ha1, or ha1b for phones that send user@domain as the username."""
        store.add("1111@example.test", "correct horse")
        assert stored(dburl) == {"1111@example.test": ("", HA1, HA1B)}

    def test_the_domain_is_lower_case_in_table_and_hash_alike(
        self, dburl: str, store: Store
    ) -> None:
        """The realm of the challenge is SIP_DOMAIN, which is lower case."""
        assert str(store.add("sip:1111@EXAMPLE.test", "correct horse")) == "1111@example.test"
        assert stored(dburl) == {"1111@example.test": ("", HA1, HA1B)}

    def test_adding_a_subscriber_again_is_refused_and_keeps_the_first_password(
        self, dburl: str, store: Store
    ) -> None:
        """The error names the command that changes a password."""
        store.add("1111@example.test", "correct horse")
        with pytest.raises(SubscriberExists, match="subscriber passwd"):
            store.add("1111@example.test", "another")
        assert stored(dburl)["1111@example.test"][1] == HA1

    def test_two_subscribers_may_not_differ_in_case_only(self, store: Store) -> None:
        """The registrar would give both the same bindings, so each would get the other's calls."""
        store.add("alice@example.test", "one")
        with pytest.raises(SubscriberExists, match=r"Alice@example\.test .* alice@example\.test"):
            store.add("Alice@example.test", "two")
        store.add("Alice@example.org", "three")
        assert [str(aor) for aor in store.list()] == ["Alice@example.org", "alice@example.test"]

    def test_of_two_adds_at_the_same_time_one_is_refused(self, dburl: str, store: Store) -> None:
        """Neither ends in an error of the database."""

        def add(number: int) -> str:
            with open_store(dburl) as other:
                try:
                    other.add("1111@example.test", f"password {number}")
                except SubscriberExists:
                    return "refused"
                return "added"

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(add, range(4))) == ["added", "refused", "refused", "refused"]

    def test_a_new_password_replaces_both_hashes(self, dburl: str, store: Store) -> None:
        """A password that kamctl left in plain text goes as well."""
        store.add("1111@example.test", "old")
        change(dburl, "UPDATE subscriber SET password = 'plain'")
        store.set_password("1111@example.test", "correct horse")
        assert stored(dburl) == {"1111@example.test": ("", HA1, HA1B)}

    def test_a_new_password_leaves_the_other_subscribers_alone(
        self, dburl: str, store: Store
    ) -> None:
        """Neither the same user elsewhere nor another user of the domain changes."""
        for address in ("1111@example.test", "1111@example.org", "2222@example.test"):
            store.add(address, "old")
        before = stored(dburl)
        store.set_password("1111@example.test", "new")
        after = stored(dburl)
        assert [aor for aor in before if before[aor] != after[aor]] == ["1111@example.test"]

    def test_only_the_named_subscriber_is_removed(self, store: Store) -> None:
        """And may be added again."""
        for address in ("1111@example.test", "1111@example.org", "2222@example.test"):
            store.add(address, "x")
        store.remove("1111@example.test")
        assert not store.exists("1111@example.test")
        assert store.exists("1111@example.org")
        assert store.exists("2222@example.test")
        store.add("1111@example.test", "x")

    @pytest.mark.parametrize("action", ["set_password", "remove"])
    def test_a_subscriber_who_is_not_there_is_named(self, store: Store, action: str) -> None:
        """The error names the command that shows who is."""
        words = ["9999@example.test"] + ["x"] * (action == "set_password")
        with pytest.raises(NoSuchSubscriber, match=r"9999@example\.test.*subscriber list"):
            getattr(store, action)(*words)

    def test_the_list_is_in_byte_order_and_can_be_of_one_domain(self, store: Store) -> None:
        """The order does not depend on the locale of the database."""
        for address in ("b@example.test", "B1@example.test", "a@example.test", "a@example.org"):
            store.add(address, "x")
        listed = [str(aor) for aor in store.list()]
        assert listed == ["B1@example.test", "a@example.org", "a@example.test", "b@example.test"]
        assert [str(aor) for aor in store.list("Example.ORG")] == ["a@example.org"]
        assert list(store.list("example.net")) == []

    @pytest.mark.parametrize("user", ["o'brien", "a'(1)='$1,~*!&+", "x" * 64])
    def test_every_user_part_that_is_allowed_survives_the_database(
        self, store: Store, user: str
    ) -> None:
        """Values travel beside the SQL, never in it."""
        store.add(f"{user}@example.test", "x")
        assert store.exists(f"{user}@example.test")
        assert [aor.user for aor in store.list()] == [user]
        store.remove(f"{user}@example.test")
        assert list(store.list()) == []

    def test_bad_input_leaves_the_table_as_it_is(self, dburl: str, store: Store) -> None:
        """Both are found before anything is written."""
        with pytest.raises(BadAddress):
            store.add("1111", "x")
        with pytest.raises(BadPassword):
            store.add("1111@example.test", "")
        assert stored(dburl) == {}

    def test_the_first_initialisation_makes_all_tables(self, dburl: str) -> None:
        """With the version numbers Kamailio's modules ask for."""
        assert initialise(dburl) == ALL_TABLES
        with connect(dburl) as database:
            versions = dict(database.rows("SELECT table_name, table_version FROM version"))
        assert versions == {"version": 1, "subscriber": 7, "location": 9, "location_attrs": 1}

    def test_a_second_initialisation_makes_nothing_and_keeps_the_subscribers(
        self, dburl: str, store: Store
    ) -> None:
        """`make run` initialises at every start."""
        store.add("1111@example.test", "x")
        assert initialise(dburl) == ()
        assert store.exists("1111@example.test")

    def test_an_older_database_learns_to_announce_changed_subscribers(
        self, dburl: str, store: Store
    ) -> None:
        """Without a new table of subscribers, and as often as it is asked to."""
        store.add("1111@example.test", "x")
        with connect(dburl) as database:
            for trigger in re.findall(r"TRIGGER (kemi_routes_\w+) AFTER", _made(database)):
                on = " ON subscriber" if dburl.startswith("postgres") else ""
                database.execute(f"DROP TRIGGER {trigger}{on}")
            assert not announces(database)
            assert initialise(dburl) == initialise(dburl) == ()
            assert announces(database)
        assert store.exists("1111@example.test")

    def test_initialisations_at_the_same_time_make_each_table_once(self, dburl: str) -> None:
        """None of them fails."""
        command = [sys.executable, "-m", "kemi_routes.cli", "db", "init"]
        environment = os.environ | {"DBURL": dburl}
        starts = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        answers = [start.communicate()[0] for start in starts]
        assert [start.returncode for start in starts] == [0] * 4
        assert sorted("made the tables" in answer for answer in answers) == [False] * 3 + [True]

    def test_a_missing_table_is_made_beside_those_that_are_there(
        self, dburl: str, store: Store
    ) -> None:
        """As after an upgrade that needs a table more."""
        store.add("1111@example.test", "x")
        change(dburl, "DROP TABLE location_attrs")
        assert initialise(dburl) == ("location_attrs",)
        assert store.exists("1111@example.test")

    def test_a_table_of_another_version_is_named_with_both_numbers(
        self, dburl: str, store: Store
    ) -> None:
        """Kamailio would refuse it at start."""
        change(dburl, "UPDATE version SET table_version = 6 WHERE table_name = 'subscriber'")
        for use in (open_store, initialise):
            with pytest.raises(SchemaOutdated, match=r"table subscriber has version 6, .* need 7:"):
                use(dburl)

    def test_a_table_without_a_version_is_not_trusted(self, dburl: str, store: Store) -> None:
        """Whoever made it, Kamailio would not open it."""
        change(dburl, "DELETE FROM version WHERE table_name = 'location'")
        with pytest.raises(SchemaOutdated, match="table location has version unknown"):
            initialise(dburl)

    def test_a_refused_initialisation_leaves_no_table_behind(
        self, dburl: str, store: Store
    ) -> None:
        """All of it is one transaction."""
        change(
            dburl,
            "DROP TABLE location_attrs",
            "UPDATE version SET table_version = 1 WHERE table_name = 'location'",
        )
        with pytest.raises(SchemaOutdated):
            initialise(dburl)
        with connect(dburl) as database:
            assert not database.has_table("location_attrs")

    def test_a_database_without_tables_says_how_to_make_them(self, dburl: str) -> None:
        """Also when only the subscribers are missing, or vanish under an open store."""
        with pytest.raises(SchemaMissing, match="run kemi-routes db init"):
            open_store(dburl)
        initialise(dburl)
        with open_store(dburl) as store:
            change(dburl, "DROP TABLE subscriber")
            with pytest.raises(SchemaMissing, match="run kemi-routes db init"):
                store.exists("1111@example.test")
        with pytest.raises(SchemaMissing, match="no table subscriber: run kemi-routes db init"):
            open_store(dburl)

    def test_a_transaction_that_fails_changes_nothing(self, dburl: str, store: Store) -> None:
        """And the connection serves the next one."""
        insert = "INSERT INTO version (table_name, table_version) VALUES (?, ?)"
        with connect(dburl) as database:
            with pytest.raises(DuplicateRow):
                self._insert_twice(database, insert)
            with database.transaction():
                assert database.execute(insert, ("another", 1)) == 1
            rows = database.rows("SELECT table_version FROM version WHERE table_name = 'another'")
        assert rows == [(1,)]

    def test_what_the_database_says_is_one_line_with_its_name(self, dburl: str) -> None:
        """Even for a fault nobody thought of."""
        initialise(dburl)
        with connect(dburl) as database, pytest.raises(StoreError) as caught:
            database.rows("SELECT nothing\nFROM version\nWHERE")
        assert str(caught.value).startswith(database.name)
        assert "\n" not in str(caught.value)

    @staticmethod
    def _insert_twice(database: Database, insert: str) -> None:
        with database.transaction():
            database.execute(insert, ("another", 2))
            database.execute(insert, ("another", 3))
