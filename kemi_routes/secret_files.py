"""What is made up once and kept: the server's secret, a certificate, the database's password.

Each is a file in SECRETS_DIR that only its owner reads. One that is there is never changed.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import subprocess
from pathlib import Path

from kemi_routes.settings import Settings

SERVER_SECRET = "server-secret"  # noqa: S105 - the name of a file
CERTIFICATE = "tls-cert.pem"
CERTIFICATE_KEY = "tls-key.pem"
# The one is read by the official image of PostgreSQL (POSTGRES_PASSWORD_FILE), the other by libpq
# (PGPASSFILE) in Kamailio and in kemi-routes: no DBURL, environment or log has to have it.
DATABASE_PASSWORD = "db-password"  # noqa: S105
PGPASS = "pgpass"


def server_secret(directory: Path) -> str:
    """The secret of this server; another one each time where it can't be kept."""
    path = directory / SERVER_SECRET
    try:
        return path.read_text().strip()
    except OSError:
        secret = secrets.token_urlsafe(24)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(path, secret)
    except OSError:
        pass  # the check of the settings names a directory that can't be written
    return secret


def database_password(directory: Path, user: str) -> None:
    """Make the password of our own PostgreSQL, for both of its ends."""
    path = directory / DATABASE_PASSWORD
    if not path.exists():
        _write(path, secrets.token_urlsafe(24))
    _write(directory / PGPASS, f"*:*:*:{user}:{path.read_text()}\n")


def make_certificate(active: Settings, directory: Path) -> None:
    """Make a self-signed certificate where TLS is on and the operator has given none.

    Args:
        active: the settings; `tls_cert` and `tls_key` are the files to make.
        directory: what is made up is kept here; a certificate elsewhere is the operator's own.
    """
    certificate = Path(active.tls_cert or "/")
    if certificate.parent != directory or certificate.exists():
        return
    name = (active.sip_domain or ("localhost",))[0].strip("[]")
    kind = "IP" if is_address(name) else "DNS"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "825"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}"]
    command += ["-keyout", str(active.tls_key), "-out", str(certificate)]
    old_umask = os.umask(0o077)
    try:
        subprocess.run(command, check=True, capture_output=True)
    finally:
        os.umask(old_umask)


def is_address(text: str) -> bool:
    """Whether a host is an IP address, with or without brackets, and no name."""
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)  # half a file would be kept for ever
