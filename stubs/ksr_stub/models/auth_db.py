"""auth_db: credentials against the subscriber table (Kamailio module auth_db)."""

from __future__ import annotations

import functools

import attrs

from ksr_stub import credentials, pv, uri
from ksr_stub.credentials import Credentials
from ksr_stub.models import auth
from ksr_stub.models.sqlops import Sql
from ksr_stub.registry import model
from ksr_stub.text import from_python
from ksr_stub.world import World

CHECK_USER, SKIP_FORWARDED = 1, 2
_Wanted = tuple[tuple[str, str], ...]  # columns, and the variables they go to
USE_DOMAIN, SKIP_CREDENTIALS = 1, 2
NO_DATABASE, NO_ROW = -1, -2


class Unavailable(Exception):
    """The database does not answer, or the query is wrong."""


@attrs.define(eq=False)
class Subscribers:
    """The subscriber table.

    `unavailable = True` takes the database away. A row is a dict with `username`, `domain`,
    `password`, `ha1`, `ha1b` and whatever else is given.
    """

    needs_world = True

    world: World
    rows: list[dict[str, str]] = attrs.Factory(list)
    table: str = "subscriber"

    @property
    def unavailable(self) -> bool:
        """Whether the database is away, for sqlops too."""
        return self.world.part(Sql).unavailable

    @unavailable.setter
    def unavailable(self, away: bool) -> None:
        self.world.part(Sql).unavailable = away

    def add(
        self,
        address: str,
        password: str = "",
        *,
        ha1: str = "",
        algorithm: str = "MD5",
        **columns: str,
    ) -> None:
        """Add a subscriber.

        Args:
            address: `user@domain`; `sip:` before it is taken away.
            password: in clear; kept in the column `password` and in both HA1 columns.
            ha1: instead of a password.
            algorithm: that of the HA1, `MD5` or `SHA-256`.
            columns: further columns.
        """
        user, _, domain = from_python(address).removeprefix("sip:").partition("@")
        secret = from_python(password)
        row = {"username": user, "domain": domain, "password": secret}
        row["ha1"] = ha1 or credentials.hashed(f"{user}:{domain}:{secret}", algorithm)
        both = f"{user}@{domain}:{domain}:{secret}"
        row["ha1b"] = ha1 or credentials.hashed(both, algorithm)
        self.rows.append(row | {name: from_python(value) for name, value in columns.items()})

    def remove(self, address: str) -> None:
        """Remove a subscriber."""
        user, _, domain = from_python(address).removeprefix("sip:").partition("@")
        self.rows = [r for r in self.rows if (r["username"], r["domain"]) != (user, domain)]

    def find(self, table: str, columns: list[str], **keys: str) -> dict[str, str] | None:
        """The first row with these keys; None where there is none.

        Raises:
            Unavailable: the database is away, or has no such table or column.
        """
        known = {"username", "domain", "password", "ha1", "ha1b"}
        known |= {name for row in self.rows for name in row}
        if self.unavailable or table != self.table or not known.issuperset([*columns, *keys]):
            raise Unavailable
        return next(
            (r for r in self.rows if all(r.get(name) == value for name, value in keys.items())),
            None,
        )


@model("auth_db")
def auth_check(world: World, realm: str, table: str, flags: int) -> int:
    """Check the credentials of a request: 1, or one of the codes -1 to -8 of module auth."""
    message = world.msg
    if message.method in ("ACK", "CANCEL"):
        return auth.OK
    if not realm or not table:
        world.say(-1, "auth_db: invalid parameter - empty value")
        return auth.ERROR
    key = auth.WWW if message.method == "REGISTER" else auth.PROXY
    code, found = _authenticate(world, realm, table, key, message.method)
    if code != auth.OK or found is None or not flags & CHECK_USER:
        return code
    with_domain = world.param("auth_db", "use_domain", 0) != 0
    return auth.user_matches(message, found.user, with_domain, bool(flags & SKIP_FORWARDED))


@model("auth_db")
def www_authenticate(world: World, realm: str, table: str) -> int:
    """Check Authorization, without a look at From and To."""
    return _authenticate(world, realm, table, auth.WWW, world.msg.method)[0]


@model("auth_db")
def www_authenticate_method(world: World, realm: str, table: str, method: str) -> int:
    """The same, as if the request had another method."""
    return _authenticate(world, realm, table, auth.WWW, method)[0]


@model("auth_db")
def is_subscriber(world: World, address: str, table: str, flags: int) -> int:
    """Whether the user of a URI is in the table.

    Returns:
        1, -1 for a wrong parameter or a database that does not answer, -2 for an unknown user.
    """
    parsed = uri.parse(address)
    if parsed is None or not table:
        return NO_DATABASE
    keys = {"username": parsed.user}
    if flags & USE_DOMAIN and parsed.host:
        keys["domain"] = parsed.host
    wanted = () if flags & SKIP_CREDENTIALS else _loaded(world)
    try:
        if not wanted and not flags & SKIP_CREDENTIALS:
            # a SELECT without columns: nothing to load is an error of the query
            raise Unavailable
        row = world.part(Subscribers).find(table, [name for name, _ in wanted], **keys)
    except Unavailable:
        world.say(-1, "auth_db: failed to query database")
        return NO_DATABASE
    if row is None:
        return NO_ROW
    _load(world, wanted, row)
    return 1


def _authenticate(
    world: World, realm: str, table: str, key: str, method: str
) -> tuple[int, Credentials | None]:
    found = auth.pre_auth(world, realm, key)
    if isinstance(found, int):
        return found, None
    wanted = _loaded(world)
    try:
        row = _row(world, auth.without_prefix(world, realm), table, found, wanted)
    except Unavailable:
        world.say(-1, "auth_db: failed to query database")
        return auth.ERROR, found
    if row is None:
        return auth.UNKNOWN_USER, found
    ha1 = row[_column(world, found)]
    if world.param("auth_db", "calculate_ha1", 0):
        plain = f"{found.get('username')}:{auth.without_prefix(world, realm)}:{ha1}"
        ha1 = credentials.hashed(plain, auth.algorithm(world))
    code = auth.check_response(world, found, ha1, method)
    if code == auth.OK or world.param("auth_db", "force_generate_avps", 0):
        _load(world, wanted, row)
    return code, found


def _row(
    world: World, realm: str, table: str, found: Credentials, wanted: _Wanted
) -> dict[str, str] | None:
    keys = {world.param("auth_db", "user_column", "username"): found.user}
    if world.param("auth_db", "use_domain", 0):
        keys[world.param("auth_db", "domain_column", "domain")] = found.domain or realm
    columns = [_column(world, found), *(name for name, _ in wanted)]
    return world.part(Subscribers).find(table, columns, **keys)


def _column(world: World, found: Credentials) -> str:
    if found.domain and not world.param("auth_db", "calculate_ha1", 0):
        return world.param("auth_db", "password_column_2", "ha1b")
    return world.param("auth_db", "password_column", "ha1")


def _loaded(world: World) -> _Wanted:
    """The columns that load_credentials names, and the variables they go to."""
    return _columns(world.param("auth_db", "load_credentials", ""))


@functools.lru_cache(maxsize=64)
def _columns(named: str) -> _Wanted:
    pairs = []
    for item in named.split(";"):
        variable, equal, column = (part.strip() for part in item.partition("="))
        if equal:
            pairs.append((column, variable))
        elif variable:
            pairs.append((variable, f"$avp({variable})"))
    return tuple(pairs)


def _load(world: World, wanted: _Wanted, row: dict[str, str]) -> None:
    for column, variable in wanted:
        pv.put(world, variable, row.get(column, ""))
