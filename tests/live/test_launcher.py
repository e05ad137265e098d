"""`kemi-routes run` starts, watches and ends Kamailio, and gives a newcomer two subscribers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .network import Namespace
from .process import Process
from .requirement import require
from .server import DOMAIN, LAUNCHER, ROOT, Server, free_port

ANY_PORT = ("127.0.0.1", 0)
# in a session of its own, as a terminal gives it to a command
RUN = ("setsid", LAUNCHER, "run", "--no-demo")
READY = "Kamailio is ready"


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings with all transports, so with all kinds of processes."""
    require("kamailio", LAUNCHER)
    udp, tls = free_port(), free_port()
    run_dir = str(tmp_path / "run")
    yield {
        "LISTEN": f"udp:127.0.0.1:{udp} tcp:127.0.0.1:{udp} tls:127.0.0.1:{tls}",
        "SIP_DOMAIN": DOMAIN,
        "RUN_DIR": run_dir,
    }
    for pid in processes(run_dir):  # of a test that failed
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes(run_dir: str) -> set[int]:
    """All processes that have this RUN_DIR on their command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if run_dir.encode() in words:
            found.add(int(path.parent.name))
    return found


# The end


@pytest.mark.parametrize(
    ("kill", "signum"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGINT), (os.kill, signal.SIGTERM)],
    ids=["Ctrl-C", "SIGINT", "SIGTERM"],
)
def test_it_ends_cleanly_and_leaves_no_process(
    loopback: Namespace, environ: dict[str, str], kill: Callable[[int, int], None], signum: int
) -> None:
    launcher = Process(loopback, *RUN, env=environ)
    launcher.wait_for(READY, timeout=30)
    assert len(processes(environ["RUN_DIR"])) > 15
    kill(launcher.pid, signum)
    assert launcher.wait(10) == 0, launcher.output
    assert processes(environ["RUN_DIR"]) == set()
    assert "Traceback" not in launcher.output


@pytest.mark.parametrize("made", [1, 4, 6, 8, 10, 12, 14])
def test_it_ends_cleanly_and_soon_in_the_middle_of_the_start(
    loopback: Namespace, environ: dict[str, str], made: int
) -> None:
    """Kamailio itself would often wait a minute for a process that it was just making."""
    launcher = Process(loopback, *RUN, env=environ)
    deadline = time.monotonic() + 30
    while len(processes(environ["RUN_DIR"])) < made:
        assert time.monotonic() < deadline
    os.kill(launcher.pid, signal.SIGTERM)
    assert launcher.wait(10) == 0, launcher.output
    assert processes(environ["RUN_DIR"]) == set()


def test_it_fails_when_kamailio_does_not_start(
    loopback: Namespace, environ: dict[str, str], tmp_path: Path
) -> None:
    for name in ("kamailio.cfg", "kamailio-settings.cfg", "kemi.py"):
        shutil.copy(ROOT / "kamailio" / name, tmp_path)
    (tmp_path / "kamailio-local.cfg").write_text("this is no configuration\n")
    config = ("--config", str(tmp_path / "kamailio.cfg"))
    launcher = Process(loopback, *RUN, *config, env=environ)
    assert launcher.wait() == 1
    assert "kamailio-local.cfg, line 1" in launcher.output
    assert "Kamailio did not start, its log above says why" in launcher.lines[-1]
    assert processes(environ["RUN_DIR"]) == set()


# A crash


def test_a_kamailio_that_was_started_again_after_a_crash_ends_as_cleanly(
    server: Server, loopback: Namespace
) -> None:
    phone = server.phone(loopback, "1111", local=ANY_PORT)
    mark = server.mark()
    before = processes(str(server.run_dir))
    server.kill_worker("main process")
    server.wait_for_log("Kamailio ended by itself, starting it again", since=mark)
    server.wait_for_log("Kamailio is ready again", timeout=30, since=mark)
    assert not before & processes(str(server.run_dir))
    assert phone.register().status == 200
    assert server.stop() == 0
    assert processes(str(server.run_dir)) == set()


# The first start


def test_the_first_start_shows_two_passwords_that_work_and_a_later_one_none(
    loopback: Namespace,
) -> None:
    """The data of the first start are still there in the second."""
    server = Server(loopback, command=(LAUNCHER, "run"))
    shown = dict(re.findall(r"^  (\S+@\S+)  password (\S+)$", server.log, re.MULTILINE))
    assert set(shown) == {f"1111@{DOMAIN}", f"2222@{DOMAIN}"}
    assert all(len(password) >= 12 for password in shown.values())
    assert all(server.log.count(password) == 1 for password in shown.values())
    server.passwords.update(shown)
    one, two = (server.phone(loopback, user, local=ANY_PORT) for user in ("1111", "2222"))
    assert [one.register().status, two.register().status] == [200, 200]
    call = one.invite("2222")
    two.expect_request("INVITE").reply(486)
    call.wait_for(486)
    stored = b"".join(path.read_bytes() for path in server.directory.glob("*.sqlite*"))
    assert b"1111" in stored
    assert not any(password.encode() in stored for password in shown.values())
    server.restart()
    assert "assword" not in server.log
    assert len(server.bindings("1111")) == 1
    assert one.register().status == 200, "with the password of the first start"


def test_nobody_is_added_to_a_database_that_has_these_subscribers_already(
    loopback: Namespace,
) -> None:
    server = Server(loopback)
    server.add_subscriber(f"1111@{DOMAIN}", "chosen by the operator")
    server.stop()
    launcher = Process(loopback, LAUNCHER, "run", env=server.settings)
    launcher.wait_for(READY, timeout=30)
    phone = server.phone(loopback, "1111", local=ANY_PORT)
    assert phone.register().status == 200
    assert launcher.stop(patience=20) == 0
    assert re.findall(r"^  (\S+@\S+)  password", launcher.output, re.MULTILINE) == [
        f"2222@{DOMAIN}"
    ]
