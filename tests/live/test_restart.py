"""Kamailio ends and starts again, as intended or not: the phones do not notice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .network import Namespace, Network
from .patience import RETURNS, eventually
from .phone import Phone
from .postgres import PostgresServer
from .requirement import require
from .server import LAUNCHER
from .town import Town, contacts, rings, source_seen

# what is new with every start
VOLATILE = (
    *("Expires", "State", "Flags", "Keepalive", "Last-Keepalive", "KA-Roundtrip", "Tcpconn-Id"),
    "Last-Modified",
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def town(request: pytest.FixtureRequest) -> Iterator[Town]:
    require("root", "ip", "nft", "kamailio", LAUNCHER)
    with Network() as network:
        host = network.server_host()
        settings = {"PING_INTERVAL": "1", "PING_TIMEOUT": "60"}
        if request.param == "sqlite":
            yield Town(network, host, settings)
            return
        with postgres_on(host) as dburl:
            town = Town(network, host, {**settings, "DBURL": dburl})
            yield town
            town.server.close()


@contextmanager
def postgres_on(host: Namespace) -> Iterator[str]:
    """PostgreSQL on the loopback of a host; its DBURL."""
    require("postgresql")
    postgres = PostgresServer()
    host.inside(postgres.__enter__)
    try:
        yield postgres.url
    finally:
        host.inside(lambda: postgres.__exit__(None, None, None))


def registered(phone: Phone) -> Phone:
    assert phone.register().status == 200
    return phone


def stored(town: Town, phone: Phone) -> list[str]:
    """All that the server knows of a user's bindings and that a restart must not change."""
    shown = town.server.kamcmd("ul.lookup", "location", f"{phone.user}@{phone.domain}")
    lines = [line.strip() for line in shown.splitlines()]
    return [line for line in lines if line.partition(":")[0] not in VOLATILE]


def wait_until_written(town: Town, phone: Phone) -> None:
    """Wait until the database has all bindings of a user as they are."""

    def written() -> bool:
        shown = town.server.kamcmd("ul.lookup", "location", f"{phone.user}@{phone.domain}")
        states = re.findall(r"State: (\w+)", shown)
        return bool(states) and set(states) == {"CS_SYNC"}

    eventually(written, f"write-back of {phone}")


def kill(town: Town, description: str) -> None:
    """SIGKILL one process of Kamailio and wait until the launcher has started another one."""
    since = town.server.mark()
    if description == "main":
        os.kill(int((town.server.run_dir / "kamailio.pid").read_text()), signal.SIGKILL)
    else:
        town.server.kill_worker(description)
    town.server.wait_for_log("Kamailio is ready again", timeout=RETURNS, since=since)


def test_a_restart_keeps_all_that_is_known_of_a_binding(town: Town) -> None:
    at_home, in_public = town.phone_at_home(), town.public_phone()
    beyond_edge = town.public_phone()
    with_instance = town.phone_at_home()
    with_instance.contact += f';+sip.instance="<urn:uuid:{with_instance.user}>";reg-id=1;q=0.5'
    for phone in (at_home, in_public, with_instance):
        registered(phone)
    path = {"Path": f"<sip:{beyond_edge.local[0]};lr>", "Supported": "path"}
    assert beyond_edge.register(headers=path).status == 200
    phones = (at_home, in_public, with_instance, beyond_edge)
    before = [stored(town, phone) for phone in phones]
    assert "Path: <sip:" in "".join(before[3])
    assert "Instance: <urn" in "".join(before[2])
    town.server.restart()
    assert [stored(town, phone) for phone in phones] == before
    rings(town.caller(), [beyond_edge], beyond_edge.user)
    for phone in phones:
        phone.unregister()


def test_a_phone_behind_nat_is_called_through_its_old_hole_after_a_restart(town: Town) -> None:
    phone = registered(town.phone_at_home())
    town.server.restart()
    rings(town.caller(), [phone], phone.user)
    phone.wait_for_pings(len(phone.pings) + 2)


def test_a_phone_whose_nat_forgot_it_meanwhile_replaces_its_old_binding(town: Town) -> None:
    nat = town.nat()
    phone = registered(town.phone_at_home(nat=nat))
    before = town.server.bindings(phone.user)
    town.server.restart()
    nat.rebind()
    done = phone.register()
    after = town.server.bindings(phone.user)
    assert contacts(done) == after
    assert str(source_seen(done)[1]) in after[0]
    assert after != before
    town.server.restart()
    assert town.server.bindings(phone.user) == after
    rings(town.caller(), [phone], phone.user)


def test_a_phone_that_unregistered_does_not_come_back_with_a_restart(town: Town) -> None:
    phone, other = registered(town.phone_at_home()), registered(town.phone_at_home())
    wait_until_written(town, phone)
    phone.unregister()
    town.server.restart()
    assert town.server.bindings(phone.user) == []
    assert len(town.server.bindings(other.user)) == 1


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_phone_whose_connection_ended_with_the_server_is_offline_until_it_reconnects(
    town: Town, transport: str
) -> None:
    phone = registered(town.phone_at_home(transport=transport))
    town.server.restart()
    town.caller().invite(phone.user).wait_for(480)
    desk = registered(town.phone_at_home(phone.user))
    rings(town.caller(), [desk], phone.user)
    phone.reconnect()
    registered(phone)
    assert len(town.server.bindings(phone.user)) == 2
    rings(town.caller(), [desk, phone], phone.user)


@pytest.mark.parametrize("process", ["main", "udp receiver", "tcp main"])
def test_a_killed_kamailio_is_started_again_with_the_bindings_that_were_written(
    town: Town, process: str
) -> None:
    phone = registered(town.phone_at_home())
    wait_until_written(town, phone)
    before = stored(town, phone)
    old = town.server.workers()
    kill(town, process)
    assert not set(town.server.workers()) & set(old)
    assert [pid for pid in old if Path(f"/proc/{pid}").exists()] == [], "left over"
    assert stored(town, phone) == before
    rings(town.caller(), [phone], phone.user)
    assert town.server.process.running
