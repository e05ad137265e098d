"""`make bench` works, at a size that says nothing about speed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import probe, servers
from bench.database import fill

from .network import environment
from .postgres import PostgresServer
from .server import ROOT

PYTHON = str(ROOT / ".venv/bin/python")
# Debian's package of Kamailio 6 has no examples any more.
STOCK_KEMI = ("stock-kemi",) if (servers.STOCK_KEMI / "kamailio-basic-kemi.cfg").exists() else ()
OURS = ("ours-uncached", "ours-cold", "ours-warm")
OTHERS = ("article", "article-setup", "article-cached", "bare-kemi", "stock", *STOCK_KEMI)


@pytest.mark.needs("kamailio", "kamcmd")
def test_the_same_routing_in_python_is_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kamailio leaves Python alone beside a request_route: the two would be measured as one."""
    shutil.copytree(servers.CONFIGS, tmp_path, dirs_exist_ok=True)
    bare, challenge = tmp_path / "bare.py", "        KSR.auth.auth_challenge("
    mark = '        KSR.hdr.append_to_reply("X-Routed-By: Python\\r\\n")\n'
    bare.write_text(bare.read_text().replace(challenge, mark + challenge))
    monkeypatch.setattr(servers, "CONFIGS", tmp_path)
    config = next(config for config in servers.CONFIGURATIONS if config.name == "bare-kemi")
    with PostgresServer() as postgres:
        dburl = postgres.new_database()
        fill(dburl, 1, (1, 2), alias=True)
        server = servers.Server(config, dburl, 1)
        try:
            with probe.phone_of(server.port) as phone:
                phone.send(probe.request(0, "one", 1))
                assert probe.receive(phone)[1]["X-Routed-By"] == "Python"
        finally:
            server.close()


@pytest.mark.needs("kamailio", "kamcmd", "sipp")
def test_a_run_measures_every_load_on_every_configuration(tmp_path: Path) -> None:
    """Each has its samples in the JSON file, and the page has a table and well-formed charts."""
    page, results = tmp_path / "performance.md", tmp_path / "results.json"
    page.write_text(
        "before\n<!-- results: written by `make bench` -->outdated<!-- end of results -->after"
    )
    words = ("-m", "bench", "--size", "smoke", "--results", str(results), "--page", str(page))
    done = subprocess.run(
        [PYTHON, *words], cwd=ROOT, env=environment(None), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

    measured = json.loads(results.read_text())["measured"]
    for load in ("start", "register", "burst", "refuse", "latency"):
        assert set(measured[f"{load}-200"]) == {*OTHERS, *OURS, "floor"}
    for load in ("anew", "write"):
        assert set(measured[f"{load}-200"]) == {*OTHERS, *OURS}
    assert set(measured["refresh-200"]) == {*OTHERS, "ours-uncached", "ours-warm"}
    assert set(measured["call-200"]) == {"stock", *STOCK_KEMI, "ours-uncached", "ours-warm"}
    assert all(sample["kamailio"] > 0 for sample in measured["register-200"]["ours-warm"])

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after")
    assert "outdated" not in text
    assert len(re.findall(r"^\| .* kemi-routes, warm \|", text, re.MULTILINE)) == 1
    charts = sorted(tmp_path.glob("*.svg"))
    assert [chart.name.partition(".")[0].partition("-")[2] for chart in charts] == [
        *("call", "rate", "register")
    ]
    for chart in charts:
        assert len(ElementTree.fromstring(chart.read_text())) > 5  # noqa: S314 - our own
