"""What is kept: over `down` and `up`, over a new version, and in a backup."""

from __future__ import annotations

from tests.live.patience import eventually

from .documentation import command
from .outside import Outside, call_and_hang_up, is_written
from .stack import Stack

# The tables of Kamailio 4.0, from what those of today have more; the rows stay.
BACK_TO_4_0 = """
DROP INDEX location_connection_idx, location_tcpcon_idx;
ALTER TABLE location DROP COLUMN server_id, DROP COLUMN connection_id, DROP COLUMN keepalive,
    DROP COLUMN partition, ALTER COLUMN contact TYPE varchar(255);
ALTER TABLE subscriber ALTER COLUMN password TYPE varchar(25), ALTER COLUMN ha1 TYPE varchar(64),
    ALTER COLUMN ha1b TYPE varchar(64), ADD COLUMN rpid varchar(64) DEFAULT NULL;
UPDATE version SET table_version = 6 WHERE table_name IN ('location', 'subscriber');
"""
STRUCTURE = """
SELECT table_name, column_name, data_type, character_maximum_length, column_default, is_nullable
    FROM information_schema.columns WHERE table_schema = 'public' AND column_name <> 'rpid'
    ORDER BY 1, 2;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1;
SELECT table_name, table_version FROM version ORDER BY 1;
"""


def test_data_survive_down_and_up(outside: Outside) -> None:
    """Subscribers, bindings and secrets: a phone that does nothing stays reachable."""
    stack = outside.stack
    with outside.phones() as (alice, bob):
        before = stack.exec("kamailio", "sha256sum", "-b", *secrets(stack))
        stack.down()
        stack.up()
        assert stack.exec("kamailio", "sha256sum", "-b", *secrets(stack)) == before
        assert call_and_hang_up(alice, bob)


def test_a_backup_is_restored_into_a_new_stack(outside: Outside) -> None:
    """With the subscribers, and with the bindings: a phone that does nothing is called there."""
    stack = outside.stack
    with outside.phones() as (alice, bob):
        eventually(lambda: is_written(stack, alice), "row of a binding", 30)
        eventually(lambda: is_written(stack, bob), "row of the other", 30)
        stack.shell(command("pg_dump"))
        stack.remove()
        stack.up()
        assert alice.request("OPTIONS", f"sip:{alice.domain}").final().status == 200
        assert stack.exec("kamailio", "kemi-routes", "subscriber", "list") == ""
        for line in (command("psql"), command(" restart ")):
            stack.shell(line)
        stack.wait_until_healthy("kamailio")
        assert call_and_hang_up(alice, bob)
        assert alice.register().status == 200


def test_tables_of_an_older_kamailio_are_brought_up_to_date(outside: Outside) -> None:
    """By `up` itself, with all subscribers in them; a second time there is nothing to do."""
    stack = outside.stack
    with outside.phones():
        pass
    structure = stack.sql(STRUCTURE)
    stack.compose("stop", "kamailio")
    stack.sql(BACK_TO_4_0)
    assert stack.sql(STRUCTURE) != structure
    stack.up()
    assert "brought location to version 9" in stack.log("migrate")
    assert stack.sql(STRUCTURE) == structure
    with outside.phones() as (alice, bob):
        assert call_and_hang_up(alice, bob)
    assert "all tables are up to date" in stack.compose("run", "--rm", "migrate")


def secrets(stack: Stack) -> list[str]:
    """The files that hold them."""
    listing = stack.exec("kamailio", "ls", "/var/lib/kamailio").split()
    return [f"/var/lib/kamailio/{name}" for name in listing]
