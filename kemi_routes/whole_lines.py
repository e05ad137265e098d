"""Kamailio writes each line of its log at once, so that the lines of two processes do not mix.

At start it takes the buffer from stderr (core/daemonize.c), and from 2.37 on glibc writes what a
stream without a buffer gets in pieces of 128 bytes.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_LINE_BUFFERED = 1  # _IOLBF of stdio.h
_SIZE = 16384  # bytes; of a longer line each piece of this size is written at once


def write() -> None:
    """Give stderr a buffer for one line; once, whatever is loaded again.

    The buffer is never freed: stderr needs it as long as the process lives. Without the C library
    of GNU there is nothing to do.
    """
    with suppress(AttributeError, ValueError):
        _buffer_lines()


def _buffer_lines() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    libc.__flbf.argtypes = [ctypes.c_void_p]
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    if not libc.__flbf(stderr) and (buffer := libc.malloc(_SIZE)):
        libc.setvbuf(stderr, buffer, _LINE_BUFFERED, _SIZE)
