"""The commands `kemi-routes subscriber ...` and `kemi-routes db ...`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from kemi_routes import settings
from kemi_routes.subscribers import prompt
from kemi_routes.subscribers.address import AoR
from kemi_routes.subscribers.credentials import generate_password
from kemi_routes.subscribers.dburl import parse_dburl
from kemi_routes.subscribers.errors import BadDatabaseURL, BadInput
from kemi_routes.subscribers.schema import initialise
from kemi_routes.subscribers.store import Store, open_store
from kemi_routes.subscribers.upgrade import upgrade

DEMO_DATABASE = Path("var/kamailio.sqlite")  # what `make run` makes, in the directory it runs in

SubParsers = argparse._SubParsersAction  # the only name argparse has for it


def add_subscriber_commands(commands: SubParsers[argparse.ArgumentParser]) -> None:
    """Declare `subscriber add|passwd|rm|list`."""
    subscriber = commands.add_parser("subscriber", help="add, change, remove and list subscribers")
    actions = subscriber.add_subparsers(metavar="ACTION", required=True)
    for name, action, what in (
        ("add", _add, "add a subscriber; asks for the password"),
        ("passwd", _passwd, "give a subscriber another password; asks for it"),
    ):
        parser = _action(actions, name, what)
        parser.add_argument("aor", metavar="USER@DOMAIN")
        source = parser.add_mutually_exclusive_group()
        source.add_argument(
            "--password-stdin",
            action="store_true",
            help="read the password from the first line of standard input",
        )
        source.add_argument(
            "--generate", action="store_true", help="make up a password and print it, once"
        )
        parser.set_defaults(command=action)
    remove = _action(actions, "rm", "remove a subscriber")
    remove.add_argument("aor", metavar="USER@DOMAIN")
    remove.set_defaults(command=_remove)
    listing = _action(actions, "list", "print the AoR of each subscriber, sorted")
    listing.add_argument("domain", metavar="DOMAIN", nargs="?", help="only those of this domain")
    listing.set_defaults(command=_list)


def add_database_commands(commands: SubParsers[argparse.ArgumentParser]) -> None:
    """Declare `db init|upgrade`."""
    database = commands.add_parser("db", help="make or upgrade the tables Kamailio needs")
    actions = database.add_subparsers(metavar="ACTION", required=True)
    init = _action(actions, "init", "make the tables that are missing; harmless to repeat")
    init.set_defaults(command=_init)
    newer = _action(actions, "upgrade", "init, and bring older tables up to date")
    newer.set_defaults(command=_upgrade)


def _action(
    actions: SubParsers[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=what, description=what, allow_abbrev=False)
    parser.add_argument(
        "--dburl",
        help="the database; better in kamailio-local.cfg or the environment variable DBURL when it "
        f"holds a password (default: {DEMO_DATABASE} if that file is there)",
    )
    return parser


def _add(options: argparse.Namespace) -> int:
    address = AoR.parse(options.aor)  # before anyone is asked for a password
    with _open(options) as store:
        aor = store.add(str(address), password := _password(options))
    print(password if options.generate else f"added {aor}")
    return 0


def _passwd(options: argparse.Namespace) -> int:
    address = AoR.parse(options.aor)
    with _open(options) as store:
        aor = store.set_password(str(address), password := _password(options))
    print(password if options.generate else f"changed the password of {aor}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    with _open(options) as store:
        print(f"removed {store.remove(options.aor)}")
    return 0


def _list(options: argparse.Namespace) -> int:
    with _open(options) as store:
        for aor in store.list(options.domain):
            print(aor)
    return 0


def _init(options: argparse.Namespace) -> int:
    dburl = _dburl(options)
    made = initialise(dburl)
    state = f"made the tables {', '.join(made)}" if made else "all tables are there already"
    print(f"{parse_dburl(dburl)}: {state}")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    dburl = _dburl(options)
    done = upgrade(dburl)
    print(f"{parse_dburl(dburl)}: {', '.join(done) or 'all tables are up to date'}")
    return 0


def _open(options: argparse.Namespace) -> Store:
    return open_store(_dburl(options), _algorithm())


def _algorithm() -> str:
    given = settings.lookup({**os.environ, **_local_defines()})("DIGEST_ALGORITHM") or ""
    try:
        return settings.algorithm(given)
    except ValueError as error:
        raise BadInput(f"DIGEST_ALGORITHM {error} (it is {given!r})") from None


def _dburl(options: argparse.Namespace) -> str:
    given: str = options.dburl or _local_defines().get("DBURL") or os.environ.get("DBURL", "")
    if given:
        return given
    if settings.INSTALLED:
        return settings.shipped_defaults()["DBURL"]
    if DEMO_DATABASE.is_file():
        return f"sqlite://{DEMO_DATABASE.absolute()}"
    raise BadDatabaseURL(
        f"DBURL is not set and there is no {DEMO_DATABASE} here: set the environment variable "
        "DBURL to sqlite:///abs/path.sqlite or postgres://user:password@host:port/database"
    )


def _local_defines() -> dict[str, str]:
    """What the server next to this program uses, whatever the environment says."""
    try:
        return settings.local_defines()
    except OSError as error:
        raise BadDatabaseURL(
            f"{error.filename} with the DBURL can't be read: run this as the user of Kamailio"
        ) from error


def _password(options: argparse.Namespace) -> str:
    if options.generate:
        return generate_password()
    if options.password_stdin:
        return prompt.from_standard_input()
    return prompt.from_terminal(options.aor)
