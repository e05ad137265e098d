"""A program that runs in the background of a test, and what it prints."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from pathlib import Path

from .network import Namespace, end


class Process:
    """Start a program on a host and collect its output (stdout and stderr) in `lines`.

    It is ended, by its process id, with `stop` or when the host goes away.
    """

    def __init__(
        self,
        host: Namespace,
        *command: str,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = command
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._silent = False
        self._popen = host.popen(*command, env=env, cwd=cwd)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id (`ip netns exec` replaces itself by the program)."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    @property
    def output(self) -> str:
        """All it printed so far."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout: float = 10, since: int = 0) -> re.Match[str]:
        """The first match of a regular expression in a line from number `since` on. Raises
        AssertionError with the whole output when it does not come or the program has ended."""

        def look() -> re.Match[str] | None:
            return next((m for line in self.lines[since:] if (m := re.search(pattern, line))), None)

        with self._changed:
            self._changed.wait_for(lambda: look() or self._silent, timeout)
            found = look()
        if found is None:
            raise AssertionError(
                f"{self.command[0]} {self._state()} and did not print {pattern!r} "
                f"within {timeout} s; it printed:\n{self.output}"
            )
        return found

    def _state(self) -> str:
        if self._silent:
            # its output ends a moment before the process does
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(1)
        return "is running" if self.running else f"ended with {self._popen.poll()}"

    def wait(self, timeout: float = 30) -> int:
        """Wait for it to end by itself; its exit status. Raises subprocess.TimeoutExpired."""
        status = self._popen.wait(timeout)
        self._reader.join(5)
        return status

    def stop(self, patience: float = 5) -> int:
        """SIGTERM, after patience seconds SIGKILL; its exit status."""
        status = end(self._popen, patience)
        self._reader.join(5)
        return status

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say or save anything."""
        self._popen.kill()
        self.wait()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._silent = True
            self._changed.notify_all()
