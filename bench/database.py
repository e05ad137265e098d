"""Subscribers and bindings by the million, as plain SQL."""

from __future__ import annotations

import psycopg

from kemi_routes.subscribers.dburl import PostgresURL, parse_dburl
from kemi_routes.subscribers.schema import initialise

DOMAIN = "bench.test"
CALLEE = "callee"
CONTACT = "192.168.0.103:5060"
NATED = 1 << 6  # FLB_NATED here, FLB_NATB in Kamailio's own files

_SUBSCRIBERS = """
INSERT INTO subscriber (username, domain, password, ha1, ha1b)
SELECT name, %(domain)s::text, secret, md5(name || ':' || %(domain)s::text || ':' || secret),
       md5(name || '@' || %(domain)s::text || ':' || %(domain)s::text || ':' || secret)
FROM (SELECT 'u' || to_char(n, 'FM0000000') AS name, 'pw' || n AS secret
      FROM generate_series(0, %(size)s - 1) AS n) AS numbered
"""
_BINDINGS = """
INSERT INTO location (ruid, username, domain, contact, received, expires, callid, cseq, cflags,
                      user_agent, socket, methods, last_modified)
SELECT 'bench-' || name, name, %(domain)s::text,
       'sip:' || name || '@' || %(contact)s::text || %(alias)s::text, %(received)s::text,
       now() AT TIME ZONE 'UTC' + interval '1 day', 'bench-' || name, 1, %(nated)s,
       'phone behind NAT', NULL, NULL, now() AT TIME ZONE 'UTC'
FROM (SELECT COALESCE(%(callee)s::text, 'u' || to_char(n, 'FM0000000')) AS name
      FROM generate_series(0, %(size)s - 1) AS n) AS numbered
"""
_INDICES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'location' AND indexname NOT LIKE '%pkey' AND indexname NOT LIKE '%ruid%'
"""


def user(number: int) -> str:
    """The name of a subscriber."""
    return f"u{number:07}"


def password(number: int) -> str:
    """The password of `user(number)`."""
    return f"pw{number}"


def fill(dburl: str, size: int, ports: tuple[int, int], *, alias: bool) -> None:
    """Make the tables, `size` subscribers with one binding each, and one binding to call.

    Args:
        ports: on 127.0.0.1, of the phones and of the phone that is called.
        alias: the public address of a phone is in its Contact, as set_contact_alias puts it there;
            else in the column `received`, as fix_nated_register does.
    """
    initialise(dburl)
    with connect(dburl) as connection:
        connection.execute(_SUBSCRIBERS, {"domain": DOMAIN, "size": size})
        indices = connection.execute(_INDICES).fetchall()
        for name, _ in indices:
            connection.execute(f'DROP INDEX "{name}"'.encode())
        for callee, count, port in ((None, size, ports[0]), (CALLEE, 1, ports[1])):
            connection.execute(
                _BINDINGS,
                {
                    "callee": callee,
                    "size": count,
                    "domain": DOMAIN,
                    "contact": CONTACT,
                    "alias": f";alias=127.0.0.1~{port}~1" if alias else "",
                    "received": None if alias else f"sip:127.0.0.1:{port}",
                    "nated": NATED,
                },
            )
        for _, definition in indices:
            connection.execute(definition.encode())
        connection.execute("ANALYZE")


def version(dburl: str) -> str:
    """PostgreSQL's own version."""
    with connect(dburl) as connection:
        row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else ""


def connect(dburl: str) -> psycopg.Connection[tuple[str, ...]]:
    """A connection in autocommit mode."""
    url = parse_dburl(dburl)
    if not isinstance(url, PostgresURL):
        raise TypeError("the bench runs on PostgreSQL")
    return psycopg.connect(
        host=url.host, port=url.port, dbname=url.database, user=url.user, password=url.password,
        autocommit=True,
    )  # fmt: skip
