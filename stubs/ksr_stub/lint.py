"""ksr-lint: find in a KEMI script, without running it, what fails on a real Kamailio.

    ksr-lint [--version 5.6] FILE_OR_DIRECTORY ...

Name all Python files of the routing script, and kamailio.cfg with what it includes: callbacks and
modules are looked for in all of them. A line with `# ksr-lint: ignore` or
`# ksr-lint: ignore[KSR101]` is left alone. The exit status is 0 if nothing was found, 1 if
something was, 2 if a file can't be read or is no Python.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ksr_stub import signatures
from ksr_stub.cfg import module_name
from ksr_stub.rules import blocking, callbacks, calls, truth
from ksr_stub.rules.finding import CODES, Finding
from ksr_stub.rules.script import Script, parse

_IGNORE = re.compile(r"#\s*ksr-lint:\s*ignore(?:\[([\w\s,]*)\])?")
_LOADED = re.compile(r'^\s*loadmodulex?\s*\(?\s*"([^"]*)"', re.MULTILINE)
_CALLBACK = re.compile(r'^\s*kemi\.(\w+)_callback\s*=\s*"([^"]*)"', re.MULTILINE)


def lint(texts: dict[Path, str], version: str = "5.6") -> list[Finding]:
    """Check the files of one routing script together.

    Args:
        texts: the text of each file; what ends in .cfg is a kamailio.cfg.
        version: the Kamailio version that it is for.
    Returns:
        The findings by file and line, without the ignored ones.
    Raises:
        SyntaxError: a file is no Python.
    """
    configured = {
        route: name
        for path, text in texts.items()
        if path.suffix == ".cfg"
        for route, name in _CALLBACK.findall(text)
    }
    scripts = [parse(path, text, version) for path, text in texts.items() if path.suffix != ".cfg"]
    modules = {
        module_name(file)
        for path, text in texts.items()
        if path.suffix == ".cfg"
        for file in _LOADED.findall(text)
    }
    found = [*callbacks.check(scripts, configured)]
    for script in scripts:
        found += [*_each(script), *calls.check_loaded(script, modules)]
    return sorted(one for one in set(found) if not _ignored(one, texts[one.path]))


def _each(script: Script) -> Iterator[Finding]:
    for check in (truth.check, calls.check, blocking.check):
        yield from check(script)


def _ignored(finding: Finding, text: str) -> bool:
    comment = _IGNORE.search(text.splitlines()[finding.line - 1])
    if comment is None:
        return False
    return comment[1] is None or finding.code in re.findall(r"\w+", comment[1])


def read(paths: Sequence[Path]) -> dict[Path, str]:
    """The text of the files, and of all .py and .cfg files of the directories.

    Raises:
        OSError: a file can't be read. UnicodeDecodeError: it is no text.
    """
    files: list[Path] = []
    for path in paths:
        inside = sorted([*path.rglob("*.py"), *path.rglob("*.cfg")])
        files += inside if path.is_dir() else [path]
    return {file: file.read_text() for file in files}


def main(arguments: list[str] | None = None) -> int:
    """Check the files that the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="ksr-lint",
        description=__doc__,
        epilog="codes:\n" + "\n".join(f"  {code}  {means}" for code, means in CODES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE_OR_DIRECTORY")
    parser.add_argument("--version", choices=signatures.VERSIONS, default="5.6")
    given = parser.parse_args(arguments)
    try:
        found = lint(read(given.paths), given.version)
    except SyntaxError as error:
        print(f"{error.filename}:{error.lineno}: no Python: {error.msg}", file=sys.stderr)
        return 2
    except (OSError, UnicodeDecodeError) as error:
        print(f"ksr-lint: {error}", file=sys.stderr)
        return 2
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
