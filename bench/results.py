"""The results: a JSON file, rewritten after every measurement."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

Sample = dict[str, float]


class Results:
    """Samples by load, size and configuration; what an earlier run left is kept until replaced."""

    def __init__(self, path: Path, *, keep: bool) -> None:
        self._path = path
        self.data: dict[str, Any] = {"measured": {}, "notes": []}
        if keep and path.exists():
            self.data = json.loads(path.read_text())
        self.data["machine"] = machine()
        self.data["date"] = time.strftime("%Y-%m-%d")

    def replace(self, load: str, size: int, config: str, samples: list[Sample]) -> None:
        """Set the samples of a configuration under a load."""
        self.data["measured"].setdefault(f"{load}-{size}", {})[config] = samples
        self.save()

    def samples(self, load: str, size: int) -> dict[str, list[Sample]]:
        """All samples of a load, by configuration."""
        found: dict[str, list[Sample]] = self.data["measured"].get(f"{load}-{size}", {})
        return found

    def median(self, load: str, size: int, config: str, field: str) -> float | None:
        """The median of one field; None where it was not measured."""
        values = [s[field] for s in self.samples(load, size).get(config, []) if field in s]
        return statistics.median(values) if values else None

    def cpu(self, load: str, size: int, config: str) -> float | None:
        """Median microseconds of Kamailio and database together."""
        found = self.samples(load, size).get(config)
        return statistics.median(s["kamailio"] + s["postgres"] for s in found) if found else None

    def stub(self, rates: dict[str, float]) -> None:
        """Requests a second through the stub."""
        self.data["stub"] = rates
        self.save()

    def sizes(self) -> list[int]:
        """All sizes at which something was measured."""
        return sorted({int(key.rpartition("-")[2]) for key in self.data["measured"]})

    def note(self, words: str) -> None:
        """Something that a reader of the results has to know."""
        if words not in self.data["notes"]:
            self.data["notes"].append(words)
            self.save()

    def versions(self, postgres: str) -> None:
        """What was measured."""
        self.data["versions"] = {
            "Kamailio": _says("kamailio", "-v", pattern=r"kamailio (\S+)"),
            "Python": platform.python_version(),
            "PostgreSQL": postgres,
            "SIPp": _says("sipp", "-v", pattern=r"SIPp v([\d.]+)"),
            "kernel": platform.release().partition("-")[0],
        }
        self.save()

    def save(self) -> None:
        """Write the file."""
        text = json.dumps(_rounded(self.data), indent=1)
        self._path.write_text(re.sub(r"\{\n\s+([^{}\[\]]+)\n\s+\}", _one_line, text) + "\n")


def machine() -> dict[str, str]:
    """Processor, cores and memory; no name."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    kilobytes = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(kilobytes[1]) / 2**20:.0f} GB" if kilobytes else "",
    }


def _says(*command: str, pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "unknown"


def _one_line(match: re.Match[str]) -> str:
    return "{" + " ".join(match[1].split()) + "}"


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value
