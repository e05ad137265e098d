"""What the extractor reads out of a Kamailio source tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ksr_stub import extract, signatures
from ksr_stub.pv.table import VARIABLES
from ksr_stub.registry import load_models
from ksr_stub.signatures import Parameter, Signature

# A module in the manner of Kamailio's, with all that makes the real ones hard to read.
DOORBELL = r"""
#include "../../core/kemi.h"

/* {str_init("doorbell"), str_init("in_comment"), SR_KEMIP_INT, ki_no, {SR_KEMIP_INT}} */
static int ki_ring(sip_msg_t *msg, str *_table, int imode, str *sUser)
{
	LM_DBG("no // comment, and \" no end\n");
	return 1;
}

#define SWITCH_FUNC(fname, flag) \
	int fname(struct sip_msg *msg, int state) \
	{ \
		return state ? flag : -1; \
	}

SWITCH_FUNC(door_open, 4)

static sr_kemi_xval_t *ki_who(sip_msg_t *msg, str *class, str *skey, str *key) { return NULL; }

/* clang-format off */
static sr_kemi_t doorbell_exports[] = {
	{ str_init("doorbell"), str_init("ring"),
		SR_KEMIP_INT, ki_ring,
		{ SR_KEMIP_STR, SR_KEMIP_INT, SR_KEMIP_STR, // the user
			SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE }
	},
	{ str_init("doorbell"), str_init("open"),
		SR_KEMIP_BOOL, door_open,
		{ SR_KEMIP_INT, SR_KEMIP_NONE, SR_KEMIP_NONE,
			SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE }
	},
#if 0
	{ str_init("doorbell"), str_init("switched_off"),
		SR_KEMIP_INT, ki_ring,
		{ SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE,
			SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE }
	},
#endif
	{ str_init("knocker"), str_init("who"),
		SR_KEMIP_XVAL, ki_who,
		{ SR_KEMIP_STR, SR_KEMIP_STR, SR_KEMIP_STR,
			SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE }
	},
	{ str_init("doorbell"), str_init("elsewhere"),
		SR_KEMIP_NONE, defined_in_another_library,
		{ SR_KEMIP_LONG, SR_KEMIP_STR, SR_KEMIP_NONE,
			SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE }
	},
	{ {0, 0}, {0, 0}, 0, NULL, { 0, 0, 0, 0, 0, 0 } }
};

static sr_kemi_t for_tests_only[] = {
	{ str_init(""), str_init("unregistered"),
		SR_KEMIP_INT, ki_ring,
		{ SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE,
			SR_KEMIP_NONE, SR_KEMIP_NONE, SR_KEMIP_NONE }
	},
	{ {0, 0}, {0, 0}, 0, NULL, { 0, 0, 0, 0, 0, 0 } }
};
/* clang-format on */

static pv_export_t doorbell_pvs[] = {
	{ {"bell", (sizeof("bell")-1)}, /* the sound */
		PVT_OTHER, pv_get_bell, 0, 0, 0, 0, 0},
	{{"bell.last", sizeof("bell.last") - 1}, PVT_OTHER, pv_get_last, 0, 0, 0, 0, 0},
	{ STR_STATIC_INIT("?"), PVT_OTHER, pv_get_door, 0, 0, 0, 0, 0 },
	{str_init("knocks"), PVT_OTHER, pv_get_knocks, 0, 0, 0, 0, 0},
	/* {str_init("commented"), PVT_OTHER, pv_get_nothing, 0, 0, 0, 0, 0}, */
	{ {0, 0}, 0, 0, 0, 0, 0, 0, 0 }
};

int mod_register(char *path, int *dlflags, void *p1, void *p2)
{
	sr_kemi_modules_add(doorbell_exports);
	return 0;
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with one module."""
    (tmp_path / "src/core").mkdir(parents=True)
    (tmp_path / "src/core/kemi.c").write_text("/* no functions */\n")
    (tmp_path / "src/modules/doorbell").mkdir(parents=True)
    (tmp_path / "src/modules/doorbell/doorbell.c").write_text(DOORBELL)
    (tmp_path / "src/Makefile.defs").write_text("VERSION = 9\nPATCHLEVEL = 1\nSUBLEVEL = 4\n")
    return tmp_path


def found(tree: Path) -> dict[str, Signature]:
    return {signature.name: signature for signature in extract.read_tree(tree)}


def test_a_function_has_the_kinds_of_its_table_and_the_names_of_its_c_function(tree: Path) -> None:
    assert found(tree)["ring"] == Signature(
        "doorbell",
        "ring",
        "INT",
        (Parameter("table", "STR"), Parameter("mode", "INT"), Parameter("user", "STR")),
    )


def test_a_function_made_by_a_macro_has_the_names_of_the_macro(tree: Path) -> None:
    assert found(tree)["open"].parameters == (Parameter("state", "INT"),)
    assert found(tree)["open"].returns == "BOOL"


def test_a_function_defined_elsewhere_has_numbered_parameters(tree: Path) -> None:
    assert [parameter.name for parameter in found(tree)["elsewhere"].parameters] == ["p1", "p2"]
    assert found(tree)["elsewhere"].parameters[0].kind == "LONG"


def test_a_table_is_in_the_namespace_of_its_first_entry(tree: Path) -> None:
    assert {signature.namespace for signature in found(tree).values()} == {"doorbell"}


def test_comments_switched_off_code_and_unregistered_tables_are_no_functions(tree: Path) -> None:
    assert sorted(found(tree)) == ["elsewhere", "open", "ring", "who"]


def test_a_none_among_the_kinds_ends_them(tree: Path) -> None:
    """As app_python3 counts them; statsd has such entries."""
    source = tree / "src/modules/doorbell/doorbell.c"
    kinds = "{ SR_KEMIP_STR, SR_KEMIP_INT, SR_KEMIP_STR,"
    assert kinds in DOORBELL
    source.write_text(DOORBELL.replace(kinds, "{ SR_KEMIP_STR, SR_KEMIP_NONE, SR_KEMIP_STR,"))
    assert [parameter.kind for parameter in found(tree)["ring"].parameters] == ["STR"]


def test_names_are_python_names_each_once(tree: Path) -> None:
    names = [parameter.name for parameter in found(tree)["who"].parameters]
    assert names == ["class_", "skey", "key"]


def test_of_two_modules_that_fill_one_namespace_the_one_of_that_name_counts(tree: Path) -> None:
    twin = tree / "src/modules/another"
    twin.mkdir()
    (twin / "another.c").write_text(DOORBELL.replace("SR_KEMIP_BOOL", "SR_KEMIP_INT"))
    assert found(tree)["open"].returns == "BOOL"


def test_variables_have_the_modules_that_export_them(tree: Path) -> None:
    twin = tree / "src/modules/another"
    twin.mkdir()
    (twin / "another.c").write_text(DOORBELL.replace('"bell"', '"gong"'))
    assert extract.read_variables(tree) == {
        "?": ["another", "doorbell"], "bell": ["doorbell"],
        "bell.last": ["another", "doorbell"], "gong": ["another"],
        "knocks": ["another", "doorbell"],
    }  # fmt: skip


def test_every_variable_with_a_model_is_one_of_kamailio() -> None:
    load_models()
    known = {name for version in signatures.VERSIONS for name in signatures.variables(version)}
    assert sorted(VARIABLES.keys() - known) == []


def test_the_data_file_says_what_signatures_loads_a_function_a_line(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "DATA", tmp_path / "data")
    assert extract.main([str(tree), "9.1"]) == 0
    text = (tmp_path / "data/9.1.json").read_text()
    assert '"open": ["BOOL", [["state", "INT"]]],\n' in text
    assert json.loads(text)["release"] == "9.1.4"
    assert json.loads(text)["functions"]["doorbell"]["open"] == ["BOOL", [["state", "INT"]]]
    assert json.loads(text)["variables"]["knocks"] == ["doorbell"]


def test_what_is_no_source_tree_is_refused_with_what_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract.main([str(tmp_path), "9.1"]) == 2
    assert "name a Kamailio source tree" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "functions"), [("5.6", 1236), ("6.0", 1345), ("6.1", 1390)])
def test_the_committed_data_have_every_function_of_the_release(
    version: str, functions: int
) -> None:
    assert len(signatures.load(version)) == functions


def test_no_function_of_5_6_but_sqlangs_is_gone_or_changed_in_6_1() -> None:
    old, new = signatures.load("5.6"), signatures.load("6.1")
    gone = {key for key in old if key not in new}
    kinds = {
        key: [p.kind for p in old[key].parameters] != [p.kind for p in new[key].parameters]
        for key in old.keys() & new.keys()
    }
    changed = {key for key, differs in kinds.items() if differs}
    assert {namespace for namespace, _ in gone} == {"app_sqlang"}
    assert {namespace for namespace, _ in changed} <= {"cfgutils"}
