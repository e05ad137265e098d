"""The pytest plugin, as somebody with a KEMI script uses it."""

from __future__ import annotations

import sys
from pathlib import Path

import KSR
import pytest
from ksr_stub.builders import options, register
from ksr_stub.errors import NotModelled, ReturnCodeAsTruth, UnknownFunction
from ksr_stub.harness import Ksr

from .conftest import PLUGIN

pytest_plugins = ["pytester"]

SCRIPT = """
import sys
import KSR

def mod_init():
    return sys.modules[__name__]

def child_init(rank):
    return 0

def answer():
    KSR.sl.sl_send_reply(200, "Fine")

def ksr_request_route(msg):
    answer()
    return 1
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "routes.py"
    path.write_text(SCRIPT)
    return path


def edited(script: Path, old: str, new: str) -> Path:
    assert old in script.read_text()
    script.write_text(script.read_text().replace(old, new))
    return script


def test_a_script_answers_a_request(ksr: Ksr, script: Path) -> None:
    """The reply, the steps and the calls of a request can be asked for."""
    ksr.load(script)
    result = ksr.receive(options())
    assert (result.reply.status, result.reply.reason) == (200, "Fine")
    assert result.steps == ["ksr_request_route", "answer"]
    assert [call.name for call in result.calls] == ["KSR.sl.sl_send_reply"]
    assert result.reply.to.port == 40123


def test_the_script_is_gone_after_the_test(pytester: pytest.Pytester, script: Path) -> None:
    """Each test imports the script afresh: what a test changed in it is not there any more."""
    pytester.makepyfile(
        f"""
        import sys

        def test_one(ksr):
            ksr.load({str(script)!r}).answer.seen = True
            assert "routes" in sys.modules

        def test_two(ksr):
            assert "routes" not in sys.modules
            assert not hasattr(ksr.load({str(script)!r}).answer, "seen")
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=2)
    assert "routes" not in sys.modules


def test_each_test_has_its_own_world(pytester: pytest.Pytester) -> None:
    """What one test put into the World is not there in the next one."""
    pytester.makepyfile(
        """
        import KSR

        def test_one(ksr):
            ksr.define(NAME=1)
            ksr.answer("hdr.is_present", 1)
            assert KSR.hdr.is_present("X") == 1

        def test_two(ksr):
            assert ksr.world.defines == {} and ksr.world.answers == {}
            assert ksr.world.calls == []
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=2)


def test_the_marker_chooses_version_and_mode(pytester: pytest.Pytester) -> None:
    """The marker gives another version or mode, and a wrong one says what it takes."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ksr(version="6.1", mode="faithful")
        def test_newer(ksr):
            assert (ksr.world.version, ksr.world.strict) == ("6.1", False)

        def test_default(ksr):
            assert (ksr.world.version, ksr.world.strict) == ("5.6", True)

        @pytest.mark.ksr(version="4.0")
        def test_wrong(ksr):
            pass
        """
    )
    result = pytester.runpytest(*PLUGIN, "--strict-markers")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*takes version in*not version='4.0'*"])


def test_a_failure_shows_the_traffic(pytester: pytest.Pytester, script: Path) -> None:
    """A failed test shows the message in, the calls with results, the message out and the log."""
    edited(script, "KSR.sl", 'KSR.err("look here\\n")\n    KSR.sl')
    pytester.makepyfile(
        f"""
        from ksr_stub.builders import options

        def test_it(ksr):
            ksr.load({str(script)!r})
            assert ksr.receive(options()).reply.status == 404
        """
    )
    result = pytester.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- KSR -*",
            "*received from 203.0.113.7:40123",
            "*OPTIONS sip:example.test SIP/2.0",
            "*steps: ksr_request_route, answer",
            "*KSR.sl.sl_send_reply(200, 'Fine') -> 1",
            "*sent to udp:203.0.113.7:40123",
            "*SIP/2.0 200 Fine",
            "*look here",
        ]
    )


def test_a_hidden_fault_fails_the_test(pytester: pytest.Pytester, script: Path) -> None:
    """A bare except of the script does not hide a fault from the test."""
    edited(
        script,
        'KSR.sl.sl_send_reply(200, "Fine")',
        "\n    try:\n        KSR.sl.nonsense()\n    except:\n        pass\n",
    )
    pytester.makepyfile(
        f"""
        from ksr_stub.builders import options

        def test_it(ksr):
            ksr.load({str(script)!r})
            ksr.receive(options())
        """
    )
    result = pytester.runpytest(*PLUGIN)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*hid 1 fault(s)*", "*UnknownFunction: *KSR.sl.nonsense*"])


def test_an_expected_fault_does_not_fail_the_test(ksr: Ksr, script: Path) -> None:
    """A fault that reached the test, there expected, counts as seen."""
    ksr.load(edited(script, "KSR.sl.sl_send_reply", "KSR.sl.send_nothing"))
    with pytest.raises(UnknownFunction, match="send_nothing"):
        ksr.receive(options())
    assert ksr.swallowed_faults() == []


def test_a_return_code_as_truth_is_remembered(ksr: Ksr, script: Path) -> None:
    """`if KSR.x()` is a fault even where the script catches everything."""
    ksr.answer("siputils.has_totag", -1)
    ksr.load(
        edited(
            script,
            'KSR.sl.sl_send_reply(200, "Fine")',
            "\n    try:\n        bool(KSR.siputils.has_totag())\n    except BaseException: pass",
        )
    )
    ksr.receive(options())
    faults = ksr.swallowed_faults()
    assert [type(fault) for fault in faults] == [ReturnCodeAsTruth]
    ksr.world.faults.clear()


def test_the_test_can_answer_a_function(ksr: Ksr) -> None:
    """An answer replaces the model; a callable gets the arguments, text is UTF-8 on both sides."""
    ksr.answer("pv.get", lambda name: f"{name}=ü")
    assert KSR.pv.get("ö") == "ö=ü"
    ksr.answer("is_INVITE", True)
    assert KSR.is_INVITE() is True


def test_an_answer_of_an_unknown_function_is_refused(ksr: Ksr) -> None:
    """A misspelt name in `answer` says what is near."""
    with pytest.raises(UnknownFunction, match=r"did you mean .*sl\.sl_send_reply"):
        ksr.answer("sl.sl_send_replay", 1)


def test_no_reply_is_a_clear_failure(ksr: Ksr, script: Path) -> None:
    """`.reply` of a request that got none says what was sent instead."""
    ksr.load(edited(script, "    answer()\n", "    pass\n"))
    with pytest.raises(AssertionError, match="no reply left; sent: nothing"):
        _ = ksr.receive(register()).reply


def test_a_wrong_import_leaves_nothing_behind(ksr: Ksr, script: Path) -> None:
    """A script that can't be imported raises its own error, and sys.path is as before."""
    path = list(sys.path)
    script.write_text("import nothing_of_that_name\n")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        ksr.load(script)
    assert sys.path == path
    assert "routes" not in sys.modules


def test_nothing_of_a_test_stays_in_memory(pytester: pytest.Pytester, script: Path) -> None:
    """A World and the script that ran in it go with their test, not with the last one."""
    pytester.makepyfile(
        f"""
        import gc, weakref

        SEEN = []

        def test_one(ksr):
            SEEN.extend([weakref.ref(ksr.world), weakref.ref(ksr.load({str(script)!r}))])

        def test_two():
            gc.collect()
            assert [seen() for seen in SEEN] == [None, None]
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=2)


def test_steps_are_functions_methods_and_what_decorators_hide(ksr: Ksr, script: Path) -> None:
    """In the order in which they begin; what is defined inside of a function is a part of it."""
    added = """
import functools

def logged(function):
    def inner(*arguments):
        return function(*arguments)
    return inner

@logged
def first():
    "Says nothing."

@functools.lru_cache(maxsize=None)
def second():
    return [third(number) for number in range(2)]

def third(number): return (lambda: number)()

class Server:
    class Part:
        def begin(self): pass
    @property
    def name(self):
        return self.Part().begin()
    @staticmethod
    def plain():
        yield 1

def answer():
    first(), second(), Server().name, list(Server.plain()), second()
"""
    script.write_text(SCRIPT.replace("\ndef answer():\n", f"{added}\n"))
    ksr.load(script)
    result = ksr.receive(options())
    assert result.steps == [
        "ksr_request_route", "answer", "first", "second", "third", "third", "Server.name",
        "Server.Part.begin", "Server.plain",
    ]  # fmt: skip
    assert result.reply.status == 200


@pytest.fixture
def with_package(tmp_path: Path) -> Path:
    """A script whose reply is in a package."""
    package = tmp_path / "my_routes"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numbers.py").write_text("FINE = 200\n")
    (package / "replies.py").write_text(
        "import KSR\nfrom my_routes import numbers\n\nCOUNT = []\n\n"
        "def fine():\n    COUNT.append(1)\n"
        '    KSR.sl.sl_send_reply(numbers.FINE, "Fine")\n'
    )
    main = tmp_path / "main_routes.py"
    main.write_text(
        SCRIPT.replace("import KSR", "from my_routes import replies").replace(
            'KSR.sl.sl_send_reply(200, "Fine")', "replies.fine()"
        )
    )
    return main


def test_packages_of_the_script_are_fresh_too(ksr: Ksr, with_package: Path) -> None:
    """A package that the script imports is imported anew with it, and its steps are seen."""
    first = ksr.load(with_package)
    for _ in range(3):
        result = ksr.receive(options())
        assert result.steps == ["ksr_request_route", "answer", "replies.fine"]
        again = ksr.load(with_package)
        assert again.replies.COUNT == []
        assert again.replies is not first.replies
        assert again.replies.numbers is not first.replies.numbers


def test_a_module_that_was_edited_is_the_new_one(ksr: Ksr, with_package: Path) -> None:
    """What is remembered of a module is forgotten when its file changes or goes."""
    numbers = with_package.parent / "my_routes/numbers.py"
    for number in ("200", "0xCA", "200 + 403"):
        numbers.write_text(f"FINE = {number}\n")
        ksr.load(with_package)
        assert ksr.receive(options()).reply.status == eval(number)  # noqa: S307
    numbers.unlink()
    with pytest.raises(ImportError, match="numbers"):
        ksr.load(with_package)
    package = numbers.with_suffix("")
    package.mkdir()
    (package / "__init__.py").write_text("FINE = 404\n")
    ksr.load(with_package)
    assert ksr.receive(options()).reply.status == 404


def test_what_the_script_imports_late_goes_with_it(ksr: Ksr, with_package: Path) -> None:
    """Else the next test would find a module of a package that is no longer there."""
    replies = with_package.parent / "my_routes/replies.py"
    late = "def fine():\n    from my_routes import late\n"
    replies.write_text(replies.read_text().replace("def fine():\n", late))
    (replies.parent / "late.py").write_text("")
    ksr.load(with_package)
    ksr.receive(options())
    assert "my_routes.late" in sys.modules
    ksr.unload()
    assert not [name for name in sys.modules if name.startswith("my_routes")]


def test_a_library_of_the_script_is_imported_once(ksr: Ksr, with_package: Path) -> None:
    """What a test has done to it is undone for the next: in globals, in what is in them, and in
    what functions remember.
    """
    numbers = with_package.parent / "my_routes/numbers.py"
    numbers.write_text(
        "import functools\n\nFINE = 200\nNAMES = {200: 'Fine'}\nSEEN = []\n\n"
        "@functools.cache\ndef double(number):\n    return number + FINE\n"
    )
    library = ["my_routes.numbers"]
    first = ksr.load(with_package, library=library)
    for _ in range(2):
        former = ksr.load(with_package, library=library).replies.numbers
        former.FINE, former.seen = 404, True
        former.NAMES[200] = "Not Found"
        former.SEEN.append(former.double(200))
    last = ksr.load(with_package, library=library)
    assert last.replies.numbers is former
    assert last.replies is not first.replies
    assert ksr.receive(options()).reply.status == 200
    assert (former.NAMES, former.SEEN, former.double(200)) == ({200: "Fine"}, [], 400)
    assert not hasattr(former, "seen")
    assert ksr.load(with_package).replies.numbers is not former


def test_modules_of_a_library_have_each_other(ksr: Ksr, with_package: Path) -> None:
    """Also where only they import each other, and a test asks for one of them."""
    package = with_package.parent / "my_routes"
    (package / "tables.py").write_text("FINE = {'code': 200}\n")
    (package / "numbers.py").write_text(
        "from my_routes import tables\n\ndef __getattr__(name):\n    return tables.FINE['code']\n"
    )
    for _ in range(3):
        ksr.load(with_package, library=["my_routes.numbers", "my_routes.tables"])
        assert ksr.receive(options()).reply.status == 200
        sys.modules["my_routes.tables"].FINE["code"] = 404
        assert ksr.receive(options()).reply.status == 404
        assert sys.modules["my_routes"].tables is sys.modules["my_routes.tables"]


def test_what_a_library_imports_late_has_its_modules_from_the_first_time_on(
    ksr: Ksr, tmp_path: Path
) -> None:
    """Else an exception of the one is not that of the other."""
    package = tmp_path / "patient_routes"  # no other test has a package of this name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "faults.py").write_text("class Fault(Exception): pass\n")
    (package / "late.py").write_text(
        "from patient_routes.faults import Fault\n\ndef work():\n    raise Fault\n"
    )
    (package / "replies.py").write_text(
        "import KSR\nfrom patient_routes.faults import Fault\n\ndef fine():\n"
        "    from patient_routes import late\n    try:\n        late.work()\n"
        '    except Fault:\n        KSR.sl.sl_send_reply(200, "Fine")\n'
    )
    main = tmp_path / "main_routes.py"
    main.write_text(
        SCRIPT.replace("import KSR", "from patient_routes import replies").replace(
            'KSR.sl.sl_send_reply(200, "Fine")', "replies.fine()"
        )
    )
    for _ in range(3):
        ksr.load(main, library=["patient_routes.faults", "patient_routes.late"])
        assert ksr.receive(options()).reply.status == 200


def test_outside_of_a_test_ksr_says_what_to_do() -> None:
    """KSR without the fixture is an error that names it."""
    with pytest.raises(RuntimeError, match="fixture `ksr`"):
        _ = KSR.sl


def test_receive_takes_bytes(ksr: Ksr) -> None:
    """A text instead of bytes is refused with what to do."""
    with pytest.raises(TypeError, match="not str: build them with"):
        ksr.receive("OPTIONS sip:example.test SIP/2.0\r\n\r\n")  # type: ignore[arg-type]


def test_a_callback_can_ask_its_message(ksr: Ksr, script: Path) -> None:
    """`msg` has what app_python3 gives it, and says what to call in place of its old functions."""
    seen = "[msg.Type, msg.Method, msg.RURI, msg.src_address, msg.dst_address, msg.getHeader('to')]"
    ksr.load(edited(script, "    answer()\n", f"    answer.seen = {seen}\n"))
    ksr.receive(options())
    assert sys.modules["routes"].answer.seen == [
        "SIP_REQUEST", "OPTIONS", "sip:example.test", ("203.0.113.7", 40123),
        ("203.0.113.10", 5060), "<sip:example.test>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ("msg.Status", RuntimeError, "Not a reply"),
        ("msg.call_function('t_relay')", NotModelled, r"use KSR\.module\.function"),
        ("msg.status", AttributeError, "no attribute 'status'"),
    ],
)
def test_what_a_message_can_not_say_is_named(
    ksr: Ksr, script: Path, asked: str, error: type[Exception], says: str
) -> None:
    ksr.load(edited(script, "    answer()\n", f"    {asked}\n"))
    with pytest.raises(error, match=says):
        ksr.receive(options())


@pytest.mark.parametrize(("call", "instead"), [("x.exit()", "return"), ("drop()", "set_drop")])
def test_what_other_languages_have_is_named_with_what_python_has(
    ksr: Ksr, script: Path, call: str, instead: str
) -> None:
    ksr.load(edited(script, "    answer()\n", f"    KSR.{call}\n"))
    with pytest.raises(UnknownFunction, match=instead):
        ksr.receive(options())
