"""The program `kemi-routes`: subscribers, the database and the start of the server."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from kemi_routes.subscribers.commands import add_database_commands, add_subscriber_commands
from kemi_routes.subscribers.errors import BadInput, DatabaseUnusable, StoreError

REFUSED, USAGE, UNUSABLE, INTERRUPTED = 1, 2, 3, 130  # exit statuses

# Commands with a parser here.
COMMANDS = (add_subscriber_commands, add_database_commands)
# Commands whose module has main(argv: list[str]) -> int; imported only when asked for.
FORWARDED = {
    "run": ("kemi_routes.launch", "check the settings and run Kamailio in the foreground"),
    "prepare": ("kemi_routes.prepare", "check the settings and make up what is secret"),
    "ping": ("kemi_routes.ping", "ask the server with a SIP OPTIONS whether it answers"),
    "settings": ("kemi_routes.settings", "print the table of all settings"),
}


class _Parser(argparse.ArgumentParser):
    """argparse that complains in one line, as every other error here."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"kemi-routes: {message}: see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    0: done. 1: refused, e.g. the subscriber exists already. 2: wrong usage or setting.
    3: the database is unreachable or not initialised. 130: interrupted from the keyboard.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except StoreError as error:
        print(f"kemi-routes: {error}", file=sys.stderr)
        return _status(error)
    except SystemExit as stop:  # argparse has said all
        return int(stop.code or 0)
    except BrokenPipeError:
        # `kemi-routes subscriber list | head`: Python must not find the pipe closed at exit again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nkemi-routes: interrupted, nothing was changed", file=sys.stderr)
        return INTERRUPTED


def _run(words: list[str]) -> int:
    if words and words[0] in FORWARDED:
        module, _ = FORWARDED[words[0]]
        status: int = importlib.import_module(module).main(words[1:])
        return status
    parser = _parser()
    options, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(_too_much(unknown))
    status = options.command(options)
    sys.stdout.flush()  # here, where a closed pipe is expected
    return status


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="kemi-routes",
        description="Kamailio routing in Python: run the server, look after its subscribers.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (_, summary) in FORWARDED.items():
        commands.add_parser(name, help=summary, add_help=False)
    for declare in COMMANDS:
        declare(commands)
    return parser


def _too_much(unknown: list[str]) -> str:
    options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    if options:
        return f"there is no option {' '.join(options)}"
    # The words are not repeated: the likeliest one is a password, and this line may be logged.
    return "there are words too many; a password is asked for, never given on the command line"


def _status(error: StoreError) -> int:
    if isinstance(error, BadInput):
        return USAGE
    return UNUSABLE if isinstance(error, DatabaseUnusable) else REFUSED


if __name__ == "__main__":
    sys.exit(main())
