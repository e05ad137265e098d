"""Every command of the README and of docs/docker.md, word for word, and what it shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.network import CommandFailed

from .documentation import command, commands, readme_commands
from .outside import Outside, call_and_hang_up
from .stack import LONG_RUNNING, Stack, git

EXAMPLE = "192.0.2.10"  # the domain in the documentation
PASSWORD = r"^\S{12,}\s*$"
# What each command of the README shows, where ADDRESS is the domain.
SHOWS = {
    "docker compose up -d": "",
    "docker compose logs kamailio | grep ready": r"Kamailio is ready on .* for ADDRESS\s",
    "docker compose exec kamailio kemi-routes subscriber add 1111@ADDRESS --generate": PASSWORD,
    "docker compose exec kamailio kemi-routes subscriber add 2222@ADDRESS --generate": PASSWORD,
    "docker compose run --rm prepare": "the settings are in order",
    "docker compose exec kamailio kamcmd ul.lookup location 1111@ADDRESS": r"Address: .*;alias=",
    "docker compose exec kamailio kamctl ul show": r'"AoR":\s*"1111@ADDRESS"',
    "docker compose exec kamailio python3 /etc/kamailio/try_import.py": "",
    "docker compose exec kamailio kamcmd app_python.reload": "",
    "git pull": r"guard\.py",
    "docker compose up -d --build": "",
    "docker compose down": "",
}
# And of docs/docker.md, what is neither in the README nor needs a situation of its own.
PAGE_SHOWS = {
    "docker compose logs --no-log-prefix kamailio": r'^\{.*"message":.*\}\s*$',
    "docker compose exec kamailio dpkg-query -W": r"^kamailio\s+6\.0\.",
    "docker compose exec kamailio kamcmd tls.reload": "Ok. TLS configuration reloaded",
}
ELSEWHERE = {
    "docker compose up",  # with a wrong .env, below
    "docker compose logs prepare",
    "docker compose build --pull",  # test_images
    "docker compose build --build-arg LOCKED=1",
    command("pg_dump"),  # test_data
    command("psql"),
    "docker compose restart kamailio",
}


def test_each_command_is_known_here() -> None:
    """One that is new in the documentation has to be run here as well."""
    known = {line.replace("ADDRESS", EXAMPLE) for line in (*SHOWS, *PAGE_SHOWS)} | ELSEWHERE
    assert set(commands()) == known


def test_two_phones_talk_after_all_commands_of_the_readme(outside: Outside) -> None:
    """They register after the first four; whatever the others do, they need not do so again."""
    stack = outside.stack
    domain = stack.sip[0]
    for user in ("1111", "2222"):
        outside.remove(f"{user}@{domain}")
    lines = readme_commands()
    first = 1 + max(number for number, line in enumerate(lines) if " add " in line)
    for line in lines[:first]:
        shown = run(stack, line, domain)
        if " add " in line:
            outside.passwords[line.split()[-2].replace(EXAMPLE, domain)] = shown.strip()
    shutil.copy(stack.directory / ".env.example", stack.directory / ".env")
    with outside.phones() as (alice, bob), newer_version(stack):
        for line in lines[first:]:
            run(stack, line, domain)
        answer = alice.request("OPTIONS", f"sip:{domain}").final()
        assert answer.start_line == "SIP/2.0 200 Newer Routes"
        assert call_and_hang_up(alice, bob)


def run(stack: Stack, line: str, domain: str) -> str:
    """Run a command; what it shows is as expected, and all containers are healthy afterwards."""
    line = line.replace(EXAMPLE, domain)
    expected = (SHOWS | PAGE_SHOWS)[line.replace(domain, "ADDRESS")]
    shown = stack.shell(line)
    assert re.search(expected.replace("ADDRESS", re.escape(domain)), shown, re.M), shown
    if " up " in line:
        for service in LONG_RUNNING:
            stack.wait_until_healthy(service)
    return shown


def test_a_wrong_setting_ends_the_start_and_is_named_in_the_log(stack: Stack) -> None:
    stack.down()
    stack.configure(PING_INTERVAL="often")
    try:
        with pytest.raises(CommandFailed) as ended:
            stack.shell("docker compose up")
        said = '"prepare" didn\'t complete successfully|exited with code 2'
        assert re.search(said, str(ended.value))
        assert "PING_INTERVAL takes a whole number" in stack.shell("docker compose logs prepare")
    finally:
        stack.configure()
        stack.up()


@pytest.mark.parametrize("line", PAGE_SHOWS)
def test_a_command_of_docker_md_shows_what_it_says(stack: Stack, line: str) -> None:
    run(stack, line, stack.sip[0])


@contextmanager
def newer_version(stack: Stack) -> Iterator[None]:
    """A commit to be pulled; afterwards the clone and its stack are as before."""
    guard = stack.origin / "kemi_routes/guard.py"
    shipped = guard.read_text()
    guard.write_text(shipped.replace('"Keepalive"', '"Newer Routes"'))
    stack.commit("another answer to OPTIONS")
    try:
        yield
    finally:
        guard.write_text(shipped)
        stack.commit("the former one")
        stack.configure()
        git(stack.directory, "pull", "-q")
        stack.build()
        stack.up()
