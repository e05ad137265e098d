"""Connections that bring nothing: those who hold them are no trouble for the phones of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from ksr_stub.builders import options

from .conversation import PATIENCE
from .homes import Homes
from .link import RawSocket
from .message import Message
from .network import SERVER, Namespace
from .patience import eventually
from .process import Process
from .server import DOMAIN, ROOT, Server
from .websocket import WebSocketLink

HOARDER_ADDRESS = "203.0.113.70"
USER = "4400"
HOARDER = r"""
import resource, socket, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
kept = []
for i in range(2500):
    connection = socket.socket()
    connection.settimeout(float(sys.argv[4]))
    kept.append(connection)
    try:
        connection.connect((sys.argv[1], int(sys.argv[2])))
        connection.send(bytes.fromhex(sys.argv[3]) if i % 2 else b"")
    except OSError:
        pass
print("connected", flush=True)
time.sleep(600)
"""
BEGINNINGS = {
    "tcp": b"REGISTER sip:example.test SIP/2.0\r\nVia: ",
    # the header of a TLS record with a ClientHello of 512 bytes, which do not come
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "ws": b"GET / HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\n",
}
PORTS = {"tcp": 5060, "tls": 5061, "ws": 5060}


def hoarding(host: Namespace, transport: str, patience: float = 10) -> Process:
    """2,500 connections from one host: half say nothing, half begin and do not go on."""
    beginning = BEGINNINGS[transport].hex()
    words = (SERVER, str(PORTS[transport]), beginning, str(patience))
    hoarder = Process(host, "/usr/bin/python3", "-c", HOARDER, *words)
    hoarder.wait_for("connected", 60)
    return hoarder


@pytest.fixture(params=["tcp", "tls", "ws"])
def hoarded(homes: Homes, request: pytest.FixtureRequest) -> Iterator[str]:
    """The transport of which somebody holds 2,500 connections."""
    hoarder = hoarding(homes.public_host(HOARDER_ADDRESS), request.param)
    yield request.param
    hoarder.stop()
    eventually(lambda: connections(homes.server) < 100, "end of the connections")


def connections(server: Server) -> int:
    """How many TCP connections it has now."""
    found = re.search(r"opened_connections: (\d+)", server.kamcmd("core.tcp_info"))
    return int(found[1]) if found else -1


def register(homes: Homes, host: Namespace, transport: str) -> None:
    """A phone connects, registers and leaves."""
    phone = homes.server.phone(host, USER, transport, (host.address, 0))
    assert phone.register().status == 200
    assert phone.unregister().status == 200
    phone.close()


def ask(_homes: Homes, host: Namespace, _transport: str) -> None:
    """A browser connects and hears that the server is there."""
    browser = WebSocketLink(host, (host.address, 0), (SERVER, PORTS["ws"]))
    browser.send(options(f"sip:{DOMAIN}"))
    answer = next(Message.parse(data) for data, _ in browser.read(PATIENCE))
    assert answer.status == 200
    browser.close()


USES: dict[str, Callable[[Homes, Namespace, str], None]] = {
    "tcp": register,
    "tls": register,
    "ws": ask,
}


def test_half_open_connections_of_one_host_are_no_trouble_for_others(
    homes: Homes, hoarded: str
) -> None:
    """Not one of a hundred fails."""
    host = homes.public_host("203.0.113.91")
    eventually(lambda: connections(homes.server) > 2000, "2,000 connections")
    for _ in range(100):
        USES[hoarded](homes, host, hoarded)


@pytest.mark.kamailio("6.0", "6.1")
def test_an_address_has_some_two_thousand_connections(homes: Homes, hoarded: str) -> None:
    """Kamailio 5.6 has no limit for an address."""
    homes.server.wait_for_log(f"limit of connections per source IP .*{HOARDER_ADDRESS}")
    assert 2000 <= connections(homes.server) <= 2100


def test_a_firewall_limits_the_connections_of_an_address_for_kamailio_5_6(homes: Homes) -> None:
    """With the rules of docs/hardening.md; others are served."""
    hardening = (ROOT / "docs/hardening.md").read_text()
    [rules] = re.findall(r"```nft\n(.+?)```", hardening, re.DOTALL)
    server, host = homes.server.host, homes.public_host("203.0.113.91")
    server.run("nft", "-f", "-", stdin=rules)
    hoarder = hoarding(homes.public_host(HOARDER_ADDRESS), "tcp", patience=0.1)
    try:
        eventually(lambda: connections(homes.server) >= 1900, "1,900 connections")
        assert connections(homes.server) <= 2048
        register(homes, host, "tcp")
    finally:
        hoarder.stop()
        server.run("nft", "delete", "table", "inet", "sip")
    eventually(lambda: connections(homes.server) < 100, "end of the connections")


def test_a_connection_that_brings_nothing_is_closed_and_a_registered_one_is_not(
    homes: Homes,
) -> None:
    """With two seconds for the former: the setting is 30."""
    server = homes.server
    host = homes.public_host("203.0.113.92")
    server.kamcmd("cfg.set_now_int", "tcp", "connection_lifetime", "2")
    idle = RawSocket(host, (host.address, 0), transport="tcp")
    phone = server.phone(host, "4401", "tcp", (host.address, 0))
    assert phone.register().status == 200
    with pytest.raises(ConnectionError):
        idle.receive(PATIENCE)
    assert phone.request("OPTIONS", f"sip:{SERVER}").wait_for(200)
    phone.close()
    server.kamcmd("cfg.set_now_int", "tcp", "connection_lifetime", "30")
