"""A server with wrong settings does not start and says why; right ones come from three places."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from .installation import InstalledServer, local_cfg, make, start_kamailio
from .network import CLEAN_PATH, Namespace
from .process import Process
from .requirement import require
from .server import DOMAIN, LAUNCHER, ROOT, free_port

PASSWORD = "no-log-shows-me"
WRONG = {
    "NAT_TEST": "5000",
    "MEDIA_ICE": "maybe",
    "MIN_EXPIRES": "4000",
    "MAX_EXPIRES": "3000",
    "PING_INTERVAL": "30",
    "PING_TIMEOUT": "20",
    "CHILDREN": "300",
}
FAULTS = (
    "5 wrong setting(s), Kamailio does not start:",
    "- NAT_TEST takes a whole number from 0 to 1023 (it is '5000')",
    "- MEDIA_ICE takes one of: keep, force, remove (it is 'maybe')",
    "- CHILDREN takes a whole number from 1 to 256 (it is '300')",
    "- MIN_EXPIRES 4000 is more than MAX_EXPIRES 3000",
    "- PING_TIMEOUT 20 must be more than PING_INTERVAL 30, or 0",
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings of a server that would start."""
    require("kamailio", LAUNCHER)
    return {
        "LISTEN": f"udp:127.0.0.1:{free_port()}",
        "SIP_DOMAIN": DOMAIN,
        "RUN_DIR": str(tmp_path),
        "DBURL": f"sqlite:///{tmp_path}/k.sqlite",
    }


def launch(host: Namespace, environ: dict[str, str], *options: str) -> tuple[int, str]:
    """Exit status and output of a launcher that is expected to end by itself."""
    process = Process(host, LAUNCHER, "run", "--no-demo", *options, env=environ)
    return process.wait(), process.output


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed kemi-routes."""
    require("kamailio")
    prefix = tmp_path_factory.mktemp("etc")
    make("install", f"PREFIX={prefix}")
    return prefix


# The launcher


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LISTEN", "udp:127.0.0.256:5060", "'127.0.0.256' is no IP address"),
        ("LISTEN", "udp:127.0.0.1:65536", "has no port from 1 to 65535"),
        ("LISTEN", "udp:192.0.2.1:5060", "none of this machine's"),
        ("LISTEN", "tcp:[2001:db8::1]:5060", "none of this machine's"),
        ("DBURL", f"mysql://kamailio:{PASSWORD}@db/k", "use sqlite:///abs/path.sqlite"),
        ("NAT_TEST", "nineteen", "takes a whole number from 0 to 1023"),
        ("RUN_DIR", "/etc/hostname", "is no directory that can be written"),
        ("RUN_DIR", "/proc/kemi", "is no directory that can be written"),
        ("TLS_CERT", "/etc/hostname", "TLS_CERT and TLS_KEY go together"),
        ("SERVER_SECRET", PASSWORD, "32 are needed"),
    ],
)
def test_a_server_with_a_wrong_setting_does_not_start_and_says_what_is_right(
    loopback: Namespace, environ: dict[str, str], name: str, value: str, said: str
) -> None:
    status, output = launch(loopback, {**environ, name: value})
    assert status == 2
    assert output.startswith("kemi-routes: 1 wrong setting(s), Kamailio does not start:\n")
    assert said in output
    assert name in output
    assert PASSWORD not in output
    assert len(output.splitlines()) == 2, "and nothing else"


def test_one_message_names_all_that_is_wrong(
    loopback: Namespace, environ: dict[str, str], tmp_path: Path
) -> None:
    """What is wrong in itself, what contradicts, and what only this machine can tell."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = {
            **WRONG,
            "LISTEN": f"tcp:127.0.0.1:{port} udp:192.0.2.1:5060",
            "DBURL": f"oracle://kamailio:{PASSWORD}@db/k",
            "TLS_CERT": str(tmp_path / "cert.pem/missing"),
            "TLS_KEY": str(tmp_path / "missing/key.pem"),
            "RTPENGINE": "localhost",
        }
        status, output = launch(loopback, {**environ, **wrong})
    assert status == 2
    for fault in (
        "kemi-routes: 11 wrong setting(s)",
        *FAULTS[1:],
        "- DBURL begins with 'oracle'",
        "- RTPENGINE takes the control socket of rtpengine",
        f"- LISTEN tcp:127.0.0.1:{port}: address already in use: is another Kamailio running?",
        "- LISTEN udp:192.0.2.1:5060: cannot assign requested address",
        f"- TLS_CERT {tmp_path}/cert.pem/missing can't be read",
        f"- TLS_KEY {tmp_path}/missing/key.pem can't be read",
    ):
        assert fault in output
    assert PASSWORD not in output


def test_a_database_that_is_not_there_is_named_without_its_password(
    loopback: Namespace, environ: dict[str, str]
) -> None:
    dburl = f"postgres://kamailio:{PASSWORD}@127.0.0.1:{free_port()}/k"
    status, output = launch(loopback, {**environ, "DBURL": dburl})
    assert status == 1
    assert "postgres://kamailio:***@127.0.0.1" in output
    assert "cannot be reached" in output
    assert PASSWORD not in output


def test_checking_the_settings_starts_nothing(
    loopback: Namespace, environ: dict[str, str], tmp_path: Path
) -> None:
    status, output = launch(loopback, environ, "--check")
    assert (status, output) == (0, "kemi-routes: the settings are in order")
    assert not (tmp_path / "k.sqlite").exists()
    status, output = launch(loopback, {**environ, "CHILDREN": "none"}, "--check")
    assert status == 2
    assert "CHILDREN takes a whole number" in output


def test_a_run_dir_that_is_not_there_is_made(
    loopback: Namespace, environ: dict[str, str], tmp_path: Path
) -> None:
    run_dir = tmp_path / "var/run"
    process = Process(
        loopback, LAUNCHER, "run", "--no-demo", env={**environ, "RUN_DIR": str(run_dir)}
    )
    process.wait_for("Kamailio is ready", timeout=30)
    assert (run_dir / "kamailio_ctl").is_socket()
    assert process.stop(patience=20) == 0


# Kamailio without the launcher


def test_the_shipped_configuration_passes_kamailios_own_check() -> None:
    require("kamailio")
    checked = subprocess.run(
        ["kamailio", "-c", "-f", "kamailio/kamailio.cfg"],
        cwd=ROOT,
        env={"PATH": CLEAN_PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "config file ok" in checked.stderr
    assert "ERROR" not in checked.stderr
    assert "WARNING" not in checked.stderr


@pytest.mark.parametrize("place", ["environment", "kamailio-local.cfg"])
def test_kamailio_itself_refuses_wrong_settings_and_its_log_names_them_all(
    loopback: Namespace, tree: Path, environ: dict[str, str], tmp_path: Path, place: str
) -> None:
    local = {"RUN_DIR": environ["RUN_DIR"], "DBURL": environ["DBURL"]}
    loopback.run(LAUNCHER, "db", "init", env=environ)
    wrong = WRONG if place == "environment" else {}
    local |= {} if wrong else WRONG
    (tree / "kamailio-local.cfg").write_text(local_cfg(environ["LISTEN"], DOMAIN, local))
    kamailio = start_kamailio(loopback, tree, tmp_path, wrong)
    assert kamailio.wait() != 0
    for fault in FAULTS:
        assert fault in kamailio.output


@pytest.mark.parametrize(
    ("dburl", "said"),
    [
        (f"mysql://kamailio:{PASSWORD}@127.0.0.1/k", "db_mysql"),
        (f"postgres://kamailio:{PASSWORD}@127.0.0.1:1/k", "Connection refused"),
    ],
)
def test_kamailio_itself_refuses_a_database_without_showing_the_password(
    loopback: Namespace, tree: Path, environ: dict[str, str], tmp_path: Path, dburl: str, said: str
) -> None:
    local = {"RUN_DIR": environ["RUN_DIR"], "DBURL": dburl}
    (tree / "kamailio-local.cfg").write_text(local_cfg(environ["LISTEN"], DOMAIN, local))
    kamailio = start_kamailio(loopback, tree, tmp_path)
    assert kamailio.wait() != 0
    assert said in kamailio.output
    assert PASSWORD not in kamailio.output


# Three places


@pytest.mark.parametrize(
    ("local", "environment", "in_force"),
    [
        ({"MIN_EXPIRES": "120"}, {"MIN_EXPIRES": "90"}, "120"),
        ({}, {"MIN_EXPIRES": "90"}, "90"),
        ({}, {}, "60"),
    ],
    ids=["kamailio-local.cfg", "environment", "default"],
)
def test_kamailio_local_cfg_wins_over_the_environment_and_that_over_the_default(
    loopback: Namespace,
    tree: Path,
    local: dict[str, str],
    environment: dict[str, str],
    in_force: str,
) -> None:
    server = InstalledServer(loopback, tree, local, environment)
    phone = server.phone(loopback, "1111", local=("127.0.0.1", 0))
    response = phone.register(expires=10)
    assert (response.status, response["Min-Expires"]) == (423, in_force)
