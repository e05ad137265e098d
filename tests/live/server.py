"""The server under test, started as an operator starts it."""

from __future__ import annotations

import os
import re
import secrets
import select
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .message import Address, host_port
from .network import CommandFailed, Namespace
from .patience import eventually
from .phone import Phone
from .process import Process

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = str(ROOT / ".venv/bin/kemi-routes")
DOMAIN = "example.test"


class Server:
    """`kemi-routes run` on a host; the constructor returns when it is ready for calls.

    host       where it runs: `network.server_host()`, `network.server_behind_nat()`, loopback
    listen     LISTEN (default: udp, tcp and tls on the host's address; free ports on loopback)
    settings   the other settings of the contract: {"PING_INTERVAL": "1"}; DBURL is an SQLite file
               in `directory`, which also has RUN_DIR and goes away with the server

    Raises AssertionError with the whole log if it ends or is not ready after 30 seconds.
    """

    def __init__(
        self,
        host: Namespace,
        listen: str | None = None,
        settings: Mapping[str, str] | None = None,
        domain: str = DOMAIN,
        command: Sequence[str] = (LAUNCHER, "run", "--no-demo"),
    ) -> None:
        self.host, self.domain = host, domain
        # Not pytest's tmp_path: a path of a Unix socket may have 107 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="kemi-"))
        self.run_dir = self.directory / "run"
        self.run_dir.mkdir()
        self.settings = {
            "LISTEN": listen or default_listen(host),
            "SIP_DOMAIN": domain,
            "DBURL": f"sqlite:///{self.directory}/kemi.sqlite",
            "RUN_DIR": str(self.run_dir),
            **(settings or {}),
        }
        self.passwords: dict[str, str] = {}
        self._command = command
        host.on_close(self.close)
        self.start()

    def start(self) -> None:
        """Start it (again) and wait until it is ready."""
        self.process = Process(self.host, *self._command, env=self.settings, cwd=ROOT)
        self.process.wait_for("Kamailio is ready", timeout=30)

    def stop(self) -> int:
        """End it as Ctrl-C or systemd does; its exit status. AssertionError if Kamailio outlives
        its launcher."""
        orderly = self.process.running
        status = self.process.stop(patience=20)
        if pid := self._kamailio():
            _end(pid)
            if orderly:
                raise AssertionError(f"Kamailio was left running:\n{self.process.output}")
        return status

    def restart(self) -> None:
        """Stop and start with the same settings, database and addresses."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it if it runs, and remove its directory."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _kamailio(self) -> int:
        """The process id of our Kamailio's main process, 0 when it does not run."""
        try:
            pid = int((self.run_dir / "kamailio.pid").read_text())
            # Its id may meanwhile be another's; ours has our RUN_DIR on its command line.
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return 0
        return pid if str(self.run_dir) in command else 0

    # What it says

    @property
    def log(self) -> str:
        """All it logged since it was started."""
        return self.process.output

    def mark(self) -> int:
        """The place the log is at now, for `wait_for_log(..., since=mark)`."""
        return len(self.process.lines)

    def wait_for_log(self, pattern: str, timeout: float = 10, since: int = 0) -> re.Match[str]:
        """The first match of a regular expression in the log, else AssertionError."""
        return self.process.wait_for(pattern, timeout, since)

    def kamcmd(self, *command: str) -> str:
        """What kamcmd prints, errors too: `kamcmd("ul.lookup", "location", "1111@example.test")`
        says `error: 500 - AOR not found in location table` for an unknown one."""
        try:
            return self.host.run("kamcmd", "-s", f"unixs:{self.run_dir}/kamailio_ctl", *command)
        except CommandFailed as failed:
            return str(failed)

    def bindings(self, user: str) -> list[str]:
        """The Contact URIs bound to a user now ([] if none), each as `ul.lookup` shows it."""
        found = self.kamcmd("ul.lookup", "location", f"{user}@{self.domain}")
        return re.findall(r"^\s*Address: (\S+)", found, re.MULTILINE)

    def wait_for_timers(self) -> None:
        """Wait until the processes of the routes' own timers have had their first turn."""
        eventually(lambda: "trust" in self.kamcmd("htable.dump", "revocation"), "first turn")

    def shared_memory(self) -> int:
        """Bytes of shared memory in use."""
        shown = self.kamcmd("core.shmmem")
        found = re.search(r"\bused: (\d+)", shown)
        assert found, shown
        return int(found[1])

    def workers(self) -> dict[int, str]:
        """Process id and description of each process of Kamailio."""
        found = re.findall(r"PID: (\d+)\s+DSC: (.*)", self.kamcmd("core.psx"))
        return {int(pid): description for pid, description in found}

    def kill_worker(self, description: str = "udp receiver") -> int:
        """SIGKILL one process of Kamailio whose description has these words; its process id.
        Kamailio then ends; that it serves again is for the launcher (or systemd) to see to."""
        pid = next(pid for pid, words in self.workers().items() if description in words)
        os.kill(pid, signal.SIGKILL)
        return pid

    # Who may call

    def add_subscriber(self, aor: str, password: str) -> None:
        """Add 1111@example.test with the project's own command."""
        command = (self._command[0], "subscriber", "add", aor, "--password-stdin")
        self.host.run(*command, stdin=f"{password}\n", env=self.settings)
        self.passwords[aor] = password

    def address(self, transport: str = "udp", ipv6: bool = False) -> Address:
        """Where phones reach it: ADVERTISE if set, else the first such socket of LISTEN."""
        for entry in self.settings["LISTEN"].split():
            kind, _, place = entry.partition(":")
            address, _, port = place.rpartition(":")
            if kind == transport and ipv6 == address.startswith("["):
                return self.settings.get("ADVERTISE") or address.strip("[]"), int(port)
        raise AssertionError(f"it has no {transport} socket: {self.settings['LISTEN']}")

    def phone(
        self,
        host: Namespace,
        user: str,
        transport: str = "udp",
        local: Address | None = None,
        contact: str | None = None,
        server: Address | None = None,
    ) -> Phone:
        """A phone of a subscriber, who is added if new. Give `local` on loopback (port 0 is any)
        and for IPv6; `server` to reach another socket than the one that `address` names."""
        aor = f"{user}@{self.domain}"
        if aor not in self.passwords:
            self.add_subscriber(aor, secrets.token_urlsafe(9))
        where = server or self.address(transport, ipv6=bool(local and ":" in local[0]))
        return Phone(host, user, self.domain, self.passwords[aor], where, transport, local, contact)


def default_listen(host: Namespace) -> str:
    """udp and tcp 5060 and tls 5061 of the host's address; on loopback ports that are free."""
    plain, tls = (5060, 5061) if host.name else (free_port(), free_port())
    return " ".join(
        f"{kind}:{host_port((host.address, port))}"
        for kind, port in (("udp", plain), ("tcp", plain), ("tls", tls))
    )


def free_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and for TCP now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            port: int = udp.getsockname()[1]
            return port


def _end(pid: int, patience: float = 10) -> None:
    """End a process that is not our child: SIGTERM, after patience seconds SIGKILL."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], patience)[0]:
            signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
