"""A certificate authority, as an operator has his certificates from one."""

from __future__ import annotations

from pathlib import Path

from .engine import MACHINE

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """An authority with its own certificate, which clients trust, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.certificate = directory / "authority.pem"
        self._key = directory / "authority.key"
        use = ("-addext", "keyUsage=critical,keyCertSign")
        self._make("/CN=Test Authority", self.certificate, self._key, *use)

    def issue(self, domain: str, directory: Path) -> None:
        """Put fullchain.pem and privkey.pem for a domain there; the key is for root alone."""
        directory.mkdir(exist_ok=True)
        signed = ("-CA", str(self.certificate), "-CAkey", str(self._key))
        names = ("-addext", f"subjectAltName=DNS:{domain}")
        what = ("-addext", "basicConstraints=critical,CA:FALSE")
        pair = directory / "fullchain.pem", directory / "privkey.pem"
        self._make(f"/CN={domain}", *pair, *signed, *names, *what)
        pair[0].chmod(0o644)

    def _make(self, subject: str, certificate: Path, key: Path, *options: str) -> None:
        made = ("-subj", subject, "-days", "2", "-out", str(certificate), "-keyout", str(key))
        MACHINE.run("openssl", "req", "-x509", *NEW_KEY, *made, *options)
