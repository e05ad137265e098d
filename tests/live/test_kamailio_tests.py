"""Two units of github.com/kamailio/kamailio-tests, which sipsak plays there, on our server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .network import Namespace
from .phone import Phone
from .requirement import require
from .server import LAUNCHER, Server

TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server on loopback that knows bob."""
    require("kamailio", LAUNCHER)
    with Namespace() as host:
        server = Server(host)
        server.add_subscriber(f"bob@{server.domain}", "unused password")
        yield server


@pytest.fixture
def alice(server: Server) -> Iterator[Phone]:
    """A phone that is not registered."""
    phone = server.phone(server.host, "alice", local=("127.0.0.1", 0))
    yield phone
    phone.close()


def test_tulocx0001_a_user_registers_reaches_himself_and_leaves(
    server: Server, alice: Phone
) -> None:
    assert alice.register().status == 200
    sent = alice.request("MESSAGE", alice.aor, "to myself", TEXT)
    incoming = alice.expect_request("MESSAGE")
    assert incoming.message.body == "to myself"
    incoming.reply(200)
    sent.wait_for(200)
    assert alice.unregister().status == 200
    assert server.bindings("alice") == []


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE"])
def test_tauthx0001_a_caller_is_challenged_and_authenticated(alice: Phone, method: str) -> None:
    """480: bob is known and has no phone; without the password it is 407 again."""
    asked = alice.request(method, f"sip:bob@{alice.domain}")
    asked.wait_for(480)
    assert [challenge.status for challenge in asked.challenges] == [407]
    alice.password = "wrong"
    alice.request(method, f"sip:bob@{alice.domain}").wait_for(407)
