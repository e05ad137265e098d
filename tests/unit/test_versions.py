"""What Kamailio's versions do otherwise is handled in one place, at the end of kamailio.cfg."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Kamailio defines KAMAILIO_5, KAMAILIO_5_6, ... and tells its version to scripts and over RPC.
ASKS = re.compile(r"\bKAMAILIO_\d|\$version|core\.version|kamailio\s+-v\b")


def test_one_block_asks_for_the_version() -> None:
    sources = [*(ROOT / "kamailio").iterdir(), *(ROOT / "kemi_routes").rglob("*.py")]
    texts = {path: path.read_text() for path in sources if path.is_file()}
    asking = [(path.name, found) for path, text in texts.items() for found in ASKS.findall(text)]
    assert asking == [("kamailio.cfg", "KAMAILIO_5")]
    last = texts[ROOT / "kamailio/kamailio.cfg"].rpartition("\n####### ")[2]
    assert last.startswith("What differs between Kamailio 5.6 and 6")
    assert "#!ifndef KAMAILIO_5" in last
