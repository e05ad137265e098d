"""`kemi-routes prepare`: all that has to be right and made before the first container starts."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from kemi_routes import secret_files, settings
from kemi_routes.launch import WRONG_SETTINGS, complete, faults_of
from kemi_routes.settings import SettingsError

DATABASE_USER = "kamailio"


def main(argv: list[str]) -> int:
    """Check the settings, then make up what is secret and not there yet.

    Args:
        argv: the words after `kemi-routes prepare`.
    Returns:
        0 when everything is in place, 2 for wrong settings.
    """
    options = _parse(argv)
    try:
        environ = complete(dict(os.environ), options.config)
        directory = Path(environ["SECRETS_DIR"])
        values, faults = faults_of(environ, options.config, starts=False)
        active = settings.accept(values, faults + rtp_faults(os.environ))
    except SettingsError as error:
        print(f"kemi-routes: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    secret_files.database_password(directory, DATABASE_USER)
    secret_files.make_certificate(active, directory)
    print("kemi-routes: the settings are in order, the secrets are in their place")
    return 0


def rtp_faults(environ: Mapping[str, str]) -> list[str]:
    """What is wrong with RTP_PORTS, which rtpengine takes and Kamailio knows nothing of."""
    given = environ.get("RTP_PORTS") or "30000-30999"
    match = re.fullmatch(r"(\d{4,5})-(\d{4,5})", given)
    if match and 1024 <= int(match[1]) < int(match[2]) < 65536:
        return []
    return [f"RTP_PORTS takes the first and the last port, such as 30000-30999 (it is {given!r})"]


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kemi-routes prepare", description=__doc__)
    parser.add_argument("--config", type=Path, default=settings.CFG, help="the kamailio.cfg to run")
    return parser.parse_args(argv)
