"""What `make install` puts into place, and Kamailio run from there without our launcher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .network import Namespace
from .patience import eventually
from .process import Process
from .server import ROOT, Server, free_port

HERE = Namespace()


def make(*words: str) -> str:
    """Run make in the checkout and return its output. Raises CommandFailed."""
    return HERE.run("make", "-C", str(ROOT), "--no-print-directory", *words, timeout=60)


def define(name: str, value: str) -> str:
    """A line of kamailio-local.cfg."""
    return f"#!define {name} {value}\n" if value.isdigit() else f'#!define {name} "{value}"\n'


class InstalledServer(Server):
    """Kamailio on a free port of loopback, from an installed tree and with kamailio-local.cfg.

    tree       where `make install PREFIX=...` has put it
    settings   more settings for kamailio-local.cfg; `environ` are those of the environment
    """

    def __init__(
        self,
        host: Namespace,
        tree: Path,
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.tree, self.environ = tree, dict(environ or {})
        super().__init__(host, f"udp:127.0.0.1:{free_port()}", settings)

    def start(self) -> None:
        """Write kamailio-local.cfg, make the tables, start Kamailio and wait until it answers."""
        settings = dict(self.settings)
        listen = settings.pop("LISTEN")
        domain = settings.pop("SIP_DOMAIN")
        lines = [define(name, value) for name, value in settings.items()]
        local = f"listen={listen}\n#!define SIP_DOMAIN {domain}\n{''.join(lines)}"
        (self.tree / "kamailio-local.cfg").write_text(local)
        if not Path(settings["DBURL"].removeprefix("sqlite://")).exists():
            self.control("db", "init")
        self.process = self.run_kamailio()
        eventually(self._answers, "answer of Kamailio")

    def run_kamailio(self, *options: str) -> Process:
        """Start Kamailio as systemd does, which may fail."""
        place = ("-f", str(self.tree / "kamailio.cfg"), "-Y", str(self.run_dir))
        pid = ("-P", str(self.run_dir / "kamailio.pid"))
        command = ("kamailio", "-DD", "-E", *place, *pid, *options)
        return Process(self.host, *command, env=self.environ, cwd=self.run_dir)

    def control(self, *words: str) -> str:
        """Run our command of the installed tree, as `make install` tells the operator to."""
        env = {"DBURL": self.settings["DBURL"], "PYTHONPATH": str(self.tree)}
        return self.host.run("/usr/bin/python3", "-m", "kemi_routes.cli", *words, env=env)

    def _answers(self) -> bool:
        if not self.process.running:
            raise AssertionError(f"Kamailio ended:\n{self.process.output}")
        return "up_since" in self.kamcmd("core.uptime")
