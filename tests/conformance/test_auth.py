"""Random credentials, right and wrong: module auth says of them what the installed one says."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from ksr_stub import nonces
from ksr_stub.errors import Unpredictable
from ksr_stub.world import World

from . import auth_calls, stubbed
from .auth_calls import Credentials
from .real import RealKamailio

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

_NONCE = re.compile(r'nonce="[^"]*"')
_TAG = re.compile(r"(To:[^\r\n]*;tag=)[0-9a-f.\-]+")
_PARAMS = {
    "md5": {"secret": auth_calls.SECRET, "nonce_expire": 3600},
    "sha-256": {"secret": auth_calls.SECRET, "nonce_expire": 3600, "algorithm": "SHA-256"},
    "user@domain": {"secret": auth_calls.SECRET, "nonce_expire": 3600, "use_domain": 1},
}
_FIRST = (
    "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa\r\n"
    "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
)
_SERVERS: dict[str, RealKamailio] = {}


@pytest.fixture(scope="module", autouse=True)
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    directory: Path = tmp_path_factory.mktemp("kamailio")
    for name, params in _PARAMS.items():
        (directory / name).mkdir()
        lines = ['loadmodule "auth.so"']
        for key, value in params.items():
            shown = value if isinstance(value, int) else f'"{value}"'
            lines.append(f'modparam("auth", "{key}", {shown})')
        _SERVERS[name] = RealKamailio(directory / name, "\n".join([*lines, ""]))
        # a nonce from before the start is stale
        _SERVERS[name].ask(_FIRST, [])
    yield
    for server in _SERVERS.values():
        server.close()
    _SERVERS.clear()


@pytest.mark.parametrize("name", _PARAMS)
@settings(
    max_examples=max(1, int(os.environ.get("CONFORMANCE_EXAMPLES", "2100")) // 15),
    derandomize=os.environ.get("CONFORMANCE_RANDOM") != "1",
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(given_=auth_calls.credentials(), made=auth_calls.auth_calls())
def test_credentials_are_checked_as_on_the_real_one(
    name: str, given_: Credentials, made: list[list[Any]]
) -> None:
    """Return codes, variables, challenges and what is left of the header field."""
    real = _SERVERS[name]
    message = given_.message(_nonces(name), real.phone_port)
    try:
        ours = stubbed.ask(
            message, made, real.port, real.phone_port, lambda own: _prepare(own, name)
        )
    except Unpredictable:
        reject()
    theirs = real.ask(message, made)
    shown = f"{made}\non {message!r}"
    assert _answers(made, ours.results) == _answers(made, theirs.results), shown
    assert [_masked(one) for one in ours.replies] == [_masked(one) for one in theirs.replies], shown


def _prepare(own: World, name: str) -> None:
    own.params.update({("auth", key): value for key, value in _PARAMS[name].items()})
    own.clock.now = time.time()
    # the server began before the nonces were made
    own.part(nonces.Nonces).started = int(own.clock.now) - 3600


def _nonces(name: str) -> dict[str, str]:
    """Nonces that the server takes for its own: it has the same secret."""
    own = World()
    _prepare(own, name)
    fresh = nonces.make(own, None)
    own.clock.now -= 100_000
    old = nonces.make(own, None)
    return {"now": fresh, "old": old, "broken": fresh[:-3] + "AAA", "none": ""}


def _answers(made: list[list[Any]], results: list[Any] | None) -> list[Any]:
    shown = [_masked(one) if isinstance(one, str) else one for one in results or []]
    return list(zip(made, shown, strict=True)) if results is not None else []


def _masked(text: str) -> str:
    return _TAG.sub(r"\1X", _NONCE.sub('nonce="N"', text))
