"""What an operator does with the running stack, as the README shows it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.live.conversation import hang_up
from tests.live.network import CommandFailed
from tests.live.patience import eventually

from .documentation import block
from .outside import PACKETS, Outside, call_and_hang_up, talk
from .stack import LONG_RUNNING, Stack

SERVICE_OF = {"kamailio": "kamailio -DD", "rtpengine": "rtpengine --foreground"}


def test_subscribers_are_added_listed_changed_and_removed(stack: Stack) -> None:
    aor = "3333@example.test"
    subscriber = ("kemi-routes", "subscriber")
    stack.exec("kamailio", *subscriber, "add", aor, "--password-stdin", stdin="first secret\n")
    assert aor in stack.exec("kamailio", *subscriber, "list").split()
    stack.exec("kamailio", *subscriber, "passwd", aor, "--password-stdin", stdin="second secret\n")
    stack.exec("kamailio", *subscriber, "rm", aor)
    assert aor not in stack.exec("kamailio", *subscriber, "list").split()


def test_kamcmd_and_kamctl_show_a_registration(outside: Outside) -> None:
    with outside.phones() as (alice, _):
        aor = f"{alice.user}@{alice.domain}"
        assert len(outside.stack.bindings(aor)) == 1
        shown = json.loads(outside.stack.exec("kamailio", "kamctl", "ul", "show", aor))
        assert shown["result"]["AoR"] == aor
        assert aor in outside.stack.exec("kamailio", "kamctl", "ul", "show")


def test_changed_routes_are_reloaded_from_a_mounted_directory(outside: Outside) -> None:
    """A reload of routes that don't load is refused before Kamailio hears of it."""
    stack = outside.stack
    override = stack.directory / "docker-compose.override.yml"
    override.write_text(block("volumes:"))
    stack.up()
    guard = stack.directory / "kemi_routes/guard.py"
    shipped = guard.read_text()
    phone = outside.phone("1111")

    def reason() -> str:
        return phone.request("OPTIONS", f"sip:{phone.domain}").final().start_line.split(None, 2)[2]

    try:
        guard.write_text("this is no Python\n")
        with pytest.raises(CommandFailed, match="SyntaxError"):
            reload(stack)
        assert reason() == "Keepalive"
        guard.write_text(shipped.replace('"Keepalive"', '"Changed Routes"'))
        reload(stack)
        eventually(lambda: reason() == "Changed Routes", "answer of the changed routes")
    finally:
        guard.write_text(shipped)
        phone.close()
        override.unlink()
        stack.up()


def reload(stack: Stack) -> None:
    """Test the import of the routes, then reload them."""
    stack.exec("kamailio", "python3", "/etc/kamailio/try_import.py")
    stack.exec("kamailio", "kamcmd", "app_python.reload")


def test_another_setting_of_kamailio_starts_nothing_else_again(outside: Outside) -> None:
    """A call keeps its voice; a phone that was bound or removed just before is so afterwards."""
    stack = outside.stack
    with outside.phones() as (alice, bob):
        before = {name: stack.state(name)["State"]["StartedAt"] for name in LONG_RUNNING}
        ends, voices = talk(alice, bob)
        stack.configure(MAX_CONTACTS="9")
        try:
            stack.up()
            after = {name: stack.state(name)["State"]["StartedAt"] for name in LONG_RUNNING}
            assert {name for name in before if before[name] != after[name]} == {"kamailio"}
            heard = voices[0].received
            voices[0].exchange(*voices, packets=2 * PACKETS)
            assert voices[0].received > heard
            hang_up(*ends)
            assert call_and_hang_up(bob, alice)
        finally:
            stack.configure()
    stack.up()
    assert stack.bindings(f"{alice.user}@{alice.domain}") == []


@pytest.mark.parametrize(
    ("service", "check"),
    [("kamailio", ("kemi-routes", "ping")), ("rtpengine", ("healthcheck",))],
)
def test_a_process_that_lives_and_does_not_answer_is_not_healthy(
    stack: Stack, service: str, check: tuple[str, ...]
) -> None:
    """The health check speaks its protocol: SIP, or rtpengine's ng."""
    stack.exec(service, *check)
    pids = [pid for pid, args in stack.processes(service) if args.startswith(SERVICE_OF[service])]
    assert pids
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(CommandFailed):
            stack.exec(service, *check)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    stack.exec(service, *check)


def test_kamailio_checks_its_configuration_before_it_starts(outside: Outside) -> None:
    """`kamailio -c` names the line, and no process of Kamailio has been there."""
    stack = outside.stack
    wrong = stack.directory / "wrong.cfg"
    wrong.write_text('#!define LOG_LEVEL 2\nloadmodule "nonsense.so"\n')
    stack.compose("stop", "kamailio")
    try:
        volume = f"{wrong}:/etc/kamailio/kamailio-local.cfg:ro"
        with pytest.raises(CommandFailed) as refused:
            stack.compose("run", "--rm", "--no-deps", "-v", volume, "kamailio")
        said = str(refused.value)
        assert "kamailio-local.cfg, line 2, column 12-24: failed to load module" in said
        assert "Kamailio did not start, its log above says why" in said
        assert "listening on" not in said.lower()
    finally:
        wrong.unlink()
        stack.up()
    with outside.phones():
        pass


def test_a_wrong_env_file_stops_the_start_and_names_every_fault(outside: Outside) -> None:
    """Asked for, the check says it beside the server that is running, which goes on."""
    stack = outside.stack
    stack.configure(PING_INTERVAL="often", RTP_PORTS="many", DBURL="mysql://x/y", ADVERTISE="1.2.3")
    try:
        with pytest.raises(CommandFailed) as refused:
            stack.compose("run", "--rm", "prepare")
        for fault in (
            "PING_INTERVAL takes",
            "RTP_PORTS takes",
            "DBURL begins",
            "ADVERTISE '1.2.3'",
        ):
            assert fault in str(refused.value)
        stack.exec("kamailio", "kemi-routes", "ping", "udp:{}:{}".format(*stack.sip))
        with pytest.raises(CommandFailed):
            stack.compose("up", "-d")
        assert "PING_INTERVAL takes a whole number" in stack.log("prepare")
    finally:
        stack.configure()
        stack.up()
    with outside.phones():
        pass
