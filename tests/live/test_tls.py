"""TLS as it is by default, and a certificate that is renewed while the server runs."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from .patience import eventually
from .server import Server

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


def handshake(server: Server, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[str, bytes]:
    """The version agreed on with the server, and the certificate that it shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, most
    with (
        socket.create_connection(server.address("tls"), timeout=5) as plain,
        context.wrap_socket(plain) as connection,
    ):
        return str(connection.version()), connection.getpeercert(binary_form=True) or b""


def renew(certificate: Path, key: Path) -> None:
    """Another self-signed certificate in the place of the one that is there."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=renewed"]
    command += ["-keyout", f"{key}.new", "-out", f"{certificate}.new"]
    subprocess.run(command, check=True, capture_output=True)
    shutil.move(f"{key}.new", key)
    shutil.move(f"{certificate}.new", certificate)


def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(server: Server) -> None:
    assert handshake(server)[0] == "TLSv1.3"
    assert handshake(server, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(server, ssl.TLSVersion.TLSv1_1)


def test_a_renewed_certificate_is_taken_without_a_restart(server: Server) -> None:
    """And the phones that are connected stay so."""
    host = server.host
    alice = server.phone(host, "1111", "tls", local=("127.0.0.1", 0))
    assert alice.register().status == 200
    before = handshake(server)[1]
    renew(server.run_dir / "tls-cert.pem", server.run_dir / "tls-key.pem")
    assert "error" not in server.kamcmd("tls.reload")
    eventually(lambda: handshake(server)[1] != before, "new certificate")
    assert alice.register().status == 200
