"""Settings are read, checked together and completed; a wrong one is named with what is right."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import attrs
import pytest

from kemi_routes import launch, settings
from kemi_routes.settings import Settings, SettingsError

ADDRESS = "127.0.0.1"
PASSWORD = "no-log-shows-me"


def read(**given: str) -> Settings:
    """The settings of an environment, over the defaults."""
    return settings.read(settings.lookup(given))


def faults(**given: str) -> list[str]:
    """What is wrong with the settings of an environment."""
    with pytest.raises(SettingsError) as raised:
        read(**given)
    return raised.value.faults


# What is right


def test_the_shipped_defaults_are_right() -> None:
    shipped = read()
    assert (shipped.nat_test, shipped.ping_interval, shipped.media_ice) == (19, 20, "keep")
    assert shipped.dburl == "sqlite:////var/lib/kamailio/kamailio.sqlite"
    assert shipped.sip_domain is None
    assert shipped.rtpengine is None


def test_every_setting_is_taken_from_local_file_environment_and_default_in_this_order() -> None:
    """On 5.6 a #!trydefenv of what is defined already is an error, so each has its #!ifndef."""
    lines = settings.CFG.with_name("kamailio-settings.cfg").read_text()
    for field in attrs.fields(Settings):
        name = settings.define_of(field)
        if not settings.is_for_operators(field) or name in ("LISTEN", "ADVERTISE"):
            continue
        block = rf"^#!ifndef {name}\n#!trydefenvs? {name}\n(#!trydef {name} .+\n)?#!endif$"
        assert re.search(block, lines, re.MULTILINE), name


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("listen", "udp:127.0.0.1:5060 tls:[::1]:5061", ("udp:127.0.0.1:5060", "tls:[::1]:5061")),
        ("listen", "  tcp:sip.example.test:5060 ", ("tcp:sip.example.test:5060",)),
        ("advertise", "203.0.113.10", "203.0.113.10"),
        ("advertise", "2001:db8::10", "[2001:db8::10]"),
        ("advertise", "[2001:db8::10]", "[2001:db8::10]"),
        ("advertise", "SIP.Example.Test", "sip.example.test"),
        ("sip_domain", "Example.Test 127.0.0.1", ("example.test", "127.0.0.1")),
        ("dburl", "postgresql://u:p@db/k", "postgres://u:p@db/k"),
        ("dburl", '"sqlite:///srv/k.sqlite"', "sqlite:////srv/k.sqlite"),
        ("nat_test", "0", 0),
        ("nat_test", "1023", 1023),
        ("ping_timeout", "0", 0),
        ("log_level", "-1", -1),
        ("media_ice", "force", "force"),
        ("rtpengine", "udp:127.0.0.1:2223", "udp:127.0.0.1:2223"),
        ("rtpengine", "", None),
        ("rtp_interface", "10.0.0.1!192.0.2.1", {}),
        (
            "rtp_interface",
            "a/10.0.0.1!192.0.2.1;b/2001:db8::1",
            {"10.0.0.1": "a", "2001:db8::1": "b"},
        ),
    ],
)
def test_a_right_value_is_taken(name: str, given: str, meant: object) -> None:
    assert getattr(read(**{name.upper(): given}), name) == meant


# What is wrong


@pytest.mark.parametrize(
    ("name", "given", "advice"),
    [
        ("LISTEN", "127.0.0.1:5060", "such as udp:192.0.2.1:5060"),
        ("LISTEN", "sctp:127.0.0.1:5060", "such as udp:192.0.2.1:5060"),
        ("LISTEN", "udp:::1:5060", "such as udp:192.0.2.1:5060 or tls:[2001:db8::1]:5061"),
        ("LISTEN", "udp:127.0.0.1", "such as udp:192.0.2.1:5060"),
        ("LISTEN", "udp:127.0.0.1:0", "port from 1 to 65535"),
        ("LISTEN", "udp:127.0.0.1:65536", "port from 1 to 65535"),
        ("LISTEN", "udp:999.1.1.1:5060", "no IP address"),
        ("ADVERTISE", "203.0.113.10:5060", "IP address"),
        ("ADVERTISE", "203.0.113", "IP address"),
        ("SIP_DOMAIN", "example.test bad_name", "'bad_name' is no IP address and no host name"),
        ("DBURL", "mysql://u:p@h/k", "use sqlite:///abs/path.sqlite or postgres://"),
        ("DBURL", "/var/lib/k.sqlite", "sqlite:///abs/path.sqlite"),
        ("DBURL", "sqlite:k.sqlite", "sqlite:///abs/path.sqlite"),
        ("DBURL", "postgres://u:p@h:99999/k", "between 1 and 65535"),
        ("NAT_TEST", "nat", "a whole number from 0 to 1023"),
        ("NAT_TEST", "1024", "a whole number from 0 to 1023"),
        ("NAT_TEST", "-1", "a whole number from 0 to 1023"),
        ("NAT_TEST", "1.5", "a whole number from 0 to 1023"),
        ("PING_INTERVAL", "0", "a whole number from 1 to 3600"),
        ("PING_FROM", "keepalive", "such as sip:keepalive@example.test"),
        ("MAX_CONTACTS", "0", "a whole number from 1 to 100"),
        ("MAX_RATE", "65536", "a whole number from 10 to 65535"),
        ("SHM_MEMORY", "63", "a whole number from 64 to 1048576"),
        ("RTPENGINE", "127.0.0.1:2223", "such as udp:127.0.0.1:2223"),
        ("RTP_INTERFACE", "public/192.0.2;private/10.0.0.1", "'192.0.2' is no IP address"),
        ("MEDIA_ICE", "maybe", "one of: keep, force, remove"),
        ("CHILDREN", "0", "a whole number from 1 to 256"),
        ("DB_TIMEOUT", "0", "a whole number from 1 to 60"),
        ("LOG_LEVEL", "4", "a whole number from -3 to 3"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_right(name: str, given: str, advice: str) -> None:
    (fault,) = faults(**{name: given})
    assert fault.startswith(name)
    assert advice in fault
    assert name == "DBURL" or repr(given) in fault


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"MIN_EXPIRES": "3601"}, "MIN_EXPIRES 3601 is more than MAX_EXPIRES 3600"),
        (
            {"PING_TIMEOUT": "30", "PING_INTERVAL": "30"},
            "PING_TIMEOUT 30 must be more than PING_INTERVAL 30, or 0",
        ),
        ({"TLS_CERT": "/c"}, "TLS_CERT and TLS_KEY go together: only one of them is set"),
        ({"TLS_KEY": "/k"}, "TLS_CERT and TLS_KEY go together: only one of them is set"),
    ],
)
def test_settings_that_contradict_each_other_are_named(given: dict[str, str], fault: str) -> None:
    assert faults(**given) == [fault]


def test_one_message_names_all_faults() -> None:
    given = {"NAT_TEST": "x", "MEDIA_ICE": "y", "MIN_EXPIRES": "80", "MAX_EXPIRES": "70"}
    found = faults(**given, LISTEN="here udp:127.0.0.1:0", SIP_DOMAIN="_ -")
    assert [fault.split()[0] for fault in found] == [
        *("LISTEN", "SIP_DOMAIN", "NAT_TEST", "MEDIA_ICE", "MIN_EXPIRES")
    ]
    assert "'here'" in found[0], "the first wrong socket"
    assert "'udp:127.0.0.1:0'" in found[0], "the second"
    assert "'_'" in found[1]
    assert "'-'" in found[1]
    message = str(SettingsError(found))
    assert message.startswith("5 wrong setting(s)")
    assert all(f"\n  - {fault}" in message for fault in found)


@pytest.mark.parametrize(
    "dburl",
    [
        f"mysql://kamailio:{PASSWORD}@db/k",
        f"postgres://kamailio:{PASSWORD}@db:99999/k",
        f"postgres://kamailio:{PASSWORD}@db",
        f"postgres://kamailio:{PASSWORD}/x@db/k",
        f"postgres://kamailio:{PASSWORD}@db/k?sslmode=require",
        f"postgres:/kamailio:{PASSWORD}@db/k",
        f'postgres://kamailio:{PASSWORD}"@db/k',
    ],
)
def test_no_fault_shows_the_password_of_the_database(dburl: str) -> None:
    (fault,) = faults(DBURL=dburl)
    assert "DBURL" in fault
    assert PASSWORD not in fault


def test_a_setting_without_any_value_is_missed() -> None:
    with pytest.raises(SettingsError) as raised:
        settings.read(lambda name: settings.shipped_defaults().get(name) if name != "DBURL" else "")
    assert raised.value.faults == ["DBURL is not set"]


# The launcher


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.mark.parametrize(("cores", "processes"), [(1, 4), (2, 4), (8, 16), (400, 256)])
def test_there_are_two_workers_on_each_core_and_four_at_least(cores: int, processes: int) -> None:
    assert launch.workers(cores) == processes


def complete(run_dir: Path, **given: str) -> dict[str, str]:
    """What the launcher makes of an environment."""
    return launch.complete({"RUN_DIR": str(run_dir), **given}, settings.CFG)


def launched(run_dir: Path, **given: str) -> Settings:
    """The settings that the launcher starts with."""
    return settings.read(settings.lookup(complete(run_dir, **given)))


def test_without_any_setting_the_launcher_serves_this_machines_own_address(run_dir: Path) -> None:
    environ = complete(run_dir)
    found = re.fullmatch(r"udp:([\d.]+):5060 tcp:\1:5060", environ["LISTEN"])
    assert found is not None
    assert environ["SIP_DOMAIN"] == found[1]
    assert environ["DBURL"] == f"sqlite:///{run_dir}/kamailio.sqlite"
    assert environ["KEMI_SCRIPT"] == str(settings.CFG.with_name("kemi.py"))
    assert "TLS_CERT" not in environ
    assert settings.read(settings.lookup(environ)).run_dir == str(run_dir)


def test_kamailio_gets_debians_python_and_our_package(run_dir: Path) -> None:
    environ = complete(run_dir, PATH="/opt/pyenv/shims", PYTHONHOME="/opt", PYTHONPATH="/opt")
    assert "/opt" not in environ["PATH"]
    assert environ["PYTHONPATH"] == str(Path(settings.__file__).parents[1])
    assert "PYTHONHOME" not in environ


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ({"LISTEN": "udp:192.0.2.1:5060 tcp:192.0.2.2:5060"}, "192.0.2.1"),
        ({"LISTEN": "tls:[2001:db8::1]:5061"}, "[2001:db8::1]"),
        ({"LISTEN": "udp:10.0.0.1:5060", "ADVERTISE": "203.0.113.10"}, "203.0.113.10"),
        ({"LISTEN": "udp:10.0.0.1:5060", "SIP_DOMAIN": "example.test"}, "example.test"),
        ({"LISTEN": "udp:10.0.0.1:5060", "SIP_DOMAIN": " "}, "10.0.0.1"),
    ],
)
def test_the_domain_is_the_address_that_phones_see(
    run_dir: Path, given: dict[str, str], domain: str
) -> None:
    assert complete(run_dir, **given)["SIP_DOMAIN"] == domain


def test_a_tls_socket_gets_a_certificate_unless_one_is_given(run_dir: Path) -> None:
    tls = {"LISTEN": "udp:127.0.0.1:5060 tls:127.0.0.1:5061"}
    made = complete(run_dir, **tls)
    assert (made["TLS_CERT"], made["TLS_KEY"]) == (
        *(f"{run_dir}/tls-cert.pem", f"{run_dir}/tls-key.pem"),
    )
    given = complete(run_dir, **tls, TLS_CERT="/etc/cert.pem", TLS_KEY="/etc/key.pem")
    assert (given["TLS_CERT"], given["TLS_KEY"]) == ("/etc/cert.pem", "/etc/key.pem")
    half = complete(run_dir, **tls, TLS_CERT="/etc/cert.pem")
    assert "TLS_KEY" not in half, "a key of our own would not fit"


def test_a_secret_that_could_be_guessed_is_refused_and_not_shown() -> None:
    assert read(SERVER_SECRET="x" * 32).server_secret == "x" * 32
    (fault,) = faults(SERVER_SECRET="swordfish")
    assert fault == (
        "SERVER_SECRET has 9 characters, 32 are needed: take what `openssl rand -hex 32` prints"
    )


def test_the_secret_is_made_once_and_for_the_owner_only(run_dir: Path) -> None:
    first = complete(run_dir)["SERVER_SECRET"]
    assert len(first) >= 32
    assert complete(run_dir)["SERVER_SECRET"] == first
    assert [path.stat().st_mode & 0o777 for path in run_dir.iterdir()] == [0o600]
    assert complete(run_dir, SERVER_SECRET="given")["SERVER_SECRET"] == "given"


def test_kamailio_local_cfg_wins_over_the_environment(tmp_path: Path, run_dir: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    local = '#!define NAT_TEST 3\n#!define DBURL "sqlite:///local.sqlite"\n# #!define CHILDREN 9\n'
    (tmp_path / "kamailio-local.cfg").write_text(f"{local}#!define PATH /nowhere\n")
    given = {"RUN_DIR": str(run_dir), "NAT_TEST": "1", "CHILDREN": "2"}
    environ = launch.complete(given, cfg)
    assert environ["NAT_TEST"] == "3"
    assert environ["DBURL"] == "sqlite:////local.sqlite"
    assert environ["CHILDREN"] == "2"
    assert environ["PATH"] != "/nowhere"


def test_paths_are_meant_from_where_the_launcher_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = launch.complete({"RUN_DIR": "run", "TLS_CERT": "c", "TLS_KEY": "k"}, settings.CFG)
    found = [environ[name] for name in ("RUN_DIR", "TLS_CERT", "TLS_KEY")]
    assert found == [str(tmp_path / name) for name in ("run", "c", "k")]


@pytest.mark.parametrize(
    ("advertise", "options"),
    [
        ("", ["udp:10.0.0.1:5060", "tcp:[::1]:5062"]),
        ("203.0.113.10", ["udp:10.0.0.1:5060/203.0.113.10:5060", "tcp:[::1]:5062"]),
        ("2001:db8::1", ["udp:10.0.0.1:5060", "tcp:[::1]:5062/[2001:db8::1]:5062"]),
        (
            "sip.example.test",
            [
                "udp:10.0.0.1:5060/sip.example.test:5060",
                "tcp:[::1]:5062/sip.example.test:5062",
            ],
        ),
    ],
)
def test_a_socket_advertises_the_public_address_of_its_own_family(
    run_dir: Path, advertise: str, options: list[str]
) -> None:
    active = launched(run_dir, LISTEN="udp:10.0.0.1:5060 tcp:[::1]:5062", ADVERTISE=advertise)
    words = launch.listen_options(active)
    assert words[::2] == ["-l", "-l"]
    assert words[1::2] == options


def test_the_greeting_says_what_a_newcomer_needs(run_dir: Path) -> None:
    given = {"LISTEN": "udp:10.0.0.1:5060", "ADVERTISE": "203.0.113.10", "SIP_DOMAIN": "a.test b"}
    text = launch.greeting(launched(run_dir, **given), {"1111@a.test": "kQ5", "2222@a.test": "Zp8"})
    for words in (
        *("Kamailio is ready", "udp:10.0.0.1:5060", "known as 203.0.113.10", "domain is  a.test"),
        *("1111@a.test  password kQ5", "2222@a.test  password Zp8", f"{run_dir}/kamailio_ctl"),
    ):
        assert words in text
    assert "assword" not in launch.greeting(launched(run_dir, **given), {}), "nor a word of them"


def machine_faults(run_dir: Path, **values: object) -> list[str]:
    """What this machine can't do, for settings of which only these are right."""
    return launch.machine_faults({"run_dir": str(run_dir), **values})


def test_this_machine_can_do_what_is_in_order(tmp_path: Path) -> None:
    listen = (f"udp:{ADDRESS}:0", f"tcp:{ADDRESS}:0")
    generated = str(tmp_path / "tls-cert.pem")
    found = machine_faults(tmp_path, listen=listen, tls_cert=generated, tls_key=generated)
    assert [fault for fault in found if "kamailio is not installed" not in fault] == []


def test_what_this_machine_cannot_do_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o700)
    with socket.create_server((ADDRESS, 0)) as taken:
        listen = ("udp:192.0.2.1:5060", f"tcp:{ADDRESS}:{taken.getsockname()[1]}")
        cert = str(tmp_path / "missing.pem")
        found = machine_faults(tmp_path / "file", listen=listen, tls_cert=cert, tls_key=cert)
    text = "\n".join(found)
    assert f"RUN_DIR {tmp_path}/file is no directory that can be written" in text
    assert "LISTEN udp:192.0.2.1:5060: cannot assign requested address" in text
    assert f"LISTEN {listen[1]}: address already in use: is another Kamailio running?" in text
    assert text.count(f"{cert} can't be read") == 2


def test_a_run_dir_whose_sockets_would_have_too_long_a_path_is_named(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    assert any("too long for sockets" in fault for fault in machine_faults(deep))


def test_checking_the_settings_of_a_running_server_finds_no_fault_in_its_ports(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        values = {"run_dir": str(tmp_path), "listen": (f"udp:127.0.0.1:{ours.getsockname()[1]}",)}
        [fault] = [f for f in launch.machine_faults(values) if "LISTEN" in f]
        assert "is another Kamailio running?" in fault
        assert not any("LISTEN" in f for f in launch.machine_faults(values, starts=False))
