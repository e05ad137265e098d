"""What mypy and pyright say about routes that use the type stubs of KSR."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from ksr_stub import pyi

STUBS = Path(pyi.__file__).parents[1]

RIGHT = """
import KSR

def wanted(code: int) -> bool:
    return code > 0

if KSR.siputils.has_totag() > 0 and not KSR.is_INVITE():
    KSR.info("inside a dialog\\n")
code = KSR.registrar.save("location", 0)
if code == 1 or code in (2, 3) or 0 < code:
    KSR.sl.sl_send_reply(200, "OK")
wanted(int(code))
port: int = KSR.pv.get("$sp")
source: str = KSR.pv.get("$si")
name = KSR.pv.gete("$fU").lower()
count = KSR.pv.getvn("$avp(n)", 0) + KSR.kx.get_defn("LIMIT")
if KSR.pv.is_null("$au") or KSR.kx.get_defn("WITH_TLS"):
    KSR.hdr.remove("X-Test")
for index in range(KSR.htable.sht_inc("ipban", source)):
    pass
found = KSR.htable.sht_get("ipban", source)
if isinstance(found, int) and found > 3:
    KSR.set_drop()
KSR.auth.pv_proxy_authenticate("realm", "password", 0)  # only 6.0+
"""

# Each line is wrong, and mypy and pyright name it by these.
WRONG = [
    ("if KSR.siputils.has_totag(): pass", "truthy-bool", "__bool__"),
    ("if not KSR.siputils.has_totag(): pass", "truthy-bool", "__bool__"),
    ("while KSR.tm.t_relay(): pass", "truthy-bool", "__bool__"),
    ("answer = KSR.tm.t_check_trans() and 1", "truthy-bool", "__bool__"),
    ("choice = 1 if KSR.rr.loose_route() else 2", "truthy-bool", "__bool__"),
    ("if KSR.is_INVITE() and KSR.tm.t_newtran(): pass", "truthy-bool", "__bool__"),
    ("assert KSR.tm.t_newtran()", "truthy-bool", "__bool__"),
    ("rc = KSR.tm.t_relay()\nif rc: pass", "truthy-bool", "__bool__"),
    ("KSR.sl.sl_send_reply('404', 'Not Found')", "arg-type", "reportArgumentType"),
    ("KSR.nathelper.nat_uac_test('19')", "arg-type", "reportArgumentType"),
    ("KSR.pv.sets('$ru', None)", "arg-type", "reportArgumentType"),
    ("KSR.hdr.append(b'X: 1')", "arg-type", "reportArgumentType"),
    ("KSR.registrar.save('location')", "call-arg", "reportCallIssue"),
    ("KSR.tm.t_relay(1)", "call-arg", "reportCallIssue"),
    ("KSR.pv.getvs(pv='$ru', default='')", "call-arg", "reportCallIssue"),
    ("KSR.nathelper.nat_test(19)", "attr-defined", "reportAttributeAccessIssue"),
    ("KSR.nathelp.nat_uac_test(19)", "attr-defined", "reportAttributeAccessIssue"),
    ("KSR.x.exit()", "attr-defined", "reportAttributeAccessIssue"),
    ("KSR.drop()", "attr-defined", "reportAttributeAccessIssue"),
    ("silent = KSR.set_drop() + 1", "func-returns-value", "reportOperatorIssue"),
    ("KSR.pv.get('$si') + 1", "operator", "reportOperatorIssue"),
]
WRONG_TEXT = "import KSR\n" + "\n".join(line for line, _, _ in WRONG) + "\n"


# pyright looks at the operands of `and` and `or` only where the whole is a condition.
MYPY_ONLY = {"answer = KSR.tm.t_check_trans() and 1"}

Report = dict[tuple[str, int], str]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with right.py and wrong.py, for one run of a type checker over both."""
    directory = tmp_path_factory.mktemp("routes")
    (directory / "right.py").write_text(RIGHT)
    (directory / "wrong.py").write_text(WRONG_TEXT)
    return directory


@pytest.fixture(scope="module")
def mypy(routes: Path, pytestconfig: pytest.Config) -> Report:
    """What mypy reports, by file and line; type stubs that have not changed are read once."""
    known = getattr(pytestconfig, "cache", None)
    cache = known.mkdir("mypy-of-routes") if known else routes / ".cache"
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    command = [sys.executable, "-m", "mypy", "--strict", "--enable-error-code=truthy-bool"]
    done = subprocess.run(
        [*command, "--show-error-codes", f"--cache-dir={cache}", "right.py", "wrong.py"],
        cwd=routes,
        env={**os.environ, "MYPYPATH": str(STUBS), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found: Report = defaultdict(str)
    for name, line, message in re.findall(r"(?m)^(\w+\.py):(\d+): error: (.*)", done.stdout):
        found[name, int(line)] += message
    return found


@pytest.fixture(scope="module")
def pyright(routes: Path) -> Report:
    """What pyright reports, by file and line: messages and rules."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which("pyright", path=path) or shutil.which("basedpyright", path=path)
    if program is None:
        pytest.skip("neither pyright nor basedpyright is installed")
    settings = {"extraPaths": [str(STUBS)], "typeCheckingMode": "standard", "include": ["."]}
    (routes / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [program, "--outputjson"], cwd=routes, capture_output=True, text=True, check=False
    )
    found: Report = defaultdict(str)
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        if one["severity"] == "error":
            place = (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
            found[place] += f"{one['message']} {one.get('rule', '')}"
    return found


def silent(report: Report, checker: int) -> list[str]:
    """The faults of WRONG that a type checker (1 mypy, 2 pyright) does not name."""
    missed, number = [], 1
    for fault in WRONG:
        number += fault[0].count("\n") + 1
        if fault[checker] not in report.get(("wrong.py", number), ""):
            missed.append(fault[0])
    return missed


def test_mypy_accepts_right_calls(mypy: Report) -> None:
    assert {place: said for place, said in mypy.items() if place[0] == "right.py"} == {}


def test_mypy_refuses_return_codes_as_truth_and_wrong_calls(mypy: Report) -> None:
    assert silent(mypy, checker=1) == []


def test_pyright_accepts_right_calls(pyright: Report) -> None:
    assert {place: said for place, said in pyright.items() if place[0] == "right.py"} == {}


def test_pyright_refuses_return_codes_as_truth_and_wrong_calls(pyright: Report) -> None:
    assert set(silent(pyright, checker=2)) == MYPY_ONLY
