"""What `make install` puts into place, and Kamailio run from there without our launcher."""

from __future__ import annotations

import shutil
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


def local_cfg(listen: str, domain: str, settings: Mapping[str, str]) -> str:
    """The text of a kamailio-local.cfg, as its example tells an operator to write it."""
    lines = [
        f"#!define {name} {value}" if value.isdigit() else f'#!define {name} "{value}"'
        for name, value in settings.items()
    ]
    sockets = [f"listen={socket}" for socket in listen.split()]
    return "\n".join([*sockets, f"#!define SIP_DOMAIN {domain}", *lines, ""])


def start_kamailio(
    host: Namespace,
    tree: Path,
    run_dir: Path,
    environ: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> Process:
    """Start Kamailio on an installed tree, as systemd does; it may refuse."""
    command = ("kamailio", "-DD", "-E", "-f", str(tree / "kamailio.cfg"), "-Y", str(run_dir))
    pid_file = ("-P", str(run_dir / "kamailio.pid"))
    return Process(host, *command, *pid_file, *options, env=dict(environ or {}), cwd=run_dir)


class InstalledServer(Server):
    """Kamailio on a free port of loopback, from an installed tree with a kamailio-local.cfg.

    tree       where `make install PREFIX=...` has put it; or the directory kamailio/ of a checkout
    settings   more settings for kamailio-local.cfg
    environ    settings of the environment
    user       whom it runs as, if not as whom the tests do
    """

    def __init__(
        self,
        host: Namespace,
        tree: Path,
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        user: str = "",
    ) -> None:
        self.tree, self.environ, self.user = tree, dict(environ or {}), user
        super().__init__(host, f"udp:127.0.0.1:{free_port()}", settings)

    def start(self) -> None:
        """Write kamailio-local.cfg, make the tables, start Kamailio and wait until it answers."""
        settings = dict(self.settings)
        listen, domain = settings.pop("LISTEN"), settings.pop("SIP_DOMAIN")
        (self.tree / "kamailio-local.cfg").write_text(local_cfg(listen, domain, settings))
        if self.user:
            for path in (self.directory, self.run_dir):
                shutil.chown(path, self.user, self.user)
            shutil.chown(self.tree / "kamailio-local.cfg", "root", self.user)
        if not Path(settings["DBURL"].removeprefix("sqlite://")).exists():
            self.control("db", "init")
        user = ("-u", self.user, "-g", self.user) if self.user else ()
        self.process = start_kamailio(self.host, self.tree, self.run_dir, self.environ, user)
        eventually(self._answers, "answer of Kamailio")

    def control(self, *words: str, stdin: str | None = None) -> str:
        """Run our command of the installed tree, as `make install` tells the operator to."""
        user = ("runuser", "-u", self.user, "--") if self.user else ()
        step = 'cd "$0" && PYTHONPATH=.. exec python3 -m kemi_routes.cli "$@"'
        return self.host.run(*user, "sh", "-c", step, str(self.tree), *words, stdin=stdin)

    def _answers(self) -> bool:
        if not self.process.running:
            status = self.process.wait()
            raise AssertionError(f"Kamailio ended with {status}:\n{self.process.output}")
        return "main process - attendant" in self.kamcmd("core.psx")
