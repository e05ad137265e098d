"""`make bench`, or `.venv/bin/python -m bench [--size full|small|smoke] [--only LOAD ...]`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from tests.live.network import CLEAN_PATH
from tests.live.server import ROOT

from . import report
from .measure import LOADS, PLANS, Bench
from .results import Results

PROGRAMS = ("kamailio", "kamcmd", "sipp")


def main() -> int:
    """Measure, and write results, table and charts.

    Returns:
        0; 1 where a program is missing. A missed target is a finding, no failure.
    """
    options = _parse()
    missing = [name for name in PROGRAMS if shutil.which(name, path=CLEAN_PATH) is None]
    if missing:
        print(f"bench: this machine has no {', no '.join(missing)}", file=sys.stderr)
        return 1
    os.environ["PATH"] = CLEAN_PATH
    plan = PLANS[options.size]
    results = Results(options.results, keep="all" not in options.only)
    try:
        Bench(plan, results, frozenset(options.only)).run()
    finally:
        report.write(results, plan, options.page)
    print(report.table(results, plan))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--size", choices=PLANS, default="full")
    again = f"measure these again, keep the rest: {', '.join(LOADS)}; or one: register-100000"
    parser.add_argument("--only", nargs="+", default=["all"], metavar="LOAD", help=again)
    parser.add_argument("--results", type=Path, default=ROOT / "bench/results.json")
    beside = "the table goes into it, and the charts beside it"
    parser.add_argument("--page", type=Path, default=ROOT / "docs/performance.md", help=beside)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
