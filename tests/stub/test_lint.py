"""What ksr-lint finds in KEMI scripts, and what it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from ksr_stub import lint
from ksr_stub.rules.finding import CODES

SCRIPT = Path("routes.py")


def found(text: str, version: str = "5.6", **others: str) -> list[tuple[str, int]]:
    """Code and line of each finding in a script; `cfg=` is the text of its kamailio.cfg."""
    texts = {SCRIPT: dedent(text)}
    texts |= {Path(f"kamailio.{suffix}"): dedent(other) for suffix, other in others.items()}
    return [(one.code, one.line) for one in lint.lint(texts, version)]


def messages(text: str, version: str = "5.6") -> str:
    """All findings in a script, as they are printed."""
    return "\n".join(map(str, lint.lint({SCRIPT: dedent(text)}, version)))


# One statement each, after `import KSR`.
FAULTY = [
    ("KSR101", "if KSR.siputils.has_totag(): pass"),
    ("KSR101", "if not KSR.siputils.has_totag(): pass"),
    ("KSR101", "while KSR.tm.t_relay(): pass"),
    ("KSR101", "done = KSR.is_ACK() or KSR.tm.t_newtran() or True"),
    ("KSR101", "if KSR.is_ACK() and KSR.tm.t_newtran(): pass"),
    ("KSR101", "assert KSR.tm.t_newtran()"),
    ("KSR101", "way = 'in' if KSR.rr.loose_route() else 'out'"),
    ("KSR101", "known = bool(KSR.registrar.registered('location'))"),
    ("KSR101", "dead = any([KSR.is_ACK(), KSR.tm.t_is_canceled()])"),
    ("KSR101", "dead = all(KSR.hdr.is_present(name) for name in ('To', 'From'))"),
    ("KSR101", "names = [name for name in ('To', 'From') if KSR.hdr.is_present(name)]"),
    ("KSR101", "failed = KSR.registrar.save('location', 0) == False"),
    ("KSR101", "failed = KSR.registrar.save('location', 0) is True"),
    ("KSR101", "code = KSR.tm.t_relay(); print('sent') if code else print('lost')"),
    ("KSR101", "if (code := KSR.tm.t_relay()): pass"),
    ("KSR101", "if getattr(KSR, 'async').route('LATER', 1): pass"),
    ("KSR201", "KSR.nathelpr.nat_uac_test(19)"),
    ("KSR201", "KSR.nathelper.nat_uac_tests(19)"),
    ("KSR201", "test = KSR.nathelper.uac_test"),
    ("KSR201", "KSR.force_report()"),
    ("KSR201", "from KSR import nat_helper"),
    ("KSR202", "KSR.registrar.save('location')"),
    ("KSR202", "KSR.tm.t_relay(1)"),
    ("KSR202", "KSR.pv.getvs(pv='$ru', default='')"),
    ("KSR203", "KSR.sl.sl_send_reply('404', 'Not Found')"),
    ("KSR203", "KSR.sl.sl_send_reply(404, None)"),
    ("KSR203", "KSR.sl.sl_send_reply(404, b'Not Found')"),
    ("KSR203", "KSR.pv.sets('$var(n)', len('x'))"),
    ("KSR203", "KSR.pv.seti('$var(n)', f'{1}')"),
    ("KSR203", "KSR.pv.seti('$var(n)', 1.5)"),
    ("KSR203", "KSR.pv.seti('$var(n)', 2147483648)"),
    ("KSR203", r"KSR.pv.sets('$var(n)', 'a\0b')"),
    ("KSR203", "KSR.pv.seti('$var(n)', 'a %s' % 1)"),
    ("KSR204", "KSR.auth.auth_challenge(KSR.pv.get('$fd'), 0)"),
    ("KSR204", "KSR.info('user ' + KSR.pv.get('$fU') + ' called')"),
    ("KSR204", "KSR.info('agent ' + KSR.hdr.get('User-Agent'))"),
    ("KSR204", "if KSR.htable.sht_get('ipban', 'a') > 3: pass"),
    ("KSR204", "if 'nat' in KSR.hdr.get('X-Flags'): pass"),
    ("KSR204", "words = KSR.pv.get('$rb').split()"),
    ("KSR204", "first = KSR.pv.get('$fU')[0]"),
    ("KSR204", "number = int(KSR.pv.get('$avp(n)'))"),
    ("KSR205", "KSR.x.exit()"),
    ("KSR205", "KSR.x.drop()"),
    ("KSR205", "KSR.drop()"),
    ("KSR205", "KSR.x.modf('sl_send_reply', '404', 'Not Found')"),
    ("KSR301", "KSR.tm.t_on_branch('ksr_branch')"),
    ("KSR301", "KSR.tm.t_on_reply('ksr_reply')"),
    ("KSR301", "KSR.tm.t_on_failure('ksr_failure')"),
    ("KSR301", "KSR.tm.t_on_branch_failure('ksr_branch_failure')"),
]
RIGHT = [
    "if KSR.siputils.has_totag() > 0: pass",
    "if not KSR.siputils.has_totag() > 0: pass",
    "if KSR.is_INVITE() and not KSR.pv.is_null('$au'): pass",
    "code = KSR.tm.t_relay()",
    "code = KSR.tm.t_relay() > 0\nif code: pass",
    "code = KSR.tm.t_relay()\ncode = code > 0\nif code: pass",
    "if KSR.tm.t_check_trans() in (0, 1): pass",
    "if KSR.kx.get_defn('WITH_TLS'): pass",
    "if KSR.pv.get('$fd'): pass",
    "if KSR.pv.get('$fd') == 'example.test': pass",
    "if KSR.pv.get('$rs') >= 300: pass",
    "number = int(KSR.pv.get('$avp(n)') or 0)",
    "found = KSR.is_ACK() and KSR.tm.t_relay()",
    "KSR.sl.sl_send_reply(404, 'Not Found')",
    "KSR.sl.sl_send_reply(*(404, 'Not Found'))",
    "KSR.pv.seti('$var(n)', -2147483648)",
    "KSR.pv.seti('$var(n)', True)",
    "KSR.info('from ' + KSR.pv.get('$si') + KSR.pv.gete('$fU') + '\\n')",
    "KSR.info(f\"user {KSR.pv.get('$fU')}\")",
    "KSR.tm.t_on_failure('')",
    "KSR.__name__",
    "route = getattr(KSR, 'async').route",
    "other.KSR.nonsense()",
]


@pytest.mark.parametrize(("code", "statement"), FAULTY)
def test_a_faulty_statement_is_found_by_its_code(code: str, statement: str) -> None:
    assert found(f"import KSR\n{statement}\n") == [(code, 2)]


@pytest.mark.parametrize("statement", RIGHT)
def test_a_right_statement_is_left_alone(statement: str) -> None:
    assert found(f"import KSR\n{statement}\n") == []


def test_a_variable_that_holds_a_return_code_is_followed_within_its_function() -> None:
    text = """\
        import KSR

        def one():
            rc = KSR.rr.loose_route()
            if rc:
                rc = True
            if rc:
                pass

        def two(rc):
            if rc:
                pass
    """
    assert found(text) == [("KSR101", 5)]


def test_a_function_of_the_script_that_returns_a_return_code_gives_one_too() -> None:
    text = """\
        import KSR

        class Routes:
            def within_dialog(self):
                return KSR.siputils.has_totag()

            def wrapped(self):
                code = self.within_dialog()
                return code

            def route(self):
                if self.wrapped():
                    pass
    """
    assert found(text) == [("KSR101", 12)]


def test_other_names_of_ksr_and_its_modules_are_understood() -> None:
    text = """\
        import KSR as k
        from KSR import siputils as su, tm
        nat = k.nathelper
        if su.has_totag(): pass
        if nat.nat_uac_test(19): pass
        tm.t_relay(1)
    """
    assert found(text) == [("KSR101", 4), ("KSR101", 5), ("KSR202", 6)]


def test_the_message_names_the_function_that_was_meant_and_who_has_it() -> None:
    assert "did you mean nat_uac_test" in messages("import KSR\nKSR.nathelper.nat_uac_tst(1)\n")
    newer = "import KSR\nKSR.auth.pv_proxy_authenticate('realm', 'password', 0)\n"
    assert "(6.0 and 6.1 have it)" in messages(newer)
    assert found(newer, version="6.0") == []


def test_a_finding_is_printed_with_file_line_column_and_code() -> None:
    text = "import KSR\nif KSR.is_ACK() and KSR.tm.t_relay(): pass\n"
    assert messages(text).startswith("routes.py:2:21: KSR101 the return code of KSR.tm.t_relay()")


def test_a_comment_on_the_line_ignores_all_findings_or_those_it_names() -> None:
    text = """\
        import KSR
        KSR.tm.t_relay(1)  # ksr-lint: ignore
        KSR.tm.t_relay(1)  # ksr-lint: ignore[KSR202]
        KSR.tm.t_relay(1)  # ksr-lint: ignore[KSR101, KSR203]
    """
    assert found(text) == [("KSR202", 4)]


HANDLERS = """\
import sys
import KSR

def mod_init():
    return sys.modules[__name__]

def child_init(rank):
    return 0

def ksr_request_route(msg):
    KSR.tm.t_on_branch(BRANCH)
    ksr_helper(msg)
    return 1

def ksr_reply_route(msg):
    return 1

def ksr_onsend_route(msg):
    return 1

def ksr_helper(msg):
    KSR.info("what the script calls itself may return None\\n")

BRANCH = "ksr_branch"

def ksr_branch(msg):
    return 1
"""


def test_a_complete_script_has_no_faults() -> None:
    assert found(HANDLERS) == []


@pytest.mark.parametrize("name", ["child_init", "ksr_reply_route", "ksr_onsend_route"])
def test_a_callback_that_is_missing_is_named_at_the_request_route(name: str) -> None:
    text = HANDLERS.replace(name, "another")
    assert found(text) == [("KSR303", 10)]
    assert f"no {name} in these files" in messages(text)


def test_kamailio_cfg_says_which_callbacks_are_wanted() -> None:
    text = HANDLERS.replace("ksr_onsend_route", "another").replace("ksr_reply_route", "replied")
    none = 'kemi.onsend_route_callback="none"\nkemi.reply_route_callback="replied"\n'
    assert found(text, cfg=none) == []
    assert found(text, cfg=none.replace("replied", "reply")) == [("KSR303", 10)]


def test_a_handler_in_another_file_counts() -> None:
    assert found(HANDLERS.replace("def ksr_branch(", "def another("), cfg="") == [("KSR301", 11)]
    branch = "def ksr_branch(msg):\n    return 1\n"
    assert found(HANDLERS.replace("def ksr_branch(", "def another("), py=branch) == []


@pytest.mark.parametrize(
    "body",
    [
        "KSR.tm.t_relay()",
        "return",
        "return None",
        "return 'x'",
        "return 1.0",
        "return KSR.pv.get('$ru')",
        "return 1 if KSR.is_ACK() else None",
        "if KSR.is_ACK():\n        return 1",
        "for name in ('a', 'b'):\n        return 1",
        "try:\n        return 1\n    except ValueError:\n        pass",
        "with open('x'):\n        pass",
        "yield 1",
        "match 1:\n        case 1:\n            return 1",
    ],
)
def test_a_handler_that_may_return_no_int_is_found(body: str) -> None:
    text = HANDLERS + f"\ndef ksr_event(msg, name):\n    {body}\n"
    assert [code for code, _ in found(text)] == ["KSR302"]


@pytest.mark.parametrize(
    "body",
    [
        "return KSR.tm.t_relay()",
        "return -255 if KSR.is_ACK() else 1",
        "if KSR.is_ACK():\n        return 1\n    else:\n        raise ValueError",
        "while True:\n        pass",
        "try:\n        pass\n    finally:\n        return 1",
        "try:\n        pass\n    except OSError:\n        return 0\n    else:\n        return 1",
        "with open('x'):\n        return 1",
        "import sys\n    sys.exit()",
        "def inner():\n        return None\n    return 1",
        "match 1:\n        case 1:\n            return 1\n        case _:\n            return 2",
    ],
)
def test_a_handler_that_surely_returns_an_int_is_left_alone(body: str) -> None:
    assert found(HANDLERS + f"\ndef ksr_event(msg, name):\n    {body}\n") == []


def test_a_handler_that_returns_what_a_helper_may_return_as_none_is_found() -> None:
    text = """\
        class Routes:
            def ksr_event(self, msg, name):
                return self.handle(name)

            def ksr_other_event(self, msg, name):
                return self.count(name)

            def handle(self, name):
                if name:
                    return self.handle(name[1:])

            def count(self, name):
                return self.count(name[1:]) if name else 1
    """
    assert found(text) == [("KSR302", 3)]


def test_a_mod_init_that_may_return_none_is_found() -> None:
    assert found("def mod_init():\n    pass\n") == [("KSR302", 1)]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("KSR401", "import time\ntime.sleep(1)"),
        ("KSR401", "from time import sleep as nap\nnap(1)"),
        ("KSR401", "import urllib.request\nx = urllib.request.urlopen('http://a.test')"),
        ("KSR401", "import requests\nclass Routes:\n    token = requests.get('http://a.test')"),
        ("KSR401", "import subprocess\nif True:\n    subprocess.run(['true'])"),
        ("KSR402", "import psycopg\nbase = psycopg.connect('')"),
        ("KSR402", "import socket\npeer = socket.create_connection(('a.test', 1))"),
        ("KSR402", "import socket\npeer = socket.socket()\npeer.connect(('a.test', 1))"),
        ("KSR402", "import psycopg\ndef mod_init():\n    return psycopg.connect('')"),
        ("KSR402", "import psycopg\ndef load():\n    psycopg.connect('')\nload()"),
        (
            "KSR402",
            "import psycopg\n"
            "class Routes:\n"
            "    def __init__(self):\n        self.open()\n"
            "    def open(self):\n        self.base = psycopg.connect('')\n"
            "def mod_init():\n    return Routes()",
        ),
    ],
)
def test_what_blocks_or_connects_before_the_fork_is_found(code: str, text: str) -> None:
    assert [found_code for found_code, _ in found(text)] == [code]


@pytest.mark.parametrize(
    "text",
    [
        "import psycopg\ndef child_init(rank):\n    psycopg.connect('')\n    return 0",
        "import time\ndef mod_init():\n    time.sleep(1)\n    return object()",
        "import time\nif __name__ == '__main__':\n    time.sleep(1)",
        "import time\nwait = lambda: time.sleep(1)",
        "import socket\nsocket.socket()",
    ],
)
def test_what_runs_after_the_fork_or_not_in_kamailio_may_block(text: str) -> None:
    assert found(text) == []


def test_the_faults_of_the_usual_example_script_are_found() -> None:
    """The statically visible ones of Kamailio's own example, in a script of the same shape."""
    text = """\
        import KSR

        def mod_init():
            return Routes()

        class Routes:
            def child_init(self, rank):
                return 0

            def ksr_request_route(self, msg):
                if self.ksr_route_auth(msg) == -255:
                    return 1
                self.ksr_route_natmanage(msg)
                KSR.tm.t_relay()
                return 1

            def ksr_route_auth(self, msg):
                if KSR.auth_db.auth_check(KSR.pv.get("$fd"), "subscriber", 1) < 0:
                    KSR.auth.auth_challenge(KSR.pv.get("$fd"), 0)
                    return -255
                return 1

            def ksr_route_natmanage(self, msg):
                if KSR.siputils.is_request() > 0:
                    if not KSR.siputils.has_totag():
                        KSR.rr.add_rr_param(";nat=yes")

            def ksr_reply_route(self, msg):
                return 1
    """
    assert found(text) == [("KSR303", 10), ("KSR204", 18), ("KSR204", 19), ("KSR101", 25)]


def test_a_module_that_kamailio_cfg_does_not_load_has_no_functions() -> None:
    text = "import KSR\nKSR.sl.sl_reply_error()\nKSR.kx.get_ruri()\nKSR.pike.pike_check_req()\n"
    loaded = (
        '#!ifdef X\n  loadmodule "/usr/lib/kamailio/modules/sl.so"\n#!endif\nloadmodulex("kemix")\n'
    )
    assert found(text, cfg=loaded) == [("KSR206", 4)]
    assert found(text, cfg="debug=2\n") == []


def test_the_exit_status_says_whether_something_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.py").write_text("import KSR\n")
    (tmp_path / "bad.py").write_text("import KSR\nKSR.drop()\n")
    (tmp_path / "broken.py").write_text("import\n")
    assert lint.main([str(tmp_path / "good.py")]) == 0
    assert lint.main([str(tmp_path / "good.py"), str(tmp_path / "bad.py")]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path}/bad.py:2:1: KSR205 ")
    assert lint.main([str(tmp_path / "missing.py")]) == 2
    assert lint.main([str(tmp_path)]) == 2
    assert "broken.py:1: no Python" in capsys.readouterr().err


def test_our_own_routes_are_clean() -> None:
    root = Path(__file__).parents[2]
    texts = lint.read([root / "kemi_routes", root / "kamailio"])
    assert [str(one) for one in lint.lint(texts)] == []


def test_the_documentation_names_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs/static-checks.md").read_text()
    assert re.findall(r"(?m)^\| (KSR\d+) \|", page) == sorted(CODES)
