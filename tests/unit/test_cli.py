"""The program kemi-routes: what it prints, where, and with which exit status."""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi_routes import cli
from kemi_routes.subscribers.schema import initialise
from kemi_routes.subscribers.store import open_store

PROGRAM = [sys.executable, "-m", "kemi_routes.cli"]


@pytest.fixture
def dburl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An initialised database, named by the environment."""
    dburl = f"sqlite://{tmp_path}/kamailio.sqlite"
    initialise(dburl)
    monkeypatch.setenv("DBURL", dburl)
    return dburl


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a database, and no DBURL."""
    monkeypatch.delenv("DBURL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Make these bytes the standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def ha1(dburl: str) -> dict[str, str]:
    """The hash of every subscriber by AoR."""
    from tests.subscriber_behaviour import stored

    return {aor: values[1] for aor, values in stored(dburl).items()}


# md5sum of "1111:example.test:a b:c "
HA1 = "93a2e2c175f77dae6f470e6bf59c5088"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nthe second line\n"])
def test_the_password_is_the_first_line_of_standard_input(
    dburl: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: bytes,
) -> None:
    """Blanks and colons belong to it, the line end does not."""
    give(monkeypatch, b"a b:c " + end)
    assert cli.main(["subscriber", "add", "1111@Example.test", "--password-stdin"]) == 0
    assert capsys.readouterr() == ("added 1111@example.test\n", "")
    assert ha1(dburl) == {"1111@example.test": HA1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "there is no password on standard input"),
        (b"\n", "the password is empty"),
        (b"s3cr3t\xff\n", "is not UTF-8"),
        (b"s3cr3t\0\n", "a line break or a NUL"),
        (b"s3cr3t" * 50, "300 characters: at most 256"),
    ],
)
def test_a_bad_password_on_standard_input_is_refused_without_being_shown(
    dburl: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data: bytes,
    reason: str,
) -> None:
    """In one line, and nobody is added."""
    give(monkeypatch, data)
    assert cli.main(["subscriber", "add", "1111@example.test", "--password-stdin"]) == 2
    assert reason in complaint(capsys)
    assert ha1(dburl) == {}


def test_a_generated_password_is_all_that_is_printed_and_is_the_one_stored(
    dburl: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a script can take it; it is shown this once."""
    from kemi_routes.subscribers.address import AoR
    from kemi_routes.subscribers.credentials import credentials

    for command in (["add"], ["passwd"]):
        assert cli.main(["subscriber", *command, "1111@example.test", "--generate"]) == 0
        output, errors = capsys.readouterr()
        assert errors == ""
        kept = credentials(AoR("1111", "example.test"), output.removesuffix("\n"))
        assert ha1(dburl) == {"1111@example.test": kept.ha1}


def test_the_hash_is_of_the_algorithm_that_the_server_asks_for(
    dburl: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGEST_ALGORITHM", "SHA-256")
    assert cli.main(["subscriber", "add", "1111@example.test", "--generate"]) == 0
    password = capsys.readouterr().out.removesuffix("\n")
    expected = hashlib.sha256(f"1111:example.test:{password}".encode()).hexdigest()
    assert ha1(dburl) == {"1111@example.test": expected}
    monkeypatch.setenv("DIGEST_ALGORITHM", "SHA-512")
    assert cli.main(["subscriber", "passwd", "1111@example.test", "--generate"]) == 2
    assert "DIGEST_ALGORITHM takes one of: MD5, SHA-256 (it is 'SHA-512')" in complaint(capsys)
    assert ha1(dburl) == {"1111@example.test": expected}


def test_a_password_is_asked_for_twice_on_the_terminal_and_not_echoed(dburl: str) -> None:
    """On a real terminal, with the answers of a user."""
    status, screen = type_on_terminal(["s3cr3t", "s3cr3t"], "add", "1111@example.test")
    assert status == 0
    assert "Password for 1111@example.test: " in screen
    assert "The same again: " in screen
    assert "added 1111@example.test" in screen
    assert "s3cr3t" not in screen
    assert list(ha1(dburl)) == ["1111@example.test"]


def test_two_different_answers_change_nothing(dburl: str) -> None:
    """Nobody is added with a mistyped password."""
    status, screen = type_on_terminal(["s3cr3t", "s3cret"], "add", "1111@example.test")
    assert status == 2
    assert "kemi-routes: the two passwords differ: nothing was changed" in screen
    assert ha1(dburl) == {}


@pytest.mark.usefixtures("dburl")
def test_a_bad_address_is_refused_before_a_password_is_asked_for() -> None:
    """The terminal shows the complaint at once."""
    status, screen = type_on_terminal([], "add", "1111")
    assert status == 2
    assert screen.startswith("kemi-routes: '1111' is not an address")


@pytest.mark.usefixtures("dburl")
def test_without_a_terminal_the_other_way_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that forgot the option does not hang."""
    give(monkeypatch, b"s3cr3t\n")
    assert cli.main(["subscriber", "add", "1111@example.test"]) == 2
    assert "use --password-stdin" in complaint(capsys)


def test_subscribers_are_listed_one_to_a_line(
    dburl: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sorted, and only those of one domain where it is given."""
    with open_store(dburl) as store:
        for address in ("2@b.test", "1@b.test", "3@a.test"):
            store.add(address, "x")
    assert cli.main(["subscriber", "list"]) == 0
    assert capsys.readouterr() == ("1@b.test\n2@b.test\n3@a.test\n", "")
    assert cli.main(["subscriber", "list", "B.test"]) == 0
    assert capsys.readouterr() == ("1@b.test\n2@b.test\n", "")


def test_a_list_that_nobody_reads_to_its_end_is_no_error(dburl: str) -> None:
    """`kemi-routes subscriber list | head -1`."""
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        listing = [*PROGRAM, "subscriber", "list"]
        done = subprocess.run(listing, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_removed_subscriber_is_gone(dburl: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The address may be written as a URI."""
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
    assert cli.main(["subscriber", "rm", "sip:1111@EXAMPLE.test"]) == 0
    assert capsys.readouterr() == ("removed 1111@example.test\n", "")
    assert ha1(dburl) == {}


def test_what_is_refused_ends_with_1(dburl: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The database is well; the answer is no."""
    with open_store(dburl) as store:
        store.add("1111@example.test", "x")
    for words, reason in (
        (["add", "1111@example.test", "--generate"], "1111@example.test exists already"),
        (["rm", "2222@example.test"], "there is no subscriber 2222@example.test"),
        (["passwd", "2222@example.test", "--generate"], "no subscriber 2222@example.test"),
    ):
        assert cli.main(["subscriber", *words]) == 1
        assert reason in complaint(capsys)


@pytest.mark.usefixtures("dburl")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["subscriber"], "required: ACTION"),
        (["subscriber", "add"], "required: USER@DOMAIN"),
        (["subscriber", "add", "1111@example.test", "--pass"], "there is no option --pass"),
        (["subscriber", "rm", "1111"], "write it as user@domain"),
        (["subscriber", "list", "--dburl", "mysql://u:s3cr3t@h/d"], "'mysql'"),
        (["subscriber", "add", "1@a.test", "--generate", "--password-stdin"], "not allowed with"),
    ],
)
def test_wrong_usage_ends_with_2(
    capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    """In one line, as every error."""
    assert cli.main(words) == 2
    message = complaint(capsys)
    assert reason in message
    assert "s3cr3t" not in message


@pytest.mark.parametrize("words", [["s3cr3t"], ["--password=s3cr3t"], ["-p", "s3cr3t"]])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    dburl: str, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Other users of the machine read command lines, and logs keep error messages."""
    assert cli.main(["subscriber", "add", "1111@example.test", *words]) == 2
    assert "s3cr3t" not in complaint(capsys)
    assert ha1(dburl) == {}


def test_no_option_takes_a_password() -> None:
    """Of all parsers, the options with a value are these, and the arguments those."""
    takers = {
        action.option_strings[0] if action.option_strings else str(action.metavar)
        for parser in parsers(cli._parser())
        for action in parser._actions
        if action.nargs != 0 and not isinstance(action, argparse._SubParsersAction)
    }
    assert takers == {"--dburl", "USER@DOMAIN", "DOMAIN"}


def test_a_database_that_does_not_answer_ends_with_3(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens on port 1; the password stays hidden."""
    pytest.importorskip("psycopg")
    dburl = "postgres://kamailio:s3cr3t@127.0.0.1:1/kamailio"
    for command in (["subscriber", "list"], ["db", "init"]):
        assert cli.main([*command, "--dburl", dburl]) == 3
        message = complaint(capsys)
        assert "postgres://kamailio:***@127.0.0.1:1/kamailio cannot be reached" in message
        assert "s3cr3t" not in message
    assert list(nowhere.iterdir()) == []


def test_a_database_that_is_not_initialised_ends_with_3(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is the command to run, and that command then works."""
    option = ["--dburl", f"sqlite://{nowhere}/new.sqlite"]
    assert cli.main(["subscriber", "list", *option]) == 3
    assert "run kemi-routes db init" in complaint(capsys)
    assert cli.main(["db", "init", *option]) == 0
    assert "made the tables version, subscriber, location" in capsys.readouterr().out
    assert cli.main(["db", "init", *option]) == 0
    assert "all tables are there already" in capsys.readouterr().out
    assert cli.main(["subscriber", "list", *option]) == 0


def test_the_database_of_make_run_is_used_where_it_is(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the directory it was started in, without DBURL."""
    (nowhere / "var").mkdir()
    initialise(f"sqlite://{nowhere}/var/kamailio.sqlite")
    assert cli.main(["subscriber", "add", "1111@example.test", "--generate"]) == 0
    capsys.readouterr()
    assert cli.main(["subscriber", "list"]) == 0
    assert capsys.readouterr().out == "1111@example.test\n"


@pytest.mark.parametrize("command", [["subscriber", "list"], ["db", "init"]])
def test_without_any_database_the_setting_is_named(
    nowhere: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """And no file is made in a place nobody chose."""
    assert cli.main(command) == 2
    assert "set the environment variable DBURL to sqlite:///" in complaint(capsys)
    assert list(nowhere.iterdir()) == []


def test_run_gets_its_words_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its module is imported only then, and its status is the program's."""
    (tmp_path / "forwarded_to.py").write_text(
        "def main(argv: list[str]) -> int:\n    print(argv)\n    return 7\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.FORWARDED, "run", ("forwarded_to", ""))
    assert cli.main(["run", "--no-demo", "subscriber", "-h"]) == 7
    assert capsys.readouterr().out == "['--no-demo', 'subscriber', '-h']\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of other modules as well."""
    assert cli.main(["--help"]) == 0
    output = capsys.readouterr().out
    for command in ("run", "subscriber", "db"):
        assert f"\n    {command}" in output


@pytest.mark.usefixtures("dburl")
def test_a_command_on_sqlite_imports_no_postgresql() -> None:
    """libpq alone takes longer than the command; the launcher is not for the command line."""
    script = (
        "import sys; from kemi_routes import cli; cli.main(['subscriber', 'list']); "
        "print({'psycopg', 'kemi_routes.launch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"set()\n"


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error; nothing may be on standard output."""
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("kemi-routes: ")
    assert errors.count("\n") == 1
    return errors


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def type_on_terminal(answers: list[str], *words: str) -> tuple[int, str]:
    """Run `subscriber ...` on a terminal, answer each question, return status and screen."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [*PROGRAM, "subscriber", *words])  # noqa: S606 - on purpose
    screen = ""
    for answer in answers:
        # The question is on the screen only after the echo is off.
        screen = read_until(terminal, screen, ": ")
        os.write(terminal, f"{answer}\n".encode())
        screen += "\n"
    screen = read_until(terminal, screen, None)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), screen


def read_until(terminal: int, screen: str, end: str | None) -> str:
    """Read on until the screen ends so, or until the program has ended."""
    while end is None or not screen.endswith(end):
        try:
            data = os.read(terminal, 1024)
        except OSError:  # Linux: EIO when the other side is closed
            return screen
        if not data:
            return screen
        screen += data.decode()
    return screen
