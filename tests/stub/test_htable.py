"""Module htable."""

from __future__ import annotations

from pathlib import Path

import KSR
import pytest
from ksr_stub.harness import Ksr
from ksr_stub.tables import Tables


@pytest.fixture
def tables(ksr: Ksr) -> Ksr:
    ksr.param("htable", "htable", "plain=>size=4;")
    ksr.param("htable", "htable", "short=>size=4;autoexpire=60;")
    ksr.param("htable", "htable", "fixed=>size=4;autoexpire=60;updateexpire=0;")
    ksr.param("htable", "htable", "count=>size=4;initval=5;")
    return ksr


def test_a_value_comes_back(tables: Ksr) -> None:
    """Text and int come back as they were set; what was never set is None."""
    assert KSR.htable.sht_sets("plain", "a", "grüße") == 1
    assert KSR.htable.sht_seti("plain", "b", -7) == 1
    assert KSR.htable.sht_get("plain", "a") == "grüße"
    assert KSR.htable.sht_get("plain", "b") == -7
    assert KSR.htable.sht_get("plain", "c") is None
    assert KSR.htable.sht_gete("plain", "c") == ""
    assert KSR.htable.sht_getw("plain", "c") == "<null>"


def test_an_unknown_table_is_an_error(tables: Ksr) -> None:
    """What a wrong table name gives differs by function."""
    assert KSR.htable.sht_sets("nope", "a", "b") == -1
    assert KSR.htable.sht_get("nope", "a") is None
    assert KSR.htable.sht_is_null("nope", "a") == 2
    assert KSR.htable.sht_inc("nope", "a") == -255
    assert KSR.htable.sht_rm("nope", "a") == -1
    assert KSR.htable.sht_rm_name_re("nope", "a") == 1


def test_is_null_tells_three_cases(tables: Ksr) -> None:
    """1 without a value, -1 with one, -2 in a table with initval."""
    KSR.htable.sht_sets("plain", "a", "")
    assert KSR.htable.sht_is_null("plain", "a") == -1
    assert KSR.htable.sht_is_null("plain", "b") == 1
    assert KSR.htable.sht_is_null("count", "b") == -2


def test_counting_needs_an_int(tables: Ksr) -> None:
    """sht_inc counts ints; a text, or no value without initval, gives -255."""
    assert KSR.htable.sht_inc("plain", "n") == -255
    KSR.htable.sht_seti("plain", "n", 1)
    assert KSR.htable.sht_inc("plain", "n") == 2
    assert KSR.htable.sht_dec("plain", "n") == 1
    KSR.htable.sht_sets("plain", "n", "1")
    assert KSR.htable.sht_inc("plain", "n") == -255
    assert KSR.htable.sht_inc("count", "n") == 6
    assert KSR.htable.sht_get("count", "other") == 5


def test_values_expire_with_the_clock(tables: Ksr) -> None:
    """A value of a table with autoexpire is gone one second after its time."""
    KSR.htable.sht_sets("short", "a", "x")
    tables.clock.advance(60)
    assert KSR.htable.sht_get("short", "a") == "x"
    tables.clock.advance(1)
    assert KSR.htable.sht_get("short", "a") is None
    assert KSR.htable.sht_is_null("short", "a") == 1


def test_setex_sets_the_time_of_one_value(tables: Ksr) -> None:
    """sht_setex and sht_setxs count from now; in a table without autoexpire they do nothing."""
    KSR.htable.sht_sets("short", "a", "x")
    assert KSR.htable.sht_setex("short", "a", 5) == 1
    KSR.htable.sht_setxs("plain", "a", "x", 5)
    tables.clock.advance(6)
    assert KSR.htable.sht_get("short", "a") is None
    assert KSR.htable.sht_get("plain", "a") == "x"


def test_updateexpire_0_keeps_the_first_expiry(tables: Ksr) -> None:
    """Setting a value again prolongs it, unless updateexpire is 0."""
    for table in ("short", "fixed"):
        KSR.htable.sht_sets(table, "a", "x")
    tables.clock.advance(50)
    for table in ("short", "fixed"):
        KSR.htable.sht_sets(table, "a", "x")
    tables.clock.advance(11)
    assert KSR.htable.sht_get("short", "a") == "x"
    assert KSR.htable.sht_get("fixed", "a") is None


@pytest.mark.parametrize(
    ("version", "code", "then"),
    [
        pytest.param("5.6", 0, "longer", marks=pytest.mark.ksr(version="5.6")),
        pytest.param("6.0", 1, None, marks=pytest.mark.ksr(version="6.0")),
    ],
)
def test_versions_differ(tables: Ksr, version: str, code: int, then: str | None) -> None:
    """5.6: sht_setxi succeeds with 0, and a longer text forgets the expiry that comes with it."""
    assert KSR.htable.sht_setxi("short", "i", 1, 5) == code
    KSR.htable.sht_setxs("short", "s", "x", 5)
    KSR.htable.sht_setxs("short", "s", "longer", 5)
    tables.clock.advance(3600)
    assert KSR.htable.sht_get("short", "s") == then


def test_removing_by_pattern(tables: Ksr) -> None:
    """Names by regular expression or start, values by regular expression; reset returns 0."""
    for name in ("Alpha", "alter", "beta"):
        KSR.htable.sht_sets("plain", name, f"of {name}")
    assert KSR.htable.sht_match_name("plain", "eq", "beta") == 1
    assert KSR.htable.sht_match_str_value("plain", "sw", "of b") == 1
    assert KSR.htable.sht_rm_name("plain", "sw", "alt") == 1
    assert KSR.htable.sht_rm_name("plain", "eq", "beta") == -1
    assert KSR.htable.sht_rm_name_re("plain", "^al.*a$") == 1
    assert KSR.htable.sht_rm_value_re("plain", "[") == -1
    assert list(tables.world.part(Tables).get("plain").cells) == ["beta"]  # type: ignore[union-attr]
    assert KSR.htable.sht_reset("plain") == 0
    assert KSR.htable.sht_match_name("plain", "re", ".") == -1


def test_iterators_walk_and_remove(tables: Ksr) -> None:
    """An iterator sees every value once, and removing steps on to the next one."""
    names = {"a", "b", "c", "d", "e"}
    for name in names:
        KSR.htable.sht_sets("plain", name, name * 2)
    assert KSR.htable.sht_iterator_start("it", "plain") == 1
    seen = set()
    while KSR.htable.sht_iterator_next("it") > 0:
        seen.add(KSR.pv.get("$shtitkey(it)"))
        assert KSR.pv.get("$shtitval(it)") == KSR.pv.get("$shtitkey(it)") * 2
    assert seen == names
    KSR.htable.sht_iterator_next("it")
    codes = [KSR.htable.sht_iterator_rm("it") for _ in names]
    assert codes == [1, 1, 1, 1, -2]
    assert KSR.htable.sht_iterator_end("it") == 1
    assert KSR.htable.sht_iterator_end("it") == -1


def test_variables_read_and_write(tables: Ksr) -> None:
    """`$sht()` with a variable in its key; null removes; `$shtex`, `$shtinc`, `$shtcn`."""
    KSR.pv.sets("$var(who)", "alice")
    KSR.pv.sets("$sht(short=>u-$var(who))", "here")
    assert KSR.htable.sht_get("short", "u-alice") == "here"
    assert KSR.pv.get("$(sht(short=>u-alice){s.len})") == 4
    assert KSR.pv.get("$shtex(short=>u-alice)") == 60
    assert KSR.pv.get("$shtinc(count=>x)") == 6
    assert KSR.pv.get("$shtcn(short=>~~^U-)") == 1
    KSR.pv.unset("$sht(short=>u-alice)")
    assert KSR.pv.get("$sht(short=>u-alice)") is None


def test_the_expiry_callback_sees_the_value(ksr: Ksr, tmp_path: Path) -> None:
    """event_callback is called for what expires, with `$shtrecord()`."""
    script = tmp_path / "expiry.py"
    script.write_text(
        "import sys\nimport KSR\nSEEN = []\n"
        "def mod_init(): return sys.modules[__name__]\n"
        "def child_init(rank): return 0\n"
        "def gone(msg, event):\n"
        "    SEEN.append((event, KSR.pv.get('$shtrecord(key)'), KSR.pv.get('$shtrecord(value)')))\n"
        "    return 1\n"
    )
    ksr.param("htable", "htable", "ban=>autoexpire=30")
    ksr.param("htable", "event_callback", "gone")
    module = ksr.load(script)
    KSR.htable.sht_seti("ban", "192.0.2.1", 3)
    ksr.clock.advance(60)
    assert module.SEEN == [("htable:expired:ban", "192.0.2.1", 3)]


def test_a_wrong_table_stops_the_start(ksr: Ksr) -> None:
    """A modparam that Kamailio refuses raises with its text."""
    ksr.param("htable", "htable", "ban=>size=big")
    with pytest.raises(ValueError, match="invalid htable parameter"):
        KSR.htable.sht_get("ban", "a")
