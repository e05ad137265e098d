"""A real Kamailio on loopback that makes the KSR calls a test asks for on the message it gets."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import attrs

from .permission_calls import PEERS

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT = Path(__file__).with_name("probe_script.py")
_MODULES = [
    "kex",
    "corex",
    "tm",
    "tmx",
    "sl",
    "rr",
    "pv",
    "maxfwd",
    "textops",
    "textopsx",
    "siputils",
    "sanity",
    "kemix",
    "htable",
    "nathelper",
    "ipops",
    "dispatcher",
    "xhttp",
    "xlog",
    "db_sqlite",
    "permissions",
    "app_python3",
]
# the sets of dispatcher and the addresses of permissions, here and in the stub
DESTINATIONS = Path(__file__).with_name("dispatcher.list")
ADDRESSES = Path(__file__).with_name("address.list")
_SETTINGS = """#!KAMAILIO
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
alias="example.test"
server_header="Server: probe"
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
{modules}
modparam("dispatcher", "list_file", "{destinations}")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "reload_delta", 0)
modparam("dispatcher", "ds_hash_size", 4)
modparam("dispatcher", "hash_pvar", "$fU $rU")
modparam("dispatcher", "setid_pvname", "$avp(set)")
modparam("dispatcher", "attrs_pvname", "$avp(attrs)")
modparam("htable", "htable", "t=>size=4;")
modparam("permissions", "address_file", "{addresses}")
modparam("permissions", "db_url", "sqlite:///{database}")
modparam("permissions", "peer_tag_avp", "$avp(peer)")
modparam("permissions", "peer_tag_mode", 1)
modparam("xhttp", "event_callback", "ksr_xhttp_event")
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""
_TABLES = """
DROP TABLE IF EXISTS version;
DROP TABLE IF EXISTS trusted;
CREATE TABLE version (table_name VARCHAR(32), table_version INTEGER);
INSERT INTO version VALUES ('trusted', 6), ('address', 6);
CREATE TABLE trusted (
    id INTEGER PRIMARY KEY, src_ip VARCHAR(50), proto VARCHAR(4), from_pattern VARCHAR(64),
    ruri_pattern VARCHAR(64), tag VARCHAR(64), priority INTEGER
);
"""
_FENCE = (
    "OPTIONS sip:fence@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKfence\r\n"
    "From: <sip:fence@127.0.0.1>;tag=f\r\nTo: <sip:fence@127.0.0.1>\r\n"
    "Call-ID: fence\r\nCSeq: 1 OPTIONS\r\n\r\n"
)


class Died(Exception):
    """Kamailio ended, or answers no more; the text has the end of its log."""


@attrs.frozen
class Answer:
    """What the calls returned (exceptions as `!Name`), and the replies that were sent.

    `results` is None for a message that never reached the routes.
    """

    results: list[Any] | None
    replies: list[str]


class RealKamailio:
    """Debian's Kamailio with one worker; it is started again when a message has ended it."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        """`extra` are further lines of its configuration."""
        self._directory, self._extra = directory, extra
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._answers.bind(str(directory / "answers"))
        self._phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._phone.bind(("127.0.0.1", 0))
        self.phone_port: int = self._phone.getsockname()[1]
        self.port = _free_port()
        self._number = 0

    def ask(self, message: str, calls: list[list[Any]]) -> Answer:
        """Send a message (Latin-1) and let the calls be made on it.

        Raises:
            Died: Kamailio did not survive it.
        """
        self._start()
        self._number += 1
        waiting = self._directory / "calls.new"
        waiting.write_text(json.dumps([self._number, calls]))
        waiting.replace(self._directory / "calls.json")
        self._send(message)
        # the one worker takes messages in their order: the fence's answer alone proves a drop
        self._send(_FENCE)
        results = fence = self._receive(3)
        if results not in (None, "fence"):
            fence = self._receive(3)
        if fence is None:
            self._stop()
            raise Died(f"after {message!r}: {self._log()[-1500:]}")
        return Answer(None if results == "fence" else results, self._replies())

    def close(self) -> None:
        """End it."""
        self._stop()
        self._answers.close()
        self._phone.close()

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        cfg = self._directory / "probe.cfg"
        modules = "\n".join(f'loadmodule "{name}.so"' for name in _MODULES)
        database = self._directory / "database"
        _make_tables(database)
        cfg.write_text(
            _SETTINGS.format(
                modules=modules,
                script=_SCRIPT,
                destinations=DESTINATIONS,
                addresses=ADDRESSES,
                database=database,
            )
            + self._extra
        )
        command = ["kamailio", "-f", str(cfg), "-l", f"udp:127.0.0.1:{self.port}", "-DD", "-E"]
        command += ["-Y", str(self._directory), "-P", str(self._directory / "pid"), "-m", "64"]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, "PATH": _PATH, "PROBE_DIRECTORY": str(self._directory)},
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + 15
        while time.monotonic() < end and self._running():
            self._send(_FENCE)
            if self._receive(0.2) is not None:
                while self._receive(0.2) is not None:
                    pass
                return
        raise Died(f"it does not start: {self._log()[-1500:]}")

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: str) -> None:
        # a refusal of an earlier datagram comes as an error of the next call
        with contextlib.suppress(ConnectionRefusedError):
            self._phone.sendto(message.encode("latin-1"), ("127.0.0.1", self.port))

    def _receive(self, seconds: float) -> Any:  # noqa: ANN401
        """The answer to the latest message, "fence", or None: nothing came."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._answers.settimeout(left)
            try:
                number, results = json.loads(self._answers.recv(1 << 20))
            except TimeoutError:
                return None
            if number in (self._number, 0):
                return results
        return None

    def _replies(self) -> list[str]:
        replies = []
        with contextlib.suppress(BlockingIOError):
            while True:
                replies.append(self._phone.recv(65536, socket.MSG_DONTWAIT).decode("latin-1"))
        return replies

    def _log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")


def _make_tables(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as made, made:
        made.executescript(_TABLES)
        made.executemany("INSERT INTO trusted VALUES (NULL, ?, ?, ?, ?, ?, ?)", PEERS)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
