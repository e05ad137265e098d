"""A terminal on which a command line runs, as an operator types it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

from tests.live.network import CommandFailed, environment


def type_in(line: str, directory: Path, env: dict[str, str]) -> str:
    """Run a line in a directory; what the terminal shows. Raises CommandFailed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=directory,
        env=environment(env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        shown = _read(ours)
    except BaseException:  # the test's timeout
        process.kill()
        raise
    finally:
        os.close(ours)
        status = process.wait()
    if status:
        raise CommandFailed(f"{line!r} gave {status}:\n{shown}")
    return shown


def _read(terminal: int) -> str:
    shown = b""
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:
        pass  # the last one that could write has closed it
    text = shown.decode(errors="replace").replace("\r\n", "\n")
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)  # colours, and lines that are written anew
