"""What the documentation tells an operator to type: the commands, and the files."""

from __future__ import annotations

import re

from tests.live.server import ROOT

README = re.search(r"^### With Docker\n.*?(?=^### )", (ROOT / "README.md").read_text(), re.M | re.S)
PAGE = (ROOT / "docs/docker.md").read_text()


def commands() -> list[str]:
    """Every command of the README's part on Docker and of docs/docker.md, each line as a whole."""
    return [*readme_commands(), *re.findall(COMMAND, PAGE, re.M)]


def readme_commands() -> list[str]:
    """Those of the README, in their order."""
    assert README
    return re.findall(COMMAND, README[0], re.M)


def command(part: str) -> str:
    """The one command that has this in it."""
    [found] = {line for line in commands() if part in line}
    return found


def block(part: str) -> str:
    """The text of the README's one code block that has this in it: a file to be written."""
    assert README
    blocks: list[str] = re.findall(BLOCK, README[0], re.S)
    [found] = [text for text in blocks if part in text]
    return found


# in a line of a code block, or between backticks
COMMAND = r"(?:^|(?<=`))(?:docker compose (?:up|down|build|run|exec|logs|restart)|git pull)[^`\n]*"
BLOCK = r"```\w*\n(.*?)```"
