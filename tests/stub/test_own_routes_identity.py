"""Our own routes on the stub: whose name a request carries."""

from __future__ import annotations

import re

import pytest
from ksr_stub import digest
from ksr_stub.builders import invite, message, register
from ksr_stub.harness import Ksr
from ksr_stub.traffic import Message

from kemi_routes.identity import CLAIMS

from .own_routes import DOMAIN, alice, bob, start

PEER = ("192.0.2.9", 5060)
STRANGER = "sip:stranger@other.test"
URI = f"sip:{DOMAIN}"
BOB = f"sip:2222@{DOMAIN}"


@pytest.fixture
def server(ksr: Ksr) -> Ksr:
    server = start(ksr, TRUSTED_PEERS="192.0.2.0/28 2001:db8::/32")
    server.subscribers.add(f"alice@{DOMAIN}", "first secret")
    return server


def claims(privacy: str = "none") -> dict[str, str]:
    return {name.upper(): "<sip:+4930@bank.example>" for name in CLAIMS} | {"Privacy": privacy}


def made(one: Message) -> set[str]:
    """The claims in a message."""
    return {name for name in CLAIMS if one.all(name)}


def test_claims_of_strangers_and_phones_end_here(server: Ksr) -> None:
    """P-Asserted-Identity, Diversion and the like; the caller's wish for privacy stays."""
    caller, callee = alice(server), bob(server)
    caller.register()
    callee.register()
    server.receive(message(BOB, sender=STRANGER, headers=claims()))
    caller.call("2222", headers=claims())
    got = [one for one in callee.inbox if one.is_request]
    assert [one.method for one in got] == ["MESSAGE", "INVITE"]
    assert [made(one) for one in got] == [set(), set()]
    assert [one["Privacy"] for one in got] == ["none", "none"]


@pytest.mark.parametrize(
    ("privacy", "kept"),
    [("none", set(CLAIMS)), ("user; id", set(CLAIMS) - {"P-Asserted-Identity"})],
)
def test_a_trusted_peer_may_say_who_calls(server: Ksr, privacy: str, kept: set[str]) -> None:
    """But a caller who wants privacy is not named to a phone (RFC 3325 7)."""
    callee = bob(server)
    callee.register()
    server.receive(message(BOB, sender=STRANGER, headers=claims(privacy)), PEER)
    assert made(callee.inbox[-1]) == kept


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_alone_ends_here(server: Ksr, name: str) -> None:
    callee = bob(server)
    callee.register()
    server.receive(message(BOB, sender=STRANGER, headers={name.lower(): "<sip:x@bank.example>"}))
    assert made(callee.inbox[-1]) == set()


def test_claims_end_beside_bytes_that_are_no_text(server: Ksr) -> None:
    """In a reply so long that the routes can't look at it."""
    caller, callee = alice(server), bob(server)
    caller.register()
    callee.register()
    call = caller.call("2222")
    headers = [*claims().items(), ("X-Long", "x" * 33000), ("User-Agent", "\udcff")]
    callee.incoming().refuse(486, headers=headers)
    assert call.status == 486
    assert made(call.final) == set()


def test_claims_in_replies_end_here(server: Ksr) -> None:
    """A phone that answers does not say who it is either."""
    caller, callee = alice(server), bob(server)
    caller.register()
    callee.register()
    call = caller.call("2222")
    callee.incoming().refuse(486, headers=list(claims().items()))
    assert call.status == 486
    assert made(call.final) == set()


def attempt(server: Ksr, user: str, aor: str, domain: str = DOMAIN) -> Message:
    """The final reply to a REGISTER with this digest user and this user in From and To."""
    data = register(aor, domain=domain, call_id="one")
    reply = server.receive(data).reply
    if reply.status != 401:
        return reply
    given = digest.credentials(
        reply["WWW-Authenticate"], "REGISTER", f"sip:{domain}", user, "first secret"
    )
    again = register(aor, domain=domain, call_id="one", headers={"Authorization": given})
    return server.receive(again).reply


@pytest.mark.parametrize(
    "name",
    [
        "1111'OR'1'='1", "1111';DROP/**/TABLE/**/subscriber;--", "111_", "%", "%31111", "1111%00",
        "ALICE", "Alice", "1" * 20000, "1" * 65, f"1111@{DOMAIN}@{DOMAIN}", "1111@other.test",
        "1111é",
    ],
)  # fmt: skip
def test_an_odd_name_is_refused(server: Ksr, name: str) -> None:
    """As the digest user, in From and To, or both: a 4xx, and nothing is bound."""
    for user, aor in ((name, "1111"), (name, name), ("1111", name)):
        assert 400 <= attempt(server, user, aor).status < 500
    for user in ("1111", "alice", "2222"):
        assert server.receive(invite(f"sip:{user}@{DOMAIN}", sender=STRANGER)).reply.status == 480


def test_a_name_with_a_control_character_is_refused(server: Ksr) -> None:
    """400, and the log has one line."""
    asked = server.receive(register("1111", call_id="one")).reply["WWW-Authenticate"]
    given = digest.credentials(asked, "REGISTER", URI, "11\x00\x07", "first secret")
    data = register("1111", call_id="one", headers={"Authorization": given})
    assert server.receive(data).reply.status == 400
    assert any(r"11\x00\x07 from" in line for line in server.log)


def test_the_log_names_whose_password_was_wrong(server: Ksr) -> None:
    """And not the user of credentials for another server that come first."""
    asked = server.receive(register("1111", call_id="one")).reply["WWW-Authenticate"]
    wrong = digest.credentials(asked, "REGISTER", URI, "1111", "guess")
    foreign = wrong.replace(f'realm="{DOMAIN}"', 'realm="other.test"').replace("1111", "9999")
    data = register("1111", call_id="one", headers={"Authorization": [foreign, wrong]})
    assert server.receive(data).reply.status == 401
    (line,) = [line for line in server.log if "not authenticated" in line]
    assert "kemi-routes: 1111 from" in line


@pytest.mark.parametrize("domain", ["other.test", f"{DOMAIN}.other.test", f"x{DOMAIN}"])
def test_a_foreign_domain_is_refused(server: Ksr, domain: str) -> None:
    """403 without a challenge, in From as well as in To alone."""
    assert attempt(server, "1111", "1111", domain).status == 403
    data = register("1111", headers={"To": f"<sip:1111@{domain}>"})
    assert server.receive(data).reply.status == 403


@pytest.mark.parametrize(
    ("user", "aor", "status"), [("1111", "1111", 200), ("1111", "2222", 403), ("2222", "1111", 401)]
)
def test_digest_user_from_and_to_agree(server: Ksr, user: str, aor: str, status: int) -> None:
    """403 for good credentials of somebody else; 2222 has another password: 401."""
    assert attempt(server, user, aor).status == status


def test_a_call_in_the_name_of_somebody_else(server: Ksr) -> None:
    """403 and not another challenge."""
    first = server.receive(invite(BOB, sender=f"sip:2222@{DOMAIN}", call_id="one")).reply
    assert first.status == 407
    given = digest.credentials(first["Proxy-Authenticate"], "INVITE", BOB, "1111", "first secret")
    headers = {"Proxy-Authorization": given}
    data = invite(BOB, sender=f"sip:2222@{DOMAIN}", call_id="one", headers=headers)
    assert server.receive(data).reply.status == 403


@pytest.mark.parametrize(
    "sender", [f"SIP:1111@{DOMAIN}", f"sip:1111@{DOMAIN}.", f"sip:1111@{DOMAIN.upper()}:9"]
)
def test_a_name_of_ours_takes_credentials_however_it_is_written(server: Ksr, sender: str) -> None:
    result = server.receive(invite(BOB, sender=sender))
    assert (result.reply.status, result.requests) == (407, [])


@pytest.mark.parametrize(
    "word", ["192.0.2.1/24", "peer.example.test", "192.0.2.300", "2001:db8::/200"]
)
def test_a_peer_that_is_no_network_stops_the_start(ksr: Ksr, word: str) -> None:
    """The message names the setting and what would be right."""
    with pytest.raises(Exception, match=re.escape(word)) as stopped:
        start(ksr, TRUSTED_PEERS=word)
    assert "TRUSTED_PEERS" in str(stopped.value)
