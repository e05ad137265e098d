"""What operators do with a running server: look, reload, add subscribers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .installation import InstalledServer
from .network import CommandFailed, Namespace
from .patience import eventually
from .phone import Phone
from .requirement import require
from .server import DOMAIN, LAUNCHER, ROOT, Server

ANY_PORT = ("127.0.0.1", 0)
SOON = 2.0
KEEPALIVE = '"Keepalive"'


@pytest.fixture(scope="module")
def shared(host: Namespace) -> Server:
    """A server whose routes no test changes."""
    return Server(host, settings={"MAX_GUESSES": "1000"})  # a test waits for a password


# Looking


def test_kamcmd_shows_a_registration(shared: Server, host: Namespace) -> None:
    phone = shared.phone(host, "1111", local=ANY_PORT)
    phone.register()
    shown = shared.kamcmd("ul.lookup", "location", f"1111@{DOMAIN}")
    assert f"AoR: 1111@{DOMAIN}" in shown
    assert f"Address: sip:1111@127.0.0.1:{phone.local[1]}" in shown
    phone.unregister()
    shown = shared.kamcmd("ul.lookup", "location", f"1111@{DOMAIN}")
    assert "AOR not found" in shown


@pytest.mark.needs("kamctl")
@pytest.mark.parametrize("user", ["1111", f"1111@{DOMAIN}"])
def test_kamctl_shows_and_removes_a_registration(
    shared: Server, host: Namespace, tmp_path: Path, user: str
) -> None:
    phone = shared.phone(host, "1111", local=ANY_PORT)
    phone.register()
    found = json.loads(kamctl(shared, tmp_path, "ul", "show", user))["result"]
    assert found["AoR"] == f"1111@{DOMAIN}"
    address = f"sip:1111@127.0.0.1:{phone.local[1]}"
    assert [contact["Contact"]["Address"] for contact in found["Contacts"]] == [address]
    assert f"1111@{DOMAIN}" in kamctl(shared, tmp_path, "online")
    kamctl(shared, tmp_path, "ul", "rm", f"1111@{DOMAIN}")
    assert shared.bindings("1111") == []
    assert "AOR not found" in kamctl(shared, tmp_path, "ul", "show", user)


def kamctl(server: Server, home: Path, *words: str) -> str:
    """What kamctl prints. It finds the server by the file .kamctlrc of the home directory."""
    fifo = server.run_dir / "kamailio_rpc.fifo"
    (home / ".kamctlrc").write_text(f"SIP_DOMAIN={server.domain}\nRPCFIFOPATH={fifo}\n")
    return server.host.run("kamctl", *words, env={"HOME": str(home), "TERM": "dumb"})


# Subscribers


def test_changes_of_subscribers_take_effect_within_two_seconds(
    shared: Server, host: Namespace
) -> None:
    def register(password: str) -> int:
        phone = Phone(host, "7777", DOMAIN, password, shared.address(), local=ANY_PORT)
        status = phone.register().status
        if status == 200:
            phone.unregister()
        phone.close()
        return status

    assert register("first secret") == 401
    subscriber(shared, "add", password="first secret")
    eventually(lambda: register("first secret") == 200, "registration", SOON)
    assert f"7777@{DOMAIN}" in subscriber(shared, "list").split()
    assert presence(shared, host) == 480
    subscriber(shared, "passwd", password="second secret")
    eventually(lambda: register("first secret") == 401, "refusal", SOON)
    assert register("second secret") == 200
    subscriber(shared, "rm")
    eventually(lambda: register("second secret") == 401, "refusal", SOON)
    assert presence(shared, host) == 404
    assert f"7777@{DOMAIN}" not in subscriber(shared, "list").split()


def subscriber(server: Server, action: str, password: str | None = None) -> str:
    """Run `kemi-routes subscriber ...` for 7777 on the server's database."""
    words = [] if action == "list" else [f"7777@{DOMAIN}"]
    words += [] if password is None else ["--password-stdin"]
    command = (LAUNCHER, "subscriber", action, *words)
    return server.host.run(*command, stdin=f"{password}\n", env=server.settings)


def presence(server: Server, host: Namespace) -> int:
    """The answer to somebody elsewhere who calls 7777: 404 unknown, 480 offline."""
    caller = Phone(host, "caller", "elsewhere.example", None, server.address(), local=ANY_PORT)
    return caller.request("MESSAGE", f"sip:7777@{DOMAIN}").final().status


# Reloading


class Checkout:
    """A copy of the routes, the server that runs them, and what is done to both."""

    def __init__(self, host: Namespace, directory: Path) -> None:
        self.directory = directory
        for name in ("kamailio", "kemi_routes"):
            ignored = shutil.ignore_patterns("__pycache__", "kamailio-local.cfg")
            shutil.copytree(ROOT / name, directory / name, ignore=ignored)
        shutil.copy(ROOT / "Makefile", directory)
        tree = directory / "kamailio"
        settings = {"KEMI_SCRIPT": str(tree / "kemi.py"), "CHILDREN": "3"}
        environ = {"PYTHONPATH": str(directory)}
        self.server = InstalledServer(host, tree, settings, environ)
        self.processes = self.server.workers().keys()

    def change(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the routes."""
        path = self.directory / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def reload(self) -> None:
        """Tell the running server that there is new code, without a look at it before."""
        assert "error" not in self.server.kamcmd("app_python.reload")

    def make_reload(self) -> str:
        """`make reload`. Raises CommandFailed."""
        run_dir = f"RUN_DIR={self.server.run_dir}"
        return self.server.host.run("make", "-C", str(self.directory), "reload", run_dir)

    def answers(self) -> set[str]:
        """Reasons of the answers to 24 keepalives: every worker gets its share, several times."""
        reasons = set()
        for _ in range(8):
            phone = Phone(
                self.server.host, "x", "x.test", None, self.server.address(), local=ANY_PORT
            )
            for _ in range(3):
                uri = f"sip:127.0.0.1:{phone.server[1]}"
                reasons.add(phone.request("OPTIONS", uri).final().start_line.split(" ", 2)[2])
            phone.close()
        return reasons

    def serves(self, version: str) -> None:
        """Wait until all workers answer so. While one of them reloads, another that gets a message
        answers as before and reloads with its next one (app_python3)."""
        eventually(lambda: self.answers() == {version}, f"{version} of all workers")
        assert self.answers() == {version}

    def is_untouched(self) -> bool:
        """Whether the processes of the server's start are all there."""
        return self.processes <= self.server.workers().keys()


@pytest.fixture
def checkout(loopback: Namespace, tmp_path: Path) -> Checkout:
    require("kamailio")
    return Checkout(loopback, tmp_path / "checkout")


def test_a_reload_brings_changed_submodules_into_every_worker(checkout: Checkout) -> None:
    assert checkout.answers() == {"Keepalive"}
    checkout.change("kemi_routes/guard.py", KEEPALIVE, '"Second Version"')
    assert checkout.answers() == {"Keepalive"}, "not before the reload"
    checkout.reload()
    checkout.serves("Second Version")
    checkout.change("kemi_routes/guard.py", "Second", "Third")
    assert "the routes load" in checkout.make_reload()
    checkout.serves("Third Version")
    assert checkout.is_untouched()
    phone = checkout.server.phone(checkout.server.host, "1111", local=ANY_PORT)
    assert phone.register().status == 200


BROKEN = {
    "syntax": ("kemi_routes/guard.py", "def screen() -> Outcome:", "def screen( -> Outcome:"),
    "name": ("kemi_routes/guard.py", "SANITY_URIS = 7", "SANITY_URIS = seven"),
    "import": ("kemi_routes/nat.py", "import KSR", "import KSR, kemi_routes.magic"),
    "callback": ("kemi_routes/engine.py", "def ksr_xhttp_event", "def ksr_http_event"),
    "settings": ("kemi_routes/settings.py", "number(1, 3600)", "number(40, 3600)"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_reload_of_broken_code_leaves_the_old_routes_running(
    checkout: Checkout, fault: str
) -> None:
    file, right, wrong = BROKEN[fault]
    checkout.change("kemi_routes/guard.py", KEEPALIVE, '"Second Version"')
    checkout.change(file, right, wrong)
    for _ in range(2):
        mark = checkout.server.mark()
        checkout.reload()
        assert checkout.answers() == {"Keepalive"}
        checkout.server.wait_for_log("the new routes don't load, the old ones stay", since=mark)
    phone = checkout.server.phone(checkout.server.host, "1111", local=ANY_PORT)
    assert phone.register().status == 200
    checkout.change(file, wrong, right)
    checkout.reload()
    checkout.serves("Second Version")
    assert checkout.is_untouched()


@pytest.mark.parametrize("fault", [*BROKEN, "loader"])
def test_make_reload_refuses_broken_code_and_leaves_the_server_alone(
    checkout: Checkout, fault: str
) -> None:
    broken = {**BROKEN, "loader": ("kamailio/kemi.py", "def mod_init()", "def mod_init(")}
    file, right, wrong = broken[fault]
    checkout.change("kemi_routes/guard.py", KEEPALIVE, '"Second Version"')
    checkout.change(file, right, wrong)
    mark = checkout.server.mark()
    with pytest.raises(CommandFailed):
        checkout.make_reload()
    assert checkout.answers() == {"Keepalive"}
    said = "\n".join(checkout.server.process.lines[mark:])
    assert "load" not in said, "the server was not even asked"
    assert checkout.is_untouched()
