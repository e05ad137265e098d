"""Looking after a running Kamailio: it is started again when it ends, and ended in good order."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from kemi_routes import logbook
from kemi_routes.settings import Settings

START_TIMEOUT = 600.0  # a million bindings take a while to read
RESTART_PAUSE = 1.0
ORPHAN_PATIENCE = 5.0
ASK_TIMEOUT = 2.0
VERBOSE = 2  # LOG_LEVEL from which the whole log is wanted
TERMINATE_AGAIN = 1.0
# what the main process calls itself when it has started all others
ALL_STARTED = b"main process - attendant"
# json: an entry is one line, whatever the SIP message has that it quotes (core: log_engine_data)
LOGS: dict[str, list[str]] = {"text": [], "json": ["--log-engine=json:Mc"]}
NOT_STARTED = 1
NOT_STARTED_WHY = "kemi-routes: Kamailio did not start, its log above says why"
# what Kamailio calls the process that writes the bindings when the main process was killed
WRITER = re.compile(rb"PID: (\d+)\s+DSC: RTIMER EXEC [^\n]*timer=probe")


def end_orphans(group: int) -> None:
    """End the workers that outlive a killed main process, and wait until they are gone.

    They would keep the sockets, so that the next Kamailio could not bind them, and answer on the
    control socket as if all were well. Their bindings are in the database by then (`let_write`).

    Args:
        group: the process group of Kamailio, which is the process id of its main process.
    """
    deadline = time.monotonic() + ORPHAN_PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        with suppress(ChildProcessError):
            # they are ours as far as we are process 1 of a container
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
        time.sleep(0.05)


def let_write(processes: bytes) -> None:
    """Let what a killed main process has left behind write the bindings, and wait for it.

    Args:
        processes: what `kamcmd core.psx` shows.
    """
    found = WRITER.search(processes)
    with suppress(ProcessLookupError):
        writer = os.pidfd_open(int(found[1])) if found else -1
        if writer >= 0:
            signal.pidfd_send_signal(writer, signal.SIGTERM)
            select.select([writer], [], [], ORPHAN_PATIENCE)
            os.close(writer)


class Supervisor:
    """One Kamailio, started again when it crashes.

    active    the settings: where it keeps its files, and how much of its log is wanted
    environ   what it finds in its environment
    options   its own, beside those that say where its files are
    log       `text` or `json`
    """

    def __init__(
        self, active: Settings, environ: dict[str, str], options: list[str], log: str = "text"
    ) -> None:
        self._run_dir = Path(active.run_dir)
        self._environ = environ
        self._command = ["kamailio", "-DD", "-E", *LOGS[log], *options]
        self._command += ["-Y", active.run_dir, "-P", f"{active.run_dir}/kamailio.pid"]
        # what Kamailio prints beside its log is for people, and no entry of it
        self._output: dict[str, Any] = (
            {"stdout": subprocess.DEVNULL, "stderr": sys.stdout} if log == "json" else {}
        )
        if active.log_level < VERBOSE:
            self._output["stderr"] = subprocess.PIPE
        self._process: subprocess.Popen[bytes] | None = None
        self._form = log
        self._log: threading.Thread | None = None
        self._ending = False

    def run(self, ready_message: str) -> int:
        """Start Kamailio, say when it answers, and start it again after a crash.

        Returns:
            0 after SIGINT or SIGTERM, 1 when Kamailio does not come up.
        """
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._end)
        signal.signal(signal.SIGALRM, self._end_all)
        if not self._accepts_its_configuration():
            return 0 if self._ending else NOT_STARTED
        was_ready = False
        while not self._ending:
            if self._start():
                print("Kamailio is ready again." if was_ready else ready_message, flush=True)
                was_ready = True
                self._wait()
                what = "ended by itself"
            else:
                what = "did not start"
            if not (self._ending or was_ready):
                return NOT_STARTED
            if not self._ending:
                print(f"kemi-routes: Kamailio {what}, starting it again", file=sys.stderr)
                time.sleep(RESTART_PAUSE)
        return 0

    def _accepts_its_configuration(self) -> bool:
        checked = subprocess.run(
            [*self._command, "-c"],
            env=self._environ,
            cwd=self._run_dir,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if checked.returncode and not self._ending:
            print(f"{checked.stdout}{NOT_STARTED_WHY}", file=sys.stderr)
        return checked.returncode == 0

    def _start(self) -> bool:
        self._process = subprocess.Popen(
            self._command,
            env=self._environ,
            cwd=self._run_dir,
            start_new_session=True,
            **self._output,
        )
        if self._process.stderr is not None:
            out = sys.stdout if self._form == "json" else sys.stderr
            self._log = logbook.follow(self._process.stderr, out.buffer, self._form)
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and not self._ending and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.1)
        asked_to_end = self._ending
        if not asked_to_end:
            print(NOT_STARTED_WHY, file=sys.stderr)
        self._end(signal.SIGTERM, None)
        self._wait()
        self._ending = asked_to_end
        return False

    def _answers(self) -> bool:
        return ALL_STARTED in self._processes()

    def _processes(self) -> bytes:
        command = ["kamcmd", "-s", f"unixs:{self._run_dir}/kamailio_ctl", "core.psx"]
        with suppress(subprocess.TimeoutExpired):
            return subprocess.run(
                command, env=self._environ, capture_output=True, check=False, timeout=ASK_TIMEOUT
            ).stdout
        return b""

    def _wait(self) -> None:
        if self._process is not None:
            if self._process.wait() < 0:
                let_write(self._processes())
            signal.setitimer(signal.ITIMER_REAL, 0)
            end_orphans(self._process.pid)
        if self._log is not None:
            self._log.join(ORPHAN_PATIENCE)

    def _end(self, _signum: int, _frame: FrameType | None) -> None:
        self._ending = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            signal.setitimer(signal.ITIMER_REAL, TERMINATE_AGAIN, TERMINATE_AGAIN)

    def _end_all(self, _signum: int, _frame: FrameType | None) -> None:
        # A process that Kamailio has only just forked takes the first SIGTERM for its parent's and
        # lets it pass; Kamailio would wait a minute for it.
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
