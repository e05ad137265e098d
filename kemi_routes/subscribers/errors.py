"""All that can go wrong on the database side. Each error is one line that says what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of this package; `str(error)` is one line, without any password."""


class Refused(StoreError):
    """The database is well and so is the question, but the answer is no."""


class BadInput(StoreError):
    """What was asked for is not written correctly."""


class DatabaseUnusable(StoreError):
    """The database cannot serve: not reachable, not initialised or not permitted."""


class SubscriberExists(Refused):
    """A subscriber with this AoR, or one that differs only in upper and lower case, is there."""


class NoSuchSubscriber(Refused):
    """No subscriber has this AoR."""


class BadAddress(BadInput):
    """Not an address of record."""


class BadPassword(BadInput):
    """A password no phone could use, or none at all. The message never shows it."""


class BadDatabaseURL(BadInput):
    """DBURL is missing, or Kamailio could not read it."""


class UnknownScheme(BadDatabaseURL):
    """DBURL names a database that is not supported."""


class DatabaseUnreachable(DatabaseUnusable):
    """There is no connection, or there is no more."""


class DatabaseBusy(DatabaseUnusable):
    """Another process holds the SQLite file for longer than one waits."""


class DatabaseDenied(DatabaseUnusable):
    """The database is there, but this user may not do that."""


class DatabaseFault(DatabaseUnusable):
    """Any other complaint of the database, in its own words."""


class DriverMissing(DatabaseUnusable):
    """The Python module for this database is not installed."""


class SchemaMissing(DatabaseUnusable):
    """The tables are not there yet."""


class SchemaOutdated(DatabaseUnusable):
    """A table belongs to another version of Kamailio than this package serves."""


class DuplicateRow(StoreError):
    """A row breaks a unique constraint; Store turns it into a named refusal."""
