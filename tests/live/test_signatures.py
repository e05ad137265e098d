"""The committed signatures against what the Kamailio of this machine exports.

A script's mod_init asks the RPC app_python.api_list and ends the start: all modules have registered
their functions by then, and none has been initialised but those before app_python3. So every module
can be asked, also one that needs a database or a peer, and no socket is opened.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ksr_stub import signatures

from .network import CLEAN_PATH
from .requirement import kamailio_version, require

MODULES = "lib/*/kamailio/modules/*.so"
ASKING = ("pv", "jsonrpcs", "app_python3")
# One process exports at most 1024 functions.
MODULES_A_START = 25
KINDS = {"none": "NONE", "int": "INT", "str": "STR", "bool": "BOOL", "xval": "XVAL"}

SCRIPT = """
import pathlib
import KSR

def mod_init():
    KSR.jsonrpcs.exec('{"jsonrpc": "2.0", "id": 1, "method": "app_python.api_list"}')
    pathlib.Path(__file__).with_name("answer").write_text(KSR.pv.get("$jsonrpl(body)"))
    return None  # ends Kamailio
"""

# None in place of the parameters: one of them is a LONG, for which api_list has no name
Shown = tuple[str, list[str] | None]
Exports = dict[tuple[str, str], Shown]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Namespace and name of every function of every installed module: what it returns and takes."""
    require("kamailio")
    names = sorted(path.stem for path in Path("/usr").glob(MODULES) if path.stem not in ASKING)
    found: Exports = {}
    for first in range(0, len(names), MODULES_A_START):
        directory = tmp_path_factory.mktemp("exports")
        found.update(ask(directory, names[first : first + MODULES_A_START]))
    return found


def ask(directory: Path, modules: list[str]) -> Exports:
    """What Kamailio exports with these modules."""
    (directory / "script.py").write_text(SCRIPT)
    loaded = "".join(f'loadmodule "{name}.so"\n' for name in (*ASKING, *modules))
    (directory / "kamailio.cfg").write_text(
        f'#!KAMAILIO\nlog_stderror=yes\n{loaded}modparam("jsonrpcs", "transport", 0)\n'
        f'modparam("app_python3", "load", "{directory}/script.py")\ncfgengine "python"\n'
    )
    done = subprocess.run(
        [
            "kamailio",
            "-f",
            str(directory / "kamailio.cfg"),
            "-l",
            "udp:127.0.0.1:5060",
            "-DD",
            "-E",
        ],
        env={"PATH": CLEAN_PATH},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    answer = directory / "answer"
    assert answer.is_file(), f"Kamailio did not run the script:\n{done.stderr}"
    return dict(listed(json.loads(answer.read_text())))


def listed(
    answer: dict[str, dict[str, list[dict[str, dict[str, str]]]]],
) -> Iterator[tuple[tuple[str, str], Shown]]:
    """The functions of an answer of app_python.api_list."""
    for entry in answer["result"]["methods"]:
        function = entry["func"]
        key = function["module"], function["name"]
        yield key, (KINDS[function["ret"]], kinds(function["params"]))


def kinds(parameters: str | None) -> list[str] | None:
    """Those of "str, int"; none is "none"."""
    if parameters is None:
        return None
    return [KINDS[one] for one in parameters.split(", ") if one != "none"]


def declared(key: tuple[str, str]) -> Shown | None:
    """The same of a function in the committed data; None: it is not there."""
    signature = signatures.load(kamailio_version()).get(key)
    if signature is None:
        return None
    parameters = [parameter.kind for parameter in signature.parameters]
    return signature.returns, None if "LONG" in parameters else parameters


def test_every_function_that_kamailio_exports_is_in_the_data_as_it_is(exports: Exports) -> None:
    """At least the core and app_python3's own dependencies are there, usually over 1,000."""
    assert len(exports) > 200
    assert {key: declared(key) for key in exports} == exports


def test_the_data_have_no_function_that_kamailio_lacks(exports: Exports) -> None:
    """Of a namespace that this machine has."""
    namespaces = {namespace for namespace, _ in exports}
    data = {key for key in signatures.load(kamailio_version()) if key[0] in namespaces}
    assert data - exports.keys() == set()
