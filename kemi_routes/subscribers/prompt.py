"""Where a password comes from: the terminal or standard input, never the command line."""

from __future__ import annotations

import getpass
import sys

from kemi_routes.subscribers.errors import BadPassword

_MAX_LINE = 4096  # bytes; more than any password that check_password() lets pass


def from_terminal(address: str) -> str:
    """Ask twice without echo. Errors: BadPassword (no terminal, or two different answers)."""
    if not sys.stdin.isatty():
        raise BadPassword("there is no terminal to ask for the password: use --password-stdin")
    first = getpass.getpass(f"Password for {address}: ")
    if getpass.getpass("The same again: ") != first:
        raise BadPassword("the two passwords differ: nothing was changed, try again")
    return first


def from_standard_input() -> str:
    """Read the first line, without its line end. Errors: BadPassword (none there, not UTF-8)."""
    line = sys.stdin.buffer.readline(_MAX_LINE)
    if not line:
        raise BadPassword("there is no password on standard input: write it there as one line")
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # The codec's error holds the bytes of the password, so it is not chained.
        raise BadPassword("the password on standard input is not UTF-8: encode it so") from None
