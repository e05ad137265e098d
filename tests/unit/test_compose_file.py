"""docker-compose.yml and .env.example say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from kemi_routes import prepare, settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
# what rtpengine takes, what docker compose itself takes, and what the image has set
OTHERS = {"RTP_PORTS", "TLS_DIR"}
FIXED = {"RUN_DIR"}


def names() -> set[str]:
    """The settings of an operator."""
    fields = attrs.fields(settings.Settings)
    return {settings.define_of(field) for field in fields if settings.is_for_operators(field)}


def test_every_setting_of_the_readme_reaches_the_server_from_an_env_file() -> None:
    block = COMPOSE.partition("environment: &settings")[2].partition("volumes:")[0]
    listed = set(re.findall(r"^    ([A-Z_]+):", block, re.MULTILINE))
    missing, unknown = names() - FIXED - listed, listed - names() - {"PGPASSFILE"}
    assert not missing, "give each a line under `environment: &settings` in docker-compose.yml"
    assert not unknown


def test_the_example_of_an_env_file_names_settings_that_exist_and_sets_none() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    shown = {match[1] for line in lines if (match := re.match(r"# ([A-Z_]+)=", line))}
    assert {"ADVERTISE", "RTP_PORTS", "SIP_DOMAIN", "DBURL"} <= shown
    assert shown <= names() | OTHERS


def test_what_the_example_of_an_env_file_shows_is_right() -> None:
    """Each value, once its `#` is gone; a secret it has none."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    shown = dict(match.groups() for line in lines if (match := re.match(r"# ([A-Z_]+)=(.+)", line)))
    assert {"LISTEN", "ADVERTISE", "RTP_INTERFACE", "TLS_CERT", "DBURL"} <= set(shown)
    assert settings.parse(settings.lookup(shown))[1] == []
    assert prepare.rtp_faults(shown) == []


def test_the_packages_of_the_image_are_those_of_make_run() -> None:
    """Where a package has no place in a container it is named here."""
    made = set(re.findall(r"kamailio[-\w]*|python3-[-\w]+|openssl", packages("Makefile")))
    image = set(
        re.findall(r"kamailio[-\w]*|python3-[-\w]+|openssl", packages("kamailio/Dockerfile"))
    )
    assert made - image == {"python3-venv", "python3-setuptools", "python3-wheel"}
    assert image <= made


def packages(path: str) -> str:
    """The list of packages in a file."""
    text = (ROOT / path).read_text()
    if path == "Makefile":
        return text.partition("VENV_PACKAGES :=")[2].partition("TEST_PACKAGES")[0]
    return text.partition('packages="')[2].partition('"')[0]


def test_a_wrong_range_of_rtp_ports_is_named() -> None:
    for wrong in ("many", "30000", "30999-30000", "80-90", "60000-70000", "30000-30000"):
        [fault] = prepare.rtp_faults({"RTP_PORTS": wrong})
        assert fault.startswith("RTP_PORTS takes the first and the last port")
        assert wrong in fault
    for right in ("30000-30999", ""):
        assert prepare.rtp_faults({"RTP_PORTS": right}) == []
