"""`make attacks`, or `.venv/bin/python -m tests.attacks [--only stock stock-kemi ours]`.

Runs all probes on all configurations and writes the table into docs/hardening.md. Ends with 1
where ours has not withstood one; what the stock configurations do is a finding, no failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from bench.servers import ATTACKED, Config
from tests.live.network import CLEAN_PATH
from tests.live.server import ROOT

from . import outages, registrations, relays, weapons
from .scene import Finding, scene_of
from .scoreboard import Scoreboard

PROBES = (
    *relays.PROBES, *registrations.PROBES, *weapons.PROBES, *outages.PROBES, *weapons.LAST
)  # fmt: skip


def main() -> int:
    """Attack, print and write the table."""
    options = _parse()
    os.environ["PATH"] = CLEAN_PATH
    if shutil.which("kamailio") is None:
        print("attacks: this machine has no kamailio", file=sys.stderr)
        return 1
    board = Scoreboard(PROBES)
    for config in (config for config in ATTACKED if config.name in options.only):
        if why := config.missing():
            board.leave_out(config, why)
        else:
            board.add(config, attack(config))
    board.write(options.page)
    print(board.table())
    lost = board.lost("ours")
    for probe in lost:
        print(f"attacks: ours did not withstand: {probe.group}: {probe.name}", file=sys.stderr)
    return 1 if lost else 0


def attack(config: Config) -> list[Finding]:
    """The findings of all probes on one configuration."""
    findings = []
    with scene_of(config) as scene:
        for probe in PROBES:
            finding = probe.run(scene)
            findings.append(finding)
            print(f"attacks: {config.title}: {probe.name}: {finding.words}", flush=True)
    return findings


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="attacks", description=__doc__)
    names = [config.name for config in ATTACKED]
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="NAME")
    page = ROOT / "docs/hardening.md"
    parser.add_argument("--page", type=Path, default=page, help="the table goes into it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
