"""Reading a kamailio.cfg."""

from __future__ import annotations

from pathlib import Path

import KSR
import pytest
from ksr_stub.cfg import Config, ConfigError, parse_socket
from ksr_stub.errors import UnknownFunction
from ksr_stub.harness import Ksr
from ksr_stub.message import Socket

OURS = Path(__file__).resolve().parents[2] / "kamailio/kamailio.cfg"


def read(tmp_path: Path, text: str, **environ: str) -> Config:
    path = tmp_path / "kamailio.cfg"
    path.write_text(text)
    config = Config(environ)
    config.read(path)
    return config


def test_defines_in_their_order(tmp_path: Path) -> None:
    """The environment comes before `#!trydef`; the `s` form adds quotes."""
    config = read(
        tmp_path,
        "#!KAMAILIO\n#!trydefenv A\n#!trydefenvs B\n#!trydefenv C\n"
        '#!trydef A 1\n#!trydef C "three"\n#!define D\n#!redefine A 9\n',
        A="5", B="two",
    )  # fmt: skip
    assert config.defines == {"A": "9", "B": '"two"', "C": '"three"', "D": ""}


def test_conditions(tmp_path: Path) -> None:
    """`#!ifdef`, `#!ifndef` and `#!else`, nested."""
    config = read(
        tmp_path,
        "#!define X\n#!ifdef X\n#!ifndef Y\n#!define IN 1\n#!else\n#!define WRONG 1\n#!endif\n"
        "#!else\n#!define WRONG 2\n#!endif\n",
    )
    assert config.defines == {"X": "", "IN": "1"}
    with pytest.raises(ConfigError, match="#!ifdef has no #!endif"):
        read(tmp_path, "#!ifdef X\n")


def test_modules(tmp_path: Path) -> None:
    """By their names, whatever file is loaded; a parameter of none of them stops the start."""
    config = read(
        tmp_path,
        '#!define DBURL "sqlite:///x"\nloadmodule "/usr/lib/kamailio/modules/tm.so"\n'
        'loadmodulex "db_$(def(DBURL){s.unquote}{s.select,0,:}).so"\nloadmodule("auth_db")\n'
        '#!ifdef WITH_TLS\nloadmodule "tls.so"\n#!endif\n'
        'modparam("auth|auth_db", "use_domain", 1)\nmodparam("auth_?db", "password_column", "x")\n',
    )
    assert config.modules == {"tm", "db_sqlite", "auth_db"}
    with pytest.raises(ConfigError, match=r"cfg:2: a parameter of htable, which no loadmodule"):
        read(tmp_path, 'loadmodule "tm.so"\nmodparam("htable", "htable", "a=>size=1")\n')


def test_functions_are_those_of_the_modules_that_are_loaded(ksr: Ksr, tmp_path: Path) -> None:
    """And of the core; of others the test may answer for what it needs."""
    path = tmp_path / "kamailio.cfg"
    path.write_text('loadmodule "pv.so"\nloadmodule "kemix.so"\n')
    ksr.config(path)
    KSR.info("here\n")
    assert KSR.kx.get_defn("NONE") + KSR.pvx.var_get("x") + KSR.pv.getvn("$var(x)", 1) == 0
    with pytest.raises(UnknownFunction, match=r'no loadmodule "sl.so": KSR.sl raises AttributeErr'):
        KSR.sl.sl_send_reply(200, "OK")
    ksr.answer("sl.sl_send_reply", 1)
    assert KSR.sl.sl_send_reply(200, "OK") == 1
    ksr.world.faults.clear()


@pytest.mark.ksr(mode="faithful")
def test_others_have_no_namespace(ksr: Ksr, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text('loadmodule "pv.so"\n')
    ksr.config(path)
    with pytest.raises(AttributeError, match="module 'KSR' has no attribute 'sl'"):
        KSR.sl.sl_send_reply(200, "OK")


def test_module_parameters(tmp_path: Path) -> None:
    """Numbers, texts, defines, several modules at once, several lines, and several values."""
    config = read(
        tmp_path,
        '#!define DIR "/run/x"\n#!define N 5\n'
        'modparam("auth|auth_db", "use_domain", N)\n'
        'modparamx("ctl", "binrpc", "unix:$(def(DIR){s.unquote})/ctl") # why\n'
        'modparam("htable", "htable", "a=>size=1")\nmodparam("htable", "htable",\n  "b=>size=1")\n'
        'kemi.onsend_route_callback="none"\nmhomed=yes\ndebug=N\n',
    )
    assert config.params == {
        ("auth", "use_domain"): 5,
        ("auth_db", "use_domain"): 5,
        ("ctl", "binrpc"): "unix:/run/x/ctl",
        ("htable", "htable"): ("a=>size=1", "b=>size=1"),
        ("core", "kemi.onsend_route_callback"): "none",
        ("core", "mhomed"): 1,
        ("core", "debug"): 5,
    }


def test_sockets_and_domains(tmp_path: Path) -> None:
    """`listen` with `advertise`, `alias` with a define; routes of a native config are skipped."""
    config = read(
        tmp_path,
        "#!define DOMAINS example.test other.test\n"
        "listen=udp:10.0.0.1:5060 advertise 203.0.113.10:5080\nlisten=tls:[2001:db8::1]\n"
        "alias=DOMAINS\n"
        'request_route {\n  $var(x) = 1;\n  if (is_method("INVITE")) { drop; }\n}\nport=5070\n',
    )
    assert config.sockets == [
        Socket("udp", "10.0.0.1", 5060, "203.0.113.10", 5080),
        Socket("tls", "2001:db8::1", 5061),
    ]
    assert config.aliases == {"example.test", "other.test"}
    assert config.params == {("core", "port"): 5070}


def test_defines_within_words_and_substitutions(tmp_path: Path) -> None:
    """A define counts inside a socket, a substitution everywhere."""
    config = read(
        tmp_path,
        "#!define IP 10.0.0.1\n#!define MY_IP IP\n#!define PORT 8080\n"
        '#!substdef "!MY_DOMAIN!example.test!g"\nlisten=tcp:MY_IP:PORT\nalias=MY_DOMAIN\n'
        'modparam("nathelper", "sipping_from", "sip:ping@MY_DOMAIN")\n',
    )
    assert config.sockets == [Socket("tcp", "10.0.0.1", 8080)]
    assert config.aliases == {"example.test"}
    assert config.params == {("nathelper", "sipping_from"): "sip:ping@example.test"}
    assert config.defines["MY_DOMAIN"] == "example.test"


def test_what_is_not_understood_is_named(tmp_path: Path) -> None:
    """A missing variable and an expression name file and line."""
    with pytest.raises(ConfigError, match=r"kamailio\.cfg:2: #!defenv HOME_OF: the environment"):
        read(tmp_path, "\n#!defenv HOME_OF\n")
    with pytest.raises(ConfigError, match="set the define in the test instead"):
        read(tmp_path, "#!ifexp A > 1\n#!endif\n")
    with pytest.raises(ConfigError, match="is no socket"):
        parse_socket("udp:a:b:c")


def test_our_own_config_is_read(ksr: Ksr) -> None:
    """The shipped kamailio.cfg, as the launcher starts it."""
    ksr.config(OURS, env={"SIP_DOMAIN": "example.test", "DBURL": "sqlite:///x.sqlite"})
    world = ksr.world
    assert world.aliases == {"example.test"}
    assert world.params["registrar", "max_contacts"] == 10
    assert world.params["usrloc", "preload"] == ("location",)
    assert world.params["core", "kemi.onsend_route_callback"] == "none"
    assert ("rtpengine", "rtpengine_sock") not in world.params
