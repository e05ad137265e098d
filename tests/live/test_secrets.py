"""Who can read what is secret."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from .phone import Phone
from .server import Server


@pytest.fixture
def alice(server: Server) -> Phone:
    return server.phone(server.host, "1111", local=("127.0.0.1", 0))


def test_no_other_user_of_the_machine_reads_a_secret_or_commands_the_server(
    server: Server, alice: Phone
) -> None:
    """HA1 values are as good as passwords, and the sockets take every RPC."""
    assert alice.register().status == 200
    places = [
        *(server.run_dir / name for name in ("server-secret", "tls-key.pem")),
        *server.run_dir.glob("kamailio_*"),
        *server.directory.glob("*.sqlite*"),
    ]
    assert len(places) >= 6
    open_ones = [path for path in places if path.stat().st_mode & 0o007]
    assert open_ones == []


def test_nothing_secret_is_logged_or_shown_by_ps(server: Server, alice: Phone) -> None:
    """Also when somebody gives a wrong password."""
    assert alice.register().status == 200
    password, alice.password = alice.password or "", "a wrong guess"
    assert alice.register().status in (401, 403)
    ha1 = hashlib.md5(f"1111:{alice.domain}:{password}".encode(), usedforsecurity=False)
    secret = (server.run_dir / "server-secret").read_text()
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in server.workers()]
    for text in [server.log, *commands]:
        for hidden in (password, "a wrong guess", ha1.hexdigest(), secret):
            assert hidden not in text
