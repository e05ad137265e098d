"""Random calls on random messages: the stub answers what the installed Kamailio answers.

CONFORMANCE_EXAMPLES is the number of examples in all (2100): an example is a message with 10 to 50
calls. Its seed is fixed; CONFORMANCE_RANDOM=1 takes a new one each time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from ksr_stub.errors import Unpredictable

from . import (
    body_calls,
    calls,
    dispatcher_calls,
    list_calls,
    permission_calls,
    socket_calls,
    stubbed,
    texts,
)
from .real import Answer, RealKamailio

_GROUPS = 15
_TAG = re.compile(r"(To:[^\r\n]*;tag=)[0-9a-f.\-]+")

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def _kamailio(real: RealKamailio) -> Iterator[None]:
    """Where `_compare` finds the real one: Hypothesis shuns fixtures of a test's own."""
    _REAL.append(real)
    yield
    _REAL.clear()


_REAL: list[RealKamailio] = []
_PORT = 25099


def _examples() -> Callable[[Any], Any]:
    total = int(os.environ.get("CONFORMANCE_EXAMPLES", "2100"))
    return settings(
        max_examples=max(1, total // _GROUPS),
        derandomize=os.environ.get("CONFORMANCE_RANDOM") != "1",
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@_examples()
@given(texts.messages(_PORT), calls.uri_calls())
def test_uris_are_taken_apart_as_the_real_one_does(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), calls.name_calls())
def test_name_addrs_and_params_are_taken_apart_as_the_real_one_does(
    message: str, made: list[list[Any]]
) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), calls.text_calls())
def test_texts_are_transformed_and_compared_as_the_real_one_does(
    message: str, made: list[list[Any]]
) -> None:
    _compare(message, made)


@pytest.mark.kamailio("6.0", "6.1")
@_examples()
@given(texts.messages(_PORT), calls.newer_calls())
def test_what_6_0_has_added_is_that_of_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(
    texts.messages(_PORT),
    calls.reading_calls(),
)
def test_variables_and_headers_read_as_on_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), calls.checking_calls())
def test_checks_of_a_message_and_their_replies_are_those_of_the_real_one(
    message: str, made: list[list[Any]]
) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), calls.editing_calls())
def test_an_edited_message_is_the_real_one_byte_for_byte(
    message: str, made: list[list[Any]]
) -> None:
    _compare(message, made)


@_examples()
@given(st.just("OPTIONS sip:a@example.test SIP/2.0"), calls.table_calls())
def test_a_hash_table_holds_what_the_real_one_holds(first: str, made: list[list[Any]]) -> None:
    lines = [first, "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa", "From: <sip:a@b>;tag=1"]
    lines += ["To: <sip:c@d>", "Call-ID: c1", "CSeq: 1 OPTIONS", "", ""]
    _compare("\r\n".join(lines), made)


@_examples()
@given(texts.messages(_PORT), list_calls.value_calls())
def test_values_of_a_header_change_as_on_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), list_calls.iterator_calls())
def test_iterators_walk_as_on_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), list_calls.list_calls())
def test_lists_of_values_hold_what_the_real_ones_hold(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(body_calls.bodies(_PORT), body_calls.part_calls())
def test_parts_of_a_body_change_as_on_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), body_calls.contact_calls())
def test_contacts_hide_an_address_as_on_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), socket_calls.socket_calls())
def test_sockets_and_flags_are_those_of_the_real_one(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), dispatcher_calls.dispatcher_calls())
def test_dispatcher_selects_what_the_real_one_selects(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


@_examples()
@given(texts.messages(_PORT), permission_calls.permission_calls())
def test_permissions_trusts_whom_the_real_one_trusts(message: str, made: list[list[Any]]) -> None:
    _compare(message, made)


def _compare(message: str, made: list[list[Any]]) -> None:
    real = _REAL[0]
    message = message.replace(f":{_PORT};", f":{real.phone_port};")
    try:
        ours = stubbed.ask(message, made, real.port, real.phone_port)
    except Unpredictable:
        reject()
    theirs = real.ask(message, made)
    differing = _differing(made, theirs, ours)
    if differing:
        pytest.fail(f"{made}\non {message!r}\n" + "\n".join(differing), pytrace=False)


def _differing(made: list[list[Any]], theirs: Answer, ours: Answer) -> list[str]:
    if theirs.results is None or ours.results is None:
        if theirs.results == ours.results:
            return []
        return [f"reaches the routes: real {theirs.results is not None}, stub the opposite"]
    lines = [
        f"{call}: real {expected!r}, stub {given!r}"
        for call, expected, given in zip(made, theirs.results, ours.results, strict=True)
        if given is not stubbed.UNMODELLED and (expected, type(expected)) != (given, type(given))
    ]
    sent = [[_TAG.sub(r"\1X", reply) for reply in side.replies] for side in (theirs, ours)]
    return lines + ([f"replies: real {sent[0]}, stub {sent[1]}"] if sent[0] != sent[1] else [])
