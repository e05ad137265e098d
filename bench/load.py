"""The load: SIPp, and the subscribers that it plays."""

from __future__ import annotations

import csv
import random
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.live.network import CLEAN_PATH
from tests.live.server import free_port

from . import cpu
from .database import CALLEE, DOMAIN, password, user

SCENARIOS = Path(__file__).parent / "scenarios"
# calls at a time: enough to keep the server busy, few enough for its socket buffer
PARALLEL = {"call": 400}  # a call has a pause of 50 ms
PARALLEL_REQUESTS = 64
TIMEOUT = 60  # seconds
REFRESHES = 5  # in refresh.xml, after one challenged registration


class Ran(NamedTuple):
    """What SIPp says of one run."""

    seconds: float
    calls: int
    retransmissions: int


def numbers(size: int, count: int, seed: int) -> list[int]:
    """`count` of `size` subscribers, the same for every configuration."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    return [rng.randrange(size) for _ in range(count)]


class Load:
    """SIPp on one port, and a phone that answers calls on another."""

    def __init__(self) -> None:
        self.phones, self.callee = free_port(), free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="kemi-bench-")
        self.path = Path(self._directory.name)
        self._answering: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the answering phone and remove all files."""
        if self._answering is not None:
            self._answering.terminate()
            self._answering.wait()
        self._directory.cleanup()

    def users(self, size: int, count: int, seed: int, *, anew: bool = False) -> Path:
        """A file for SIPp with `count` of `size` subscribers, their credentials and Expires.

        Args:
            anew: each registers for another time than before.
        """
        path = self.path / f"users-{size}-{count}-{seed}{'-anew' * anew}.csv"
        if not path.exists():
            lines = [
                f"{user(n)};[authentication username={user(n)} password={password(n)}]"
                f";{f'9{i}' if anew else 3600}"
                for i, n in enumerate(numbers(size, count, seed), 1)
            ]
            path.write_text("SEQUENTIAL\n" + "\n".join(lines) + "\n")
        return path

    def run(
        self, scenario: str, port: int, users: Path, calls: int, rate: float | None = None
    ) -> Ran:
        """Play a scenario against a server on 127.0.0.1 and wait for its end.

        Args:
            port: of the server.
            calls: how many, each with the next line of `users`.
            rate: calls a second; None for as many as the server takes, PARALLEL_REQUESTS at a time.
        Raises:
            RuntimeError: a call failed.
        """
        statistics = self.path / "statistics.csv"
        statistics.unlink(missing_ok=True)
        pace = ["-r", "100000", "-l", str(PARALLEL.get(scenario, PARALLEL_REQUESTS))]
        if rate is not None:
            pace = ["-r", str(max(1, round(rate)))]
        uri = f"{CALLEE}@{DOMAIN}" if scenario == "call" else DOMAIN
        command = self._command(scenario, self.phones, "-m", str(calls), "-inf", str(users), *pace)
        command += ["-auth_uri", uri, "-timeout", str(TIMEOUT), "-timeout_error"]
        command += ["-trace_stat", "-stf", str(statistics), "-fd", "60", f"127.0.0.1:{port}"]
        with cpu.on(cpu.cores()[1]):
            done = subprocess.run(
                command, cwd=self.path, env={"PATH": CLEAN_PATH, "TERM": "dumb"},
                capture_output=True, check=False,
            )  # fmt: skip
        if done.returncode:
            errors = (self.path / "errors.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"SIPp, {scenario}: {done.stderr.decode()[-500:]}\n{errors}")
        return _read(statistics)

    def answer(self) -> None:
        """Let a phone answer calls on the port `callee` from now on."""
        if self._answering is None:
            with cpu.on(cpu.cores()[1]):
                self._answering = subprocess.Popen(
                    self._command("answer", self.callee), cwd=self.path,
                    env={"PATH": CLEAN_PATH, "TERM": "dumb"},
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip

    def _command(self, scenario: str, port: int, *words: str) -> list[str]:
        place = ["-i", "127.0.0.1", "-p", str(port), "-t", "u1", "-buff_size", "4000000"]
        quiet = ["-nostdin", "-trace_err", "-error_file", str(self.path / "errors.log")]
        fast = ["-max_recv_loops", "1000", "-max_sched_loops", "1000"]
        return ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), *place, *quiet, *fast, *words]


def _read(statistics: Path) -> Ran:
    with statistics.open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    calls = int(last["SuccessfulCall(C)"])
    return Ran(calls / float(last["CallRate(C)"]), calls, int(last["Retransmissions(C)"]))
