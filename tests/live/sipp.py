"""SIPp with a scenario of tests/live/scenarios."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .message import Address, host_port
from .network import SERVER, Namespace
from .process import Process

SCENARIOS = Path(__file__).parent / "scenarios"


class Sipp:
    """SIPp on a host, in the background; `wait` says how it went.

    scenario   a file of `scenarios/` without .xml: register, uac (calls `target`), uas
    user       also the name for digest authentication, with password
    target     [target] in the scenario: the user that a uac calls
    calls      it ends after this many; rate is per second
    options    more of SIPp's own, e.g. ("-t", "t1") for TCP
    """

    def __init__(
        self,
        host: Namespace,
        scenario: str,
        user: str = "sipp",
        password: str = "",
        domain: str = "example.test",
        target: str = "nobody",
        server: Address = (SERVER, 5060),
        port: int = 5060,
        calls: int = 1,
        rate: int = 10,
        options: tuple[str, ...] = (),
    ) -> None:
        self._errors = Path(tempfile.mkdtemp(prefix="kemi-sipp-")) / "errors"
        host.on_close(lambda: shutil.rmtree(self._errors.parent, ignore_errors=True))
        identity = ("-s", user, "-au", user, "-ap", password)
        keys = ("-key", "domain", domain, "-key", "target", target)
        load = ("-m", str(calls), "-r", str(rate), "-timeout", "30", "-timeout_error")
        place = ("-i", host.address, "-p", str(port))
        self.process = Process(
            host,
            "sipp",
            host_port(server),
            *("-sf", str(SCENARIOS / f"{scenario}.xml")),
            *("-nostdin", "-trace_err", "-error_file", str(self._errors)),
            *(*identity, *keys, *load, *place, *options),
            cwd=self._errors.parent,
        )

    def wait(self, timeout: float = 40) -> str:
        """Wait until all calls are done; SIPp's output. AssertionError, with the messages that
        were not expected, when a call failed."""
        if self.process.wait(timeout):
            errors = self._errors.read_text(errors="replace") if self._errors.exists() else ""
            raise AssertionError(f"SIPp failed:\n{errors}\n{self.process.output[-3000:]}")
        return self.process.output
