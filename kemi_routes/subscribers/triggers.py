"""What makes a database announce changed subscribers: to our listener, whoever changes them."""

from __future__ import annotations

from attrs import frozen

CHANNEL = "kemi_routes_subscriber"


@frozen
class Announcement:
    """The triggers of one kind of database: how many there are, how to count and to make them."""

    count: int
    ask: str
    make: tuple[str, ...]


# A new subscriber needs no announcement: unknown users are remembered for a moment only.
POSTGRES = Announcement(
    2,
    "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass('subscriber') "
    "AND tgname IN ('kemi_routes_changed', 'kemi_routes_emptied') AND tgenabled IN ('O', 'A')",
    (
        "CREATE OR REPLACE FUNCTION kemi_routes_changed() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF TG_OP = 'TRUNCATE' THEN PERFORM pg_notify('{CHANNEL}', ''); ELSE "
        f"PERFORM pg_notify('{CHANNEL}', OLD.username || '@' || OLD.domain); END IF; "
        "RETURN NULL; END $$",
        "DROP TRIGGER IF EXISTS kemi_routes_changed ON subscriber",
        "DROP TRIGGER IF EXISTS kemi_routes_emptied ON subscriber",
        "CREATE TRIGGER kemi_routes_changed AFTER UPDATE OR DELETE ON subscriber "
        "FOR EACH ROW EXECUTE FUNCTION kemi_routes_changed()",
        "CREATE TRIGGER kemi_routes_emptied AFTER TRUNCATE ON subscriber "
        "EXECUTE FUNCTION kemi_routes_changed()",
        # also where logical replication writes the table
        "ALTER TABLE subscriber ENABLE ALWAYS TRIGGER kemi_routes_changed",
        "ALTER TABLE subscriber ENABLE ALWAYS TRIGGER kemi_routes_emptied",
    ),
)
_COUNT = "ON subscriber BEGIN UPDATE subscriber_changes SET changes = changes + 1; END"
# INSERT too: OR REPLACE removes a row without calling the trigger of DELETE.
SQLITE = Announcement(
    3,
    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'subscriber' "
    "AND name IN ('kemi_routes_inserted', 'kemi_routes_updated', 'kemi_routes_deleted')",
    (
        "CREATE TABLE IF NOT EXISTS subscriber_changes (changes INTEGER NOT NULL)",
        "DELETE FROM subscriber_changes",
        "INSERT INTO subscriber_changes VALUES (0)",
        f"CREATE TRIGGER IF NOT EXISTS kemi_routes_inserted AFTER INSERT {_COUNT}",
        f"CREATE TRIGGER IF NOT EXISTS kemi_routes_updated AFTER UPDATE {_COUNT}",
        f"CREATE TRIGGER IF NOT EXISTS kemi_routes_deleted AFTER DELETE {_COUNT}",
    ),
)
