"""What is measured: each load on all configurations in turn, round after round."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from attrs import frozen

from tests.live.postgres import PostgresServer
from tests.live.server import ROOT

from . import burst, cpu
from .database import connect, fill, version
from .load import REFRESHES, Load, Ran, numbers
from .probe import probe
from .results import Results, Sample
from .servers import CONFIGURATIONS, Config, NotStartedError, Server

SEEDS = 5  # each is other subscribers; of more rounds than that some have the same ones
POSTGRES = "-c autovacuum=off -c shared_buffers=512MB -c max_connections=400"


@frozen
class Plan:
    """How much of everything."""

    sizes: tuple[int, ...]
    rounds: int
    registrations: int
    refreshes: int
    refusals: int
    bursts: int
    calls: int
    call_rate: int
    latency_seconds: float

    @property
    def middle(self) -> int:
        """The size at which all but the registrations are measured."""
        return self.sizes[len(self.sizes) // 2]


FULL = Plan((10_000, 100_000, 1_000_000), 7, 4000, 1000, 6000, 30, 600, 200, 4.0)
SMALL = Plan((500, 2_000, 5_000), 5, 1000, 300, 1000, 7, 200, 100, 2.0)
SMOKE = Plan((200,), 1, 130, 20, 60, 1, 20, 50, 0.5)
PLANS = {"full": FULL, "small": SMALL, "smoke": SMOKE}
# phones that say something else come last: what they say is new to all that comes after
LOADS = (
    *("stub", "start", "register", "burst", "refresh", "refuse", "call", "latency"),
    *("anew", "write"),
)


class Bench:
    """One run of it; every measurement is saved when it is there."""

    def __init__(self, plan: Plan, results: Results, only: frozenset[str]) -> None:
        self._plan, self._results, self._only = plan, results, only
        self._absent = {c.name: why for c in CONFIGURATIONS if (why := c.missing())}
        for name, why in self._absent.items():
            results.note(f"{name} is left out: {why}")

    def run(self) -> None:
        """Measure everything that was asked for."""
        with ExitStack() as stack:
            self._load = Load()
            stack.callback(self._load.close)
            with cpu.on(cpu.cores()[0]):
                self._postgres = stack.enter_context(PostgresServer(options=POSTGRES))
            self._postmaster = _postmaster(self._postgres.url)
            self._results.versions(version(self._postgres.url))
            if self._only & {"stub", "all"}:
                say("the stub")
                self._results.stub(_stub_rates())
            for size in self._plan.sizes:
                if self._loads(size):
                    self._at(size)

    def _loads(self, size: int) -> list[str]:
        everywhere = ("start", "register", "write")
        return [
            load
            for load in LOADS
            if (size == self._plan.middle or load in everywhere)
            and self._only & {load, f"{load}-{size}", "all"}
        ]

    def _at(self, size: int) -> None:
        with ExitStack() as stack:
            servers = self._start(size, stack)
            self._warm_up(size, servers)
            for load in self._loads(size):
                if load not in ("stub", "start"):
                    measure: Callable[[Server, int, int], Sample | None] = getattr(self, f"_{load}")
                    self._alternate(load, size, servers, measure)

    def _start(self, size: int, stack: ExitStack) -> list[Server]:
        ports = (self._load.phones, self._load.callee)
        databases = {}
        for alias in (True, False):
            say(f"{size} subscribers and bindings")
            databases[alias] = self._postgres.new_database()
            fill(databases[alias], size, ports, alias=alias)
        servers = []
        for config in self._present():
            try:
                server = Server(config, databases[config.alias], size)
            except NotStartedError as error:
                self._results.note(f"{config.name} is left out at {size:,}: {error}")
                say(f"{config.name} did not start")
                continue
            stack.callback(server.close)
            servers.append(server)
            say(f"{config.name} started in {server.start_seconds:.1f} s")
            sample = {
                "seconds": server.start_seconds,
                "shared_memory": float(server.shared_memory()),
                "memory": float(server.resident()),
            }
            self._results.replace("start", size, config.name, [sample])
        stack.callback(self._drop, list(databases.values()))
        # closed in reverse: the databases would still be in use
        return servers

    def _present(self) -> Iterable[Config]:
        return (config for config in CONFIGURATIONS if config.name not in self._absent)

    def _drop(self, dburls: list[str]) -> None:
        for dburl in dburls:
            name = dburl.rpartition("/")[2]
            self._postgres.administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _warm_up(self, size: int, servers: list[Server]) -> None:
        """Let all whom a load will play register where something of that is kept."""
        for server in servers:
            server.wait_for_cache()
            if server.config.warm:
                for seed in range(min(self._plan.rounds, SEEDS)):
                    users = self._load.users(size, self._plan.registrations, seed)
                    self._load.run("register", server.port, users, self._plan.registrations)

    def _alternate(
        self,
        load: str,
        size: int,
        servers: list[Server],
        measure: Callable[[Server, int, int], Sample | None],
    ) -> None:
        samples: dict[str, list[Sample]] = {}
        for turn in range(self._plan.rounds):
            for server in servers:
                if server.config.forgets:
                    server.forget()
                sample = self._tried(load, partial(measure, server, size, turn % SEEDS))
                if sample is not None:
                    samples.setdefault(server.config.name, []).append(sample)
                    self._results.replace(
                        load, size, server.config.name, samples[server.config.name]
                    )
            say(f"{load} at {size}: round {turn + 1} of {self._plan.rounds}")

    def _tried(self, load: str, measure: Callable[[], Sample | None]) -> Sample | None:
        try:
            return measure()
        except RuntimeError as error:
            # a busy machine loses a packet for longer than a transaction lasts: once is no finding
            self._results.note(f"{load}, repeated: {str(error).splitlines()[0][:200]}")
            return measure()

    # The loads

    def _register(self, server: Server, size: int, turn: int) -> Sample:
        return self._registrations(server, self._load.users(size, self._plan.registrations, turn))

    def _registrations(self, server: Server, users: Path) -> Sample:
        count = self._plan.registrations
        return self._cost(server, lambda: self._load.run("register", server.port, users, count))

    def _anew(self, server: Server, size: int, turn: int) -> Sample | None:
        """Registrations of phones that say something else than the last time."""
        if not server.config.authenticates:
            return None
        users = self._load.users(size, self._plan.registrations, turn, anew=True)
        return self._registrations(server, users)

    def _burst(self, server: Server, size: int, turn: int) -> Sample:
        phones = numbers(size, self._plan.registrations, turn)
        with cpu.on(cpu.cores()[1]):
            rate = burst.rate(server.pid, server.port, self._load.phones, phones, self._plan.bursts)
        return {"rate": rate}

    def _refresh(self, server: Server, size: int, turn: int) -> Sample | None:
        if not server.config.authenticates or server.config.forgets:
            return None  # after a restart no phone has a nonce
        count = self._plan.refreshes
        users = self._load.users(size, self._plan.registrations, turn)
        once = self._cost(server, lambda: self._load.run("register", server.port, users, count))
        often = self._cost(server, lambda: self._load.run("refresh", server.port, users, count))
        cost = {name: (often[name] - once[name]) / REFRESHES for name in ("kamailio", "postgres")}
        return {name: max(0.0, value) for name, value in cost.items()}

    def _refuse(self, server: Server, size: int, turn: int) -> Sample:
        users = self._load.users(size, self._plan.registrations, turn)
        count = self._plan.refusals
        return self._cost(server, lambda: self._load.run("flood", server.port, users, count))

    def _call(self, server: Server, size: int, turn: int) -> Sample | None:
        if not server.config.calls:
            return None
        self._load.answer()
        count, rate = self._plan.calls, self._plan.call_rate
        users = self._load.users(size, self._plan.registrations, turn)
        return self._cost(
            server, lambda: self._load.run("call", server.port, users, count, rate=rate)
        )

    def _latency(self, server: Server, size: int, turn: int) -> Sample | None:
        known = self._results.samples("register", size).get(server.config.name)
        if not known:
            return None
        rate = statistics.median(sample["rate"] for sample in known) / 2
        users = self._load.users(size, self._plan.registrations, turn)
        count = max(50, round(rate * self._plan.latency_seconds))
        with ThreadPoolExecutor(1) as beside, cpu.on(cpu.cores()[1]):
            load = beside.submit(self._load.run, "register", server.port, users, count, rate)
            times = sorted(probe(server.port, size, load.done))
            load.result()
        return {
            "rate": rate,
            "probes": float(len(times)),
            **{f"p{p}": times[int(p / 100 * (len(times) - 1))] for p in (50, 99, 99.9)},
        }

    def _write(self, server: Server, size: int, turn: int) -> Sample | None:
        """Registrations, and then what it takes to write their bindings to the database."""
        if not server.config.authenticates:
            return None
        server.ask("ul.flush")
        count = self._plan.refreshes
        users = self._load.users(size, self._plan.registrations, turn)
        self._load.run("register", server.port, users, count)
        return self._cost(server, lambda: _flush(server, count))

    def _cost(self, server: Server, play: Callable[[], Ran]) -> Sample:
        """Microseconds of CPU for each call of a run, and calls a second."""
        kamailio, postgres = cpu.used(server.pid), cpu.used(self._postmaster)
        ran = play()
        spent = cpu.since(kamailio, server.pid), cpu.since(postgres, self._postmaster)
        return {
            "kamailio": spent[0] / ran.calls * 1e6,
            "postgres": spent[1] / ran.calls * 1e6,
            "rate": ran.calls / ran.seconds,
            "busy": sum(spent) / ran.seconds,
            "retransmissions": float(ran.retransmissions),
        }


def _flush(server: Server, count: int) -> Ran:
    server.ask("ul.flush")
    return Ran(1.0, count, 0)


def _stub_rates() -> dict[str, float]:
    """Requests a second of our routes on the stub, in a process of its own: it replaces KSR."""
    program = "import json; from bench.stub import rates; print(json.dumps(rates()))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"PYTHONPATH": f"{ROOT}/stubs"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _postmaster(dburl: str) -> int:
    with connect(dburl) as connection:
        backend = connection.info.backend_pid
        return int(cpu.stat(backend)[1])


def say(words: str) -> None:
    """Progress, for whoever waits."""
    print(f"bench: {words}", flush=True)
