"""What is kept: over `down` and `up`, over a new version, and with settings of one's own."""

from __future__ import annotations

from tests.live.homes import public_address
from tests.live.message import parameter

from .outside import Outside, call_and_hang_up
from .stack import Stack

PUBLIC = "198.51.100.7"
DOMAIN = "sip.example.test"
# the router of a cloud: its public address is the server's; in these tests each home knows it
CLOUD = """
table ip cloud {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        ip daddr {public} dnat to {private}
    }}
}}
"""
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


def test_a_server_in_a_cloud_has_the_settings_of_its_env_file(outside: Outside) -> None:
    """ADVERTISE and RTP_PORTS: phones that only know the public address talk to each other."""
    stack = outside.stack
    private = stack.sip[0]
    stack.configure(ADVERTISE=PUBLIC, RTP_PORTS="31000-31099", SIP_DOMAIN=DOMAIN)
    try:
        stack.up()
        for user in ("1111", "2222"):
            rules = CLOUD.format(public=PUBLIC, private=private)
            outside.router(user).run("nft", "-f", "-", stdin=rules)
        with outside.phones(domain=DOMAIN, server=(PUBLIC, 5060)) as (alice, bob):
            assert public_address(alice)[0] == outside.router("1111").public
            assert call_and_hang_up(alice, bob) == {PUBLIC}
            assert call_and_hang_up(bob, alice) == {PUBLIC}
            [ping, *_] = bob.wait_for_pings()
            assert PUBLIC in ping["Via"]
            assert not parameter(ping["Via"], "received")
    finally:
        for user in ("1111", "2222"):
            outside.router(user).run("nft", "delete", "table", "ip", "cloud")
        stack.configure()
        stack.up()


def secrets(stack: Stack) -> list[str]:
    """The files that hold them."""
    listing = stack.exec("kamailio", "ls", "/var/lib/kamailio").split()
    return [f"/var/lib/kamailio/{name}" for name in listing]
