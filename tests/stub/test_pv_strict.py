"""What strict mode says of variables that a real Kamailio would quietly answer with None."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from ksr_stub import message, pv
from ksr_stub import world as worlds
from ksr_stub.errors import NotModelled, UnknownVariable, Unpredictable
from ksr_stub.models import pv as pv_model
from ksr_stub.models import siputils, textops, textopsx, textopsx_values, xlog
from ksr_stub.pv.table import VARIABLES
from ksr_stub.registry import load_models
from ksr_stub.world import World

INVITE = (
    b"INVITE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.test>\r\nCall-ID: c\r\n"
    b"CSeq: 1 INVITE\r\nX-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
def world() -> Iterator[World]:
    load_models()
    made = World()
    made.message = message.parse(INVITE)
    former = worlds.use(made)
    yield made
    worlds.use(former)


@pytest.mark.parametrize(
    "text", ["$nope", "", "ru", "$ru{s.len}", "$(ru{s.nope})", "$hdr", "$via0(x)"]
)
def test_a_text_that_is_no_variable_fails_the_test(world: World, text: str) -> None:
    with pytest.raises(UnknownVariable, match="is no pseudo-variable"):
        pv.get(world, text)


def test_the_fault_is_remembered_for_a_bare_except(world: World) -> None:
    with pytest.raises(UnknownVariable):
        pv.get(world, "$nope")
    assert len(world.faults) == 1


def test_writing_what_can_not_be_written_fails_the_test(world: World) -> None:
    with pytest.raises(UnknownVariable, match=r"\$rm can't be written"):
        pv.put(world, "$rm", "ACK")


def test_faithful_mode_lets_that_write_succeed_without_effect(world: World) -> None:
    world.strict = False
    assert pv_model.sets(world, "$rm", "ACK")
    assert pv_model.get(world, "$rm") == "INVITE"


def test_faithful_mode_logs_an_error_for_an_unknown_variable(world: World) -> None:
    world.strict = False
    assert pv_model.get(world, "$nope") is None
    assert any("nope" in line for line in world.log_lines(-1))


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("$dlg(callid)", "dialog"), ("$redis(r=>value)", "ndb_redis"), ("$tls_version", "tls"),
        ("$(ru{sql.val.str})", "sqlops"), ("$(rcv(proto){sock.host})", "corex"),
        ("$sht(ipban=>$x_hdr(X-Id))", "pv_headers"),
    ],
)  # fmt: skip
def test_what_has_no_model_names_its_module(world: World, text: str, module: str) -> None:
    with pytest.raises(NotModelled, match=f"module {module},"):
        pv.get(world, text)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("$ctu", "6.0"),
        ("$tls_peer_san_count", "6.0"),
        ("$recv(x)", "6.1"),
        ("$(ru{s.crc32})", "6.1"),
    ],
)
def test_what_only_a_later_version_has_is_refused(world: World, text: str, version: str) -> None:
    with pytest.raises(UnknownVariable, match="is no pseudo-variable"):
        pv.get(world, text)
    world.version = version
    world.message = message.parse(INVITE.replace(b"X-Name", b"Contact: <sip:a@b>\r\nX-Name"))
    with suppress(NotModelled):
        pv.get(world, text)


def test_a_variable_of_a_module_that_is_not_loaded_is_refused(world: World) -> None:
    world.modules.update(["pv", "kemix"])
    assert pv.get(world, "$rU") == "bob"
    assert pv.get(world, "$def(NOTHING)") is None
    with pytest.raises(UnknownVariable, match=r'no loadmodule "htable\.so", which has \$sht'):
        pv.get(world, "$sht(ipban=>192.0.2.1)")
    with pytest.raises(UnknownVariable, match=r'no loadmodule "tmx\.so"'):
        pv.evaluate(world, "branch $T_branch_idx\n")


def test_a_model_can_provide_a_variable(world: World) -> None:
    pv.provide("zzlength", lambda world, inner, index: len(inner), inner=str)
    try:
        assert pv.get(world, "$(zzlength(four))") == 4
    finally:
        del VARIABLES["zzlength"]


def test_a_transformation_of_a_later_version_is_refused_in_5_6(world: World) -> None:
    with pytest.raises(UnknownVariable, match=r"new in 6\.0"):
        pv.get(world, "$(avp(x){val.ne})")
    world.version = "6.0"
    assert pv.get(world, "$(avp(x){val.ne})") == ""


def test_the_stray_byte_of_5_6_is_no_result_that_a_test_can_rely_on(world: World) -> None:
    with pytest.raises(Unpredictable, match="stray byte"):
        pv.get(world, "$(fu{uri.saor})")
    world.version = "6.1"
    assert pv.get(world, "$(fu{uri.saor})") == "sip:alice@example.org"


def test_what_crashes_kamailio_fails_the_test(world: World) -> None:
    with pytest.raises(Unpredictable, match="crashes Kamailio"):
        textopsx_values.include_hf_value(world, "Supported", "")


def test_text_is_bytes_until_it_reaches_the_route(world: World) -> None:
    assert pv.get(world, "$hdr(X-Name)") == "caf\xe9"
    assert pv.get(world, "$(hdr(X-Name){s.len})") == 4


def test_reading_after_an_edit_shows_the_message_as_it_came(world: World) -> None:
    assert pv.put(world, "$fU", "carol")
    assert pv.get(world, "$fU") == "alice"
    assert textopsx.msg_apply_changes(world) == 1
    assert pv.get(world, "$fU") == "carol"


def test_a_log_line_shows_null_for_what_has_no_value(world: World) -> None:
    assert xlog.xlog(world, "L_INFO", "$rm for $rU by $ua") == 1
    assert "INVITE for bob by <null>" in world.log_lines()


def test_return_codes_are_those_of_kamailio(world: World) -> None:
    assert siputils.has_totag(world) == -1
    assert textops.search(world, "INVITE") == 1
