"""The table of what each configuration has withstood."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.servers import Config
from tests.live.network import CLEAN_PATH

from .scene import Finding, Probe

BEGIN, END = "<!-- scoreboard: written by `make attacks` -->", "<!-- end of scoreboard -->"


class Scoreboard:
    """Findings by configuration, in the order of the probes."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes
        self._titles: dict[str, str] = {}
        self._findings: dict[str, list[Finding]] = {}
        self._notes: list[str] = []

    def add(self, config: Config, findings: list[Finding]) -> None:
        """Take the findings of a configuration."""
        self._titles[config.name] = config.title
        self._findings[config.name] = findings

    def leave_out(self, config: Config, why: str) -> None:
        """Say why a configuration has no column."""
        self._notes.append(f"{config.title} is left out: {why}")

    def lost(self, name: str) -> list[Probe]:
        """The probes that a configuration has not withstood."""
        findings = self._findings.get(name, [])
        pairs = zip(self._probes, findings, strict=bool(findings))
        return [probe for probe, finding in pairs if not finding.withstood]

    def table(self) -> str:
        """All of it as Markdown; **bold** is what went wrong."""
        head = ["Probe", *self._titles.values()]
        rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for group in dict.fromkeys(probe.group for probe in self._probes):
            rows.append(self._summary(group))
            rows += [self._row(i) for i, probe in enumerate(self._probes) if probe.group == group]
        return "\n".join([f"{_version()}.\n", *(f"{note}.\n" for note in self._notes), *rows, ""])

    def write(self, page: Path) -> None:
        """Put the table between its marks in a page."""
        text = page.read_text() if page.exists() else f"{BEGIN}\n{END}\n"
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n\n{self.table()}\n{END}{after}")

    def _summary(self, group: str) -> str:
        cells = [f"**{group}**"]
        for findings in self._findings.values():
            of_group = [f for p, f in zip(self._probes, findings, strict=True) if p.group == group]
            lost = sum(not finding.withstood for finding in of_group)
            cells.append(f"{lost} of {len(of_group)}")
        return "| " + " | ".join(cells) + " |"

    def _row(self, index: int) -> str:
        found = [findings[index] for findings in self._findings.values()]
        cells = [f.words if f.withstood else f"**{f.words}**" for f in found]
        return "| " + " | ".join([self._probes[index].name, *cells]) + " |"


def _version() -> str:
    done = subprocess.run(
        ["kamailio", "-v"], env={"PATH": CLEAN_PATH}, capture_output=True, text=True, check=True
    )
    number = done.stdout.split()[2]
    return f"Measured on Kamailio {number}; the first line of each group counts what went wrong"
