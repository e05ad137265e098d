"""Text inside the stub is Latin-1: one character is one byte, as in Kamailio.

At the border to the routes it becomes what app_python3 makes of it: UTF-8 or a UnicodeDecodeError.
"""

from __future__ import annotations


def from_python(text: str) -> str:
    """The bytes of a Python string as Kamailio gets them."""
    return text if text.isascii() else text.encode().decode("latin-1")


def to_python(text: str) -> str:
    """The bytes as a Python string.

    Raises:
        UnicodeDecodeError: they are no UTF-8; app_python3 raises the same.
    """
    return text if text.isascii() else text.encode("latin-1").decode()
