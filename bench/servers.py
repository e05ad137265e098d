"""The configurations, and a running Kamailio of each."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from tests.live.network import CLEAN_PATH
from tests.live.server import LAUNCHER, ROOT, free_port

from . import cpu
from .database import DOMAIN

CONFIGS = Path(__file__).parent / "configs"
STOCK_CFG = Path("/etc/kamailio/kamailio.cfg")
STOCK_KEMI = Path(os.environ.get("KEMI_EXAMPLES", "/usr/share/doc/kamailio/examples/kemi"))
START_TIMEOUT = 300.0
# what `kemi-routes run` gives Kamailio, for the configurations that take it over
SETUP = ["-x", "tlsf"]
SETUP_DEFINES = {"HASH_SIZE": "18", "MAXBUFFER": "4194304", "CHILDREN": "4"}
# No media relay in any of them, no NAT pings, and writes of bindings on demand: what the native
# files do of these by themselves is taken out.
_LEFT_OUT = (
    (r'^(loadmodule |modparam\()"rtpproxy.*$', ""),
    (r'^(\s*)rtpproxy_manage\("cor?"\);', r"\1$var(relay) = 0;"),
    (r"KSR\.permissions\.allow_source_address\(1\)>0", "False"),
    (r"KSR\.rtpproxy\.rtpproxy_manage\(.*\)", "pass"),
    (r'("timer_interval"), \d+', r"\1, 3600"),
    (r'("natping_interval"), \d+', r"\1, 0"),
    (r"/usr/local/etc/kamailio/", "./"),
    (r"^#!define WITH_(MYSQL|IPAUTH|ANTIFLOOD|ACCDB)$", ""),
)
_STOCK_LOCAL = """
#!trydef WITH_AUTH
#!trydef WITH_USRLOCDB
#!trydef WITH_NAT
#!define DBURL "{dburl}"
alias="{domain}"
auto_aliases=no
loadmodule "db_postgres.so"
"""


@frozen
class Place:
    """Where a server runs, and for how many bindings."""

    directory: Path
    port: int
    dburl: str
    size: int

    @property
    def memory(self) -> int:
        """Shared memory that is enough, in MB."""
        return 256 + self.size // 250


Command = tuple[list[str], dict[str, str]]


@frozen
class Config:
    """How it is started, and what it can do."""

    name: str
    title: str
    command: Callable[[Place], Command]
    alias: bool = True  # keeps a phone's public address in the Contact
    authenticates: bool = True
    calls: bool = False
    warm: bool = False  # keeps something of phones that have registered
    listens: bool = False  # has the credentials of all who are registered from the start
    forgets: bool = False  # before each round, what phones have said, as with a restart

    def missing(self) -> str | None:
        """Why it can't be run here; None where it can."""
        if self.name == "stock" and not STOCK_CFG.exists():
            return f"{STOCK_CFG} is not there"
        if self.name == "stock-kemi" and not (STOCK_KEMI / "kamailio-basic-kemi.cfg").exists():
            return f"{STOCK_KEMI} is not there: set KEMI_EXAMPLES"
        return None


def _kamailio(place: Place, cfg: Path, *words: str) -> Command:
    command = ["kamailio", "-DD", "-E", "-f", str(cfg), "-Y", str(place.directory)]
    command += ["-P", str(place.directory / "kamailio.pid"), "-m", str(place.memory), "-M", "16"]
    return [*command, "-l", f"udp:127.0.0.1:{place.port}", *words], {}


def _defines(**values: str) -> list[str]:
    return [word for name, value in values.items() for word in ("-A", f"{name}={value}")]


def _article(place: Place) -> Command:
    known = _defines(DBURL=f'"{place.dburl}"', DOMAIN=DOMAIN)
    return _kamailio(place, CONFIGS / "article.cfg", *known)


def _article_set_up(place: Place) -> Command:
    command, environ = _article(place)
    return [*command, *SETUP, *_defines(**SETUP_DEFINES)], environ


def _article_cached(place: Place, *words: str) -> Command:
    command, environ = _article_set_up(place)
    return [*command, *_defines(HA1_CACHE="1"), *words], environ


def _bare_kemi(place: Place) -> Command:
    return _article_cached(place, *_defines(KEMI_SCRIPT=f'"{CONFIGS / "bare.py"}"'))


def _floor(place: Place) -> Command:
    known = _defines(DOMAIN=DOMAIN, **SETUP_DEFINES)
    return _kamailio(place, CONFIGS / "floor.cfg", *SETUP, *known)


def _stock(place: Place) -> Command:
    return _kamailio(place, _copy(STOCK_CFG, place, _STOCK_LOCAL))


def _stock_kemi(place: Place, repair: str = 'kemi.onsend_route_callback="none"\n') -> Command:
    # its callbacks are not all there: a call would raise without the repair (Kamailio 5.6)
    local = f"{_STOCK_LOCAL}#!define WITH_CFGPYTHON3\n{repair}"
    _copy(STOCK_KEMI / "kamailio-basic-kemi-python.py", place)
    return _kamailio(place, _copy(STOCK_KEMI / "kamailio-basic-kemi.cfg", place, local))


def _copy(source: Path, place: Place, local: str = "") -> Path:
    text = source.read_text()
    for pattern, instead in _LEFT_OUT:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    text = re.sub(r"^port=5060$", "", text, flags=re.MULTILINE)
    target = place.directory / source.name
    target.write_text(text.replace('"./', f'"{place.directory}/'))
    if local:
        (place.directory / "kamailio-local.cfg").write_text(
            local.format(dburl=place.dburl, domain=DOMAIN)
        )
    return target


def _ours(place: Place, **settings: str) -> Command:
    environ = {
        "LISTEN": f"udp:127.0.0.1:{place.port}",
        "SIP_DOMAIN": DOMAIN,
        "DBURL": place.dburl,
        "RUN_DIR": str(place.directory),
        "SHM_MEMORY": str(place.memory),
        "PING_INTERVAL": "3600",
        "PING_TIMEOUT": "0",
        "LOG_LEVEL": "0",
        "DB_TIMEOUT": "60",  # to read a million bindings at start
        "MAX_RATE": "65535",  # all phones of the load share an address
        **settings,
    }
    return [LAUNCHER, "run", "--no-demo"], environ


CONFIGURATIONS = (
    Config("article", "the article's native config", _article),
    Config("article-setup", "the same with our process set-up", _article_set_up),
    Config("article-cached", "and with HA1 in memory", _article_cached, warm=True),
    Config("bare-kemi", "the same routing in Python", _bare_kemi, warm=True),
    Config("stock", "stock kamailio.cfg", _stock, alias=False, calls=True),
    Config("stock-kemi", "stock KEMI Python script", _stock_kemi, alias=False, calls=True),
    Config("ours-uncached", "kemi-routes, no cache",
           lambda place: _ours(place, CREDENTIALS_CACHE="0"), calls=True, warm=True),
    Config("ours-cold", "kemi-routes, cold", _ours, warm=True, listens=True, forgets=True),
    Config("ours-warm", "kemi-routes, warm", _ours, calls=True, warm=True, listens=True),
    Config("floor", "the floor: parse and answer", _floor, authenticates=False),
)  # fmt: skip
# What tests/attacks attacks: the stock script without the repair, and with pike, without which it
# answers nobody but 127.0.0.1; ours with its default limits.
_ANTIFLOOD = "#!define WITH_ANTIFLOOD\n"
ATTACKED = (
    Config("stock", "stock native", _stock, alias=False),
    Config("stock-kemi", "stock Python", lambda place: _stock_kemi(place, _ANTIFLOOD), alias=False),
    Config("ours", "ours", lambda place: _ours(place, MAX_RATE="1000"), warm=True),
)


class NotStartedError(RuntimeError):
    """A configuration ended, or had not all its bindings in time; says which."""


class Server:
    """A running Kamailio of a configuration; the constructor returns when it has its bindings."""

    def __init__(self, config: Config, dburl: str, size: int) -> None:
        self.config = config
        self.directory = Path(tempfile.mkdtemp(prefix="kemi-bench-"))
        self.port = free_port()
        self._size = size
        self._bindings = size + 1 if config.authenticates else 0
        command, environ = config.command(Place(self.directory, self.port, dburl, size))
        self._log = (self.directory / "log").open("wb")
        began = time.monotonic()
        with cpu.on(cpu.cores()[0]):
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={"PATH": CLEAN_PATH, **environ},
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait(began + START_TIMEOUT)
        except BaseException:
            self.close()
            raise
        self.start_seconds = time.monotonic() - began
        self.pid = int((self.directory / "kamailio.pid").read_text())

    def close(self) -> None:
        """End it at once: bindings that were not written stay so."""
        with suppress(OSError, ValueError):
            os.killpg(int((self.directory / "kamailio.pid").read_text()), signal.SIGKILL)
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, *words: str, timeout: float = 300) -> str:
        """What kamcmd prints."""
        control = f"unixs:{self.directory}/kamailio_ctl"
        done = subprocess.run(
            ["kamcmd", "-s", control, *words],
            env={"PATH": CLEAN_PATH}, capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        return done.stdout.decode(errors="replace")

    def wait_for_cache(self) -> None:
        """Wait until the credentials of all who are registered are kept."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.config.listens and self._kept() < self._size:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.config.name} keeps too few:\n{self.log[-2000:]}")
            time.sleep(0.1)

    def _kept(self) -> int:
        return int(_number(r"name: ha1\s+slots: \d+\s+all: (\d+)", self.ask("htable.stats")))

    def forget(self) -> None:
        """Forget what phones have said."""
        self.ask("htable.flush", "renewals")

    def shared_memory(self) -> int:
        """Bytes of shared memory in use."""
        return int(_number(r"used: (\d+)", self.ask("core.shmmem")))

    def resident(self) -> int:
        """Memory of all its processes together, in bytes: each page counted once (PSS)."""
        total = 0
        for pid in cpu.family(self.pid):
            with suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(_number(r"^Pss:\s+(\d+)", text)) * 1024
        return total

    @property
    def log(self) -> str:
        """All it has logged."""
        return (self.directory / "log").read_text(errors="replace")

    def _wait(self, deadline: float) -> None:
        while not (self._answers() and self._has_bindings()):
            if self._process.poll() is not None:
                raise NotStartedError(f"it ended:\n{self.log[-3000:]}")
            if time.monotonic() > deadline:
                raise NotStartedError(f"it had not all bindings after {START_TIMEOUT:.0f} s")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.port))
            with suppress(OSError):
                probe.send(_PROBE)
                if select.select([probe], [], [], 0.2)[0]:
                    return probe.recv(4096).startswith(b"SIP/2.0 401")
        return False

    def _has_bindings(self) -> bool:
        if not self._bindings:
            return True
        found = self.ask("stats.get_statistics", "usrloc:", timeout=30)
        return f"location_contacts = {self._bindings}" in found


_PROBE = "\r\n".join([
    f"REGISTER sip:{DOMAIN} SIP/2.0",
    "Via: SIP/2.0/UDP 192.168.0.1:5060;branch=z9hG4bKprobe",
    "Max-Forwards: 70",
    f"From: <sip:u0000000@{DOMAIN}>;tag=probe",
    f"To: <sip:u0000000@{DOMAIN}>",
    "Call-ID: probe",
    "CSeq: 1 REGISTER",
    "Contact: <sip:u0000000@192.168.0.1:5060>",
    "Content-Length: 0",
    "", "",
]).encode()  # fmt: skip


def _number(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"no {pattern!r} in {text!r}")
    return match[1]
