"""`docker compose up` in a fresh clone ends in two phones that talk."""

from __future__ import annotations

import json
import re

import pytest

from tests.live.message import Message

from .outside import Outside, call_and_hang_up
from .stack import LONG_RUNNING, Stack

SECRETS = ("db-password", "pgpass", "server-secret", "tls-cert.pem", "tls-key.pem")


def test_nothing_has_to_be_prepared(stack: Stack) -> None:
    """No .env, no directory, no certificate: all is healthy, and the clone as it was."""
    assert not (stack.directory / ".env").exists()
    assert {stack.state(name)["State"]["Health"]["Status"] for name in LONG_RUNNING} == {"healthy"}
    assert {stack.state(name)["State"]["ExitCode"] for name in ("prepare", "migrate")} == {0}


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_two_phones_behind_nat_call_each_other(outside: Outside, transport: str) -> None:
    """With the voices through rtpengine; the alias is the NAT's address, not the phone's."""
    with outside.phones(transport) as (alice, bob):
        [binding] = outside.stack.bindings(f"{alice.user}@{alice.domain}")
        assert f";alias={outside.router('1111').public}~" in binding
        assert call_and_hang_up(alice, bob) == {outside.stack.sip[0]}
        assert call_and_hang_up(bob, alice) == {outside.stack.sip[0]}


def test_secrets_are_made_up_and_only_the_server_reads_them(stack: Stack) -> None:
    listing = stack.exec("kamailio", "ls", "-l", "/var/lib/kamailio")
    modes = dict(re.findall(r"^(\S+)\s+\d+ kamailio kamailio .* (\S+)$", listing, re.M)[::-1])
    assert set(re.findall(r"\S+$", listing, re.M)) >= set(SECRETS)
    assert set(modes) == {"-rw-------"}
    password = stack.exec("kamailio", "cat", "/var/lib/kamailio/db-password").strip()
    assert len(password) >= 32
    for service in (*LONG_RUNNING, "prepare", "migrate"):
        assert password not in json.dumps(stack.state(service)["Config"])
        assert password not in stack.log(service)


def test_the_containers_can_do_no_more_than_they_need(stack: Stack) -> None:
    for service in ("kamailio", "rtpengine"):
        host = stack.state(service)["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert not host["Privileged"]
        assert stack.exec(service, "id", "-u").strip() != "0"
        assert re.search(r"^CapEff:\s*0+$", stack.exec(service, "cat", "/proc/self/status"), re.M)


def test_every_entry_of_the_log_is_one_line(outside: Outside) -> None:
    """Also what a stranger sends with line breaks in it, which Kamailio quotes in its log."""
    phone = outside.phone("1111")
    try:
        phone.send_raw(b"OPTIONS sip:x SIP/2.0\r\nVia: nonsense\r\n 0(1) ERROR: forged\r\n\r\n")
        assert phone.request("OPTIONS", f"sip:{phone.domain}").final().status == 200
    finally:
        phone.close()
    lines = outside.stack.log("kamailio").splitlines()
    entries = [entry_of(line) for line in lines if line.startswith("{")]
    assert any("nonsense" in entry["message"] for entry in entries)
    others = [line for line in lines if not line.startswith("{")]
    assert all(re.match("Kamailio is ready|kemi-routes: ", line) for line in others), others


def entry_of(line: str) -> dict[str, str]:
    """An entry of the log; AssertionError with a line that is none."""
    try:
        entry: dict[str, str] = json.loads(line)
    except json.JSONDecodeError as error:
        raise AssertionError(f"{error} in {line!r}") from None
    return entry


def test_no_default_password_opens_the_database(stack: Stack) -> None:
    """Who is on the machine and has no password stays out, over TCP."""
    for guess in ("kamailio", "postgres", "kamailiorw", ""):
        url = f"postgresql://kamailio:{guess}@127.0.0.1:15432/kamailio"
        shown = stack.exec("db", "sh", "-c", f"psql -wc 'SELECT 1' '{url}' 2>&1 || true")
        assert re.search("authentication failed|no password", shown), shown


def test_both_ends_of_tls_agree_on_the_made_up_certificate(outside: Outside) -> None:
    final: Message
    with outside.phones("tls") as (alice, _):
        final = alice.request("OPTIONS", f"sip:{alice.domain}").final()
    assert final.status == 200
