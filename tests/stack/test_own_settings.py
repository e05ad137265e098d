"""A .env of one's own: behind a cloud's router, with one's own certificate, database, networks."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.conversation import hang_up
from tests.live.homes import public_address
from tests.live.message import parameter
from tests.live.network import CommandFailed, Namespace
from tests.live.patience import eventually
from tests.live.phone import Phone

from .certificate import Authority
from .elsewhere import database_elsewhere
from .outside import INTERNET, Outside, call_and_hang_up, talk
from .stack import Stack
from .test_data import BACK_TO_4_0

PUBLIC = "198.51.100.7"
DOMAIN = "sip.example.test"
OF_ANOTHER = "sip.another.test"  # its users are in another database
SERVER_USER = 5060
INSIDE, INNER_PHONE = "198.19.77.1", "198.19.77.20"
# the router of a cloud: its public address is the server's; in these tests each home knows it
CLOUD = """
table ip cloud {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        ip daddr {public} dnat to {private}
    }}
}}
"""


@contextmanager
def configured(stack: Stack, **values: str) -> Iterator[None]:
    """The stack with these values in .env, and none afterwards."""
    stack.configure(**values)
    try:
        stack.up()
        yield
    finally:
        stack.configure()
        stack.up()


def test_a_server_in_a_cloud_has_the_settings_of_its_env_file(outside: Outside) -> None:
    """ADVERTISE and RTP_PORTS: phones that only know the public address talk to each other."""
    private = outside.stack.sip[0]
    values = {"ADVERTISE": PUBLIC, "RTP_PORTS": "31000-31099", "SIP_DOMAIN": DOMAIN}
    with (
        configured(outside.stack, **values),
        routers_of_a_cloud(outside, private),
        outside.phones(domain=DOMAIN, server=(PUBLIC, 5060)) as (alice, bob),
    ):
        assert public_address(alice)[0] == outside.router("1111").public
        ends, voices = talk(alice, bob)
        for host, port in (voice.remote for voice in voices if voice.remote):
            assert host == PUBLIC
            assert 31000 <= port <= 31099
        hang_up(*ends)
        assert call_and_hang_up(bob, alice) == {PUBLIC}
        [ping, *_] = bob.wait_for_pings()
        assert PUBLIC in ping["Via"]
        assert not parameter(ping["Via"], "received")


@contextmanager
def routers_of_a_cloud(outside: Outside, private: str) -> Iterator[None]:
    """What is sent from the homes to PUBLIC reaches the server's private address."""
    routers = [outside.router(user) for user in ("1111", "2222")]
    try:
        for router in routers:
            rules = CLOUD.format(public=PUBLIC, private=private)
            router.run("nft", "-f", "-", stdin=rules)
        yield
    finally:
        for router in routers:
            router.run("nft", "delete", "table", "ip", "cloud")


def test_a_certificate_of_ones_own_is_shown_and_renewed(outside: Outside, tmp_path: Path) -> None:
    """A client that knows its authority accepts it; a renewed one is taken by `tls.reload`."""
    stack = outside.stack
    tmp_path.chmod(0o755)
    directory = tmp_path / "tls"
    authority = Authority(tmp_path)
    authority.issue(DOMAIN, directory)
    own = {"TLS_CERT": "/tls/fullchain.pem", "TLS_KEY": "/tls/privkey.pem"}
    own |= {"SIP_DOMAIN": DOMAIN, "TLS_DIR": str(directory)}
    stack.configure(**own)
    try:
        with pytest.raises(CommandFailed, match=r"TLS_KEY /tls/privkey\.pem can't be read"):
            stack.compose("run", "--rm", "prepare")
    finally:
        stack.configure()
    os.chown(directory / "privkey.pem", SERVER_USER, SERVER_USER)
    with configured(stack, **own), outside.phones("tls", DOMAIN) as (alice, bob):
        first = serial(alice.host, stack, authority)
        assert call_and_hang_up(alice, bob)
        authority.issue(DOMAIN, directory)
        os.chown(directory / "privkey.pem", SERVER_USER, SERVER_USER)
        stack.exec("kamailio", "kamcmd", "tls.reload")
        eventually(lambda: serial(alice.host, stack, authority) != first, "new certificate")
        assert alice.register().status == 200


def serial(host: Namespace, stack: Stack, authority: Authority) -> str:
    """The serial number of the server's certificate, which has to be good for DOMAIN."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with (
        host.inside(lambda: connected(stack)) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as connection,
    ):
        certificate = connection.getpeercert()
    assert certificate
    return str(certificate["serialNumber"])


def connected(stack: Stack) -> socket.socket:
    """A connection to the server's TLS port."""
    return socket.create_connection((stack.sip[0], 5061), timeout=5)


def test_a_database_elsewhere_needs_no_more_than_an_owner(outside: Outside) -> None:
    """Its tables are made, and brought up to date; the project's own database has nothing to do."""
    stack = outside.stack
    unused = stack.sql("SELECT count(*) FROM subscriber")
    with database_elsewhere() as elsewhere:
        with configured(stack, DBURL=elsewhere.url(), SIP_DOMAIN=OF_ANOTHER):
            assert "made location" in stack.log("migrate")
            with outside.phones(domain=OF_ANOTHER) as (alice, bob):
                assert call_and_hang_up(alice, bob)
            assert elsewhere.sql("SELECT username FROM subscriber").split() == ["1111", "2222"]
            assert stack.sql("SELECT count(*) FROM subscriber") == unused
            assert "all tables are up to date" in stack.compose("run", "--rm", "migrate")
            stack.compose("stop", "kamailio")
            elsewhere.sql(BACK_TO_4_0)
            stack.up()
            assert "brought location to version 9" in stack.log("migrate")
            with outside.phones(domain=OF_ANOTHER) as (alice, bob):
                assert call_and_hang_up(alice, bob)
        for user in ("1111", "2222"):
            outside.passwords.pop(f"{user}@{OF_ANOTHER}")


def test_a_database_of_somebody_else_is_named_as_the_reason(stack: Stack) -> None:
    """Of a user who may connect and owns nothing."""
    with database_elsewhere() as elsewhere:
        stack.configure(DBURL=elsewhere.url("guest"))
        try:
            with pytest.raises(CommandFailed):
                stack.compose("up", "-d")
            assert "permission denied for schema public: make this user" in stack.log("migrate")
            assert elsewhere.password not in stack.log("migrate")
        finally:
            stack.configure()
            stack.up()


def test_phones_of_two_networks_talk_through_the_relay(outside: Outside) -> None:
    """RTP_INTERFACE: each is told the relay's address in its own network."""
    stack = outside.stack
    outside.network.private_network_of_this_machine(INSIDE)
    sockets = (
        f"{kind}:{host}:5060" for host in (f"{INTERNET}.1", INSIDE) for kind in ("udp", "tcp")
    )
    networks = f"public/{INTERNET}.1;private/{INSIDE}"
    own = {"LISTEN": " ".join(sockets), "RTP_INTERFACE": networks, "SIP_DOMAIN": DOMAIN}
    with configured(stack, **own), outside.phones(domain=DOMAIN) as (alice, _):
        inside = outside.network.private_host(INNER_PHONE)
        secret = outside.password(f"3333@{DOMAIN}")
        carol = Phone(inside, "3333", DOMAIN, secret, (INSIDE, 5060), "udp")
        assert carol.register().status == 200
        told = {alice: f"{INTERNET}.1", carol: INSIDE}
        for pair in ((alice, carol), (carol, alice)):
            ends, voices = talk(*pair)
            assert [voice.remote[0] for voice in voices if voice.remote] == [told[p] for p in pair]
            hang_up(*ends)
        carol.close()
