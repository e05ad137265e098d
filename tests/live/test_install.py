"""`make install` drops the routes beside an existing Kamailio, and they run from there."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installation import InstalledServer, make
from .network import Namespace
from .phone import Phone
from .requirement import require
from .server import DOMAIN, ROOT

PREFIX = "/etc/kamailio"
ANY_PORT = ("127.0.0.1", 0)
LOCAL = 'listen=udp:192.0.2.1:5060\n#!define DBURL "postgres://kamailio:secret@db/k"\n'
FOREIGN = "#!KAMAILIO\n# the operator's own routes\n"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """A DESTDIR, as a package is built in."""
    return tmp_path


def install(staging: Path) -> str:
    """Install into a DESTDIR and return what is printed."""
    return make("install", f"DESTDIR={staging}", f"PREFIX={PREFIX}")


def tree(staging: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each installed file."""
    root = Path(f"{staging}{PREFIX}")
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in files
    }


def sources(directory: str) -> set[str]:
    """Python files of a directory of the checkout, as they are installed."""
    return {str(path.relative_to(ROOT)) for path in (ROOT / directory).glob("*.py")}


# Files


def test_everything_that_runs_is_put_in_place_and_nothing_else(staging: Path) -> None:
    install(staging)
    modules = sources("kemi_routes") | sources("kemi_routes/subscribers")
    assert len(modules) > 15
    assert set(tree(staging)) == modules | {
        *("kamailio.cfg", "kamailio-settings.cfg", "kemi.py", "try_import.py"),
        *("kamailio-local.cfg", "kamailio-local.cfg.example"),
    }
    assert all(mode == 0o644 for name, (mode, _) in tree(staging).items() if name in modules)
    for name in sorted(modules):
        assert tree(staging)[name][1] == (ROOT / name).read_bytes()


def test_the_files_name_the_place_where_they_will_run(staging: Path) -> None:
    """That is PREFIX; DESTDIR is only where the package is built."""
    make("install", f"DESTDIR={staging}", "PREFIX=/opt/kamailio")
    for path in (staging / "opt/kamailio").glob("*.cfg"):
        assert str(staging) not in path.read_text()
        assert PREFIX not in path.read_text().replace(f'"{PREFIX}/', "")
    settings = (staging / "opt/kamailio/kamailio-settings.cfg").read_text()
    assert '#!trydef KEMI_SCRIPT "/opt/kamailio/kemi.py"' in settings


def test_debians_service_is_given_our_memory_and_comes_back_after_a_crash(staging: Path) -> None:
    """Its drop-in has options that this Kamailio takes."""
    install(staging)
    drop_in = staging / "etc/systemd/system/kamailio.service.d/kemi-routes.conf"
    text = drop_in.read_text()
    assert "\nRestart=always\nRestartSec=1\n" in text
    assert "\nLogRateLimitIntervalSec=30s\nLogRateLimitBurst=2000\n" in text
    values = dict(re.findall(r"^Environment=(\w+)=(\S+)$", text, re.MULTILINE))
    defaults = (staging / "etc/kamailio/kamailio-settings.cfg").read_text()
    for name in ("SHM_MEMORY", "PKG_MEMORY"):
        assert f"#!trydef {name} {values[name]}\n" in defaults
    values["CFGFILE"] = str(ROOT / "bench/configs/floor.cfg")
    [command] = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    words = [re.sub(r"\$(\w+)", lambda name: values[name[1]], word) for word in command.split()]
    defines = ("-A", "DOMAIN=example.test", "-A", "CHILDREN=1", "-A", "MAXBUFFER=262144")
    assert "config file ok" in Namespace().run(*words, *defines, "-c")


def test_systemd_understands_our_drop_in(staging: Path) -> None:
    """All of it: `systemd-analyze verify` names what it does not know."""
    require("systemd-analyze")
    install(staging)
    units = staging / "units"
    shutil.copytree(staging / "etc/systemd/system", units)
    debians = Path("/lib/systemd/system/kamailio.service")
    (units / debians.name).write_text(debians.read_text())
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", units / debians.name],
        env={"SYSTEMD_UNIT_PATH": f"{units}:/lib/systemd/system", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in verified.stderr.splitlines() if "kemi-routes.conf" in line] == []
    assert verified.returncode == 0, verified.stderr


def test_a_service_that_runs_from_elsewhere_is_left_alone(staging: Path) -> None:
    make("install", f"DESTDIR={staging}", "PREFIX=/opt/kamailio")
    assert not (staging / "etc").exists()


def test_a_second_installation_changes_nothing(staging: Path) -> None:
    first_words = install(staging)
    before = tree(staging)
    assert install(staging) == first_words
    assert tree(staging) == before


def test_the_settings_of_the_operator_stay_as_they_are(staging: Path) -> None:
    local = Path(f"{staging}{PREFIX}/kamailio-local.cfg")
    local.parent.mkdir(parents=True)
    local.write_text(LOCAL)
    local.chmod(0o600)
    before = local.stat()
    install(staging)
    install(staging)
    after = local.stat()
    assert local.read_text() == LOCAL
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "not rewritten"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_new_settings_can_only_be_read_by_the_server(staging: Path) -> None:
    """They will have the password of the database."""
    install(staging)
    mode, content = tree(staging)["kamailio-local.cfg"]
    assert mode == 0o640
    assert content == tree(staging)["kamailio-local.cfg.example"][1]


def test_every_former_configuration_is_kept(staging: Path) -> None:
    """The operator's own, and what a package upgrade has put there later."""
    cfg = Path(f"{staging}{PREFIX}/kamailio.cfg")
    cfg.parent.mkdir(parents=True)
    for text in (FOREIGN, FOREIGN.replace("operator", "distribution")):
        cfg.write_text(text)
        printed = install(staging)
        kept = re.findall(r"former kamailio.cfg is kept as (\S+)\.$", printed, re.MULTILINE)
        assert [Path(name).read_text() for name in kept] == [text]
        assert cfg.read_bytes() == (ROOT / "kamailio/kamailio.cfg").read_bytes()
    assert "is kept as" not in install(staging), "ours is not backed up"
    found = [path.read_text() for path in cfg.parent.glob("kamailio.cfg.*")]
    assert sorted(found) == sorted([FOREIGN, FOREIGN.replace("operator", "distribution")])


def test_modules_that_no_longer_exist_are_removed(staging: Path) -> None:
    install(staging)
    before = tree(staging)
    for name in ("kemi_routes/former.py", "kemi_routes/subscribers/former.py"):
        Path(f"{staging}{PREFIX}/{name}").write_text("raise RuntimeError\n")
    install(staging)
    assert tree(staging) == before


# Running


@pytest.fixture
def etc() -> Iterator[Path]:
    """A PREFIX that every user can read."""
    require("kamailio")
    directory = Path(tempfile.mkdtemp(prefix="kemi-etc-"))
    directory.chmod(0o755)
    yield directory / "etc"
    shutil.rmtree(directory)


def test_a_phone_registers_at_an_installed_server(loopback: Namespace, etc: Path) -> None:
    make("install", f"PREFIX={etc}")
    server = InstalledServer(loopback, etc)
    assert "listen=" in (etc / "kamailio-local.cfg").read_text()
    phone = server.phone(loopback, "1111", local=ANY_PORT)
    assert phone.register().status == 200
    assert server.bindings("1111") == [f"sip:1111@127.0.0.1:{phone.local[1]}"]


def test_the_printed_steps_lead_to_a_server_of_the_user_kamailio(
    loopback: Namespace, etc: Path
) -> None:
    """No step needs our checkout, its virtual environment, or a password as an argument."""
    require("root", "runuser")
    printed = make("install", f"PREFIX={etc}")
    step = rf"cd {etc} && sudo -u kamailio python3 -m kemi_routes\.cli"
    assert re.search(rf"^ +{step} db init$", printed, re.MULTILINE)
    assert re.search(rf"^ +{step} subscriber add 1111@YOUR.DOMAIN$", printed, re.MULTILINE)
    assert f"kamailio -c -f {etc}/kamailio.cfg" in printed
    server = InstalledServer(loopback, etc, {"PING_INTERVAL": "1"}, user="kamailio")
    server.control("subscriber", "add", f"1111@{DOMAIN}", "--password-stdin", stdin="secret\n")
    phone = Phone(loopback, "1111", DOMAIN, "secret", server.address(), local=ANY_PORT)
    assert phone.register().status == 200
    server.restart()
    assert len(server.bindings("1111")) == 1


def test_bindings_are_written_when_systemd_ends_what_a_killed_main_process_left(
    loopback: Namespace, etc: Path
) -> None:
    """It sends SIGTERM to all that is left of the service (systemd.kill(5), control-group)."""
    make("install", f"PREFIX={etc}")
    server = InstalledServer(loopback, etc, {"PING_INTERVAL": "600", "PING_TIMEOUT": "0"})
    server.wait_for_timers()
    phone = server.phone(loopback, "1111", local=ANY_PORT)
    assert phone.register().status == 200
    left = [os.pidfd_open(pid) for pid in server.workers()]
    server.kill_worker("main process")
    server.process.wait()
    for process in left[1:]:
        signal.pidfd_send_signal(process, signal.SIGTERM)
    assert all(select.select([process], [], [], 10)[0] for process in left), "all end"
    server.start()
    assert server.bindings("1111") == [f"sip:1111@127.0.0.1:{phone.local[1]}"]
