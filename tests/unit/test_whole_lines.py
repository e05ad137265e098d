"""What C writes to stderr, it writes line by line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import ctypes
from kemi_routes import whole_lines
libc = ctypes.CDLL(None)
stderr = ctypes.c_void_p.in_dll(libc, "stderr")
for _ in range(2):
    whole_lines.write()
    libc.fprintf(stderr, b"%s", b"a" * 300)
    libc.fprintf(stderr, b"%s", b"b" * 300 + b"\\n")
"""


def test_a_line_is_written_at_once_however_it_was_put_together() -> None:
    """Also when that is asked for again: each read from this kind of pipe is one write."""
    reader, writer = os.pipe2(os.O_DIRECT)
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, stderr=writer, cwd=root, check=False)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        written = [pipe.read(65536) for _ in range(3)]
    assert done.returncode == 0
    assert written == [b"a" * 300 + b"b" * 300 + b"\n"] * 2 + [b""]
