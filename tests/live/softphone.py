"""baresip: a phone that is not ours, to show that the server serves others too."""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from .message import Address, host_port
from .network import SERVER, Namespace
from .process import Process

CONTROL = ("127.0.0.1", 4444)
WAV_HEADER = 44  # bytes
TONE = 4000  # bytes of samples that are not silent: a quarter of a second
CONFIG = """
sip_listen {listen}
audio_player aufile,{heard}
audio_source ausine,440
ausrc_srate 48000
ausrc_channels 2
audio_alert aufile,{heard}.ring
audio_buffer 20-160
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module ausine.so
module {nat}.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:4444
"""
Event = dict[str, Any]


class Softphone:
    """baresip on a host (one a host), which registers at once:

        bob = Softphone(host, "2222", "example.test", password); bob.wait_for("REGISTER_OK")
        bob.wait_for("CALL_INCOMING"); bob.command("accept"); bob.wait_for("CALL_ESTABLISHED")
        bob.command("dial", "sip:1111@example.test"); bob.command("hangup")

    It sends a sine tone and `heard` is the file with what it heard. `account` adds parameters to
    its account line (";medianat=ice" needs nat="ice").
    """

    def __init__(
        self,
        host: Namespace,
        user: str,
        domain: str,
        password: str,
        server: Address = (SERVER, 5060),
        transport: str = "udp",
        account: str = "",
        nat: str = "stun",
    ) -> None:
        self.events: list[Event] = []
        self._directory = Path(tempfile.mkdtemp(prefix="kemi-baresip-"))
        host.on_close(lambda: shutil.rmtree(self._directory, ignore_errors=True))
        self.heard = self._directory / "heard.wav"
        listen = host_port((host.address, 5060))
        config = CONFIG.format(listen=listen, heard=self.heard, nat=nat)
        (self._directory / "config").write_text(config)
        outbound = f"sip:{host_port(server)};transport={transport}"
        (self._directory / "accounts").write_text(
            f"<sip:{user}@{domain};transport={transport}>;auth_user={user};auth_pass={password};"
            f'outbound="{outbound}";regint=600;answermode=manual{account}\n'
        )
        self.process = Process(host, "baresip", "-f", str(self._directory), "-v")
        self.process.wait_for("baresip is ready")
        self._control = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._control.connect(CONTROL)
        self._buffer = b""
        self._seen = 0

    def hears(self) -> bool:
        """Whether the tone of the other side has come: 1.0 logs the first packet, 1.1 plays it
        into the file `heard`."""
        if "incoming rtp" in self.process.output:
            return True
        sound = self.heard.read_bytes()[WAV_HEADER:] if self.heard.exists() else b""
        return len(sound) - sound.count(0) > TONE

    def command(self, name: str, parameters: str = "") -> None:
        """Give one command of baresip's menu module: dial, accept, hangup, ..."""
        order = json.dumps({"command": name, "params": parameters}).encode()
        self._control.sendall(b"%d:%s," % (len(order), order))

    def wait_for(self, kind: str, timeout: float = 10) -> Event:
        """The next event of this type, passing over others; AssertionError with baresip's output.

        Types: REGISTER_OK, REGISTER_FAIL, CALL_INCOMING, CALL_RINGING, CALL_ESTABLISHED,
        CALL_CLOSED ... (`bevent` in baresip). REGISTER_OK may come before we listen, so it is
        taken from the output.
        """
        if kind == "REGISTER_OK":
            return {"type": kind, "line": self.process.wait_for(r"200 OK", timeout).string}
        self._control.settimeout(timeout)
        while True:
            for event in self.events[self._seen :]:
                self._seen += 1
                if event.get("type") == kind:
                    return event
            self._read(kind)

    def _read(self, wanted: str) -> None:
        try:
            self._buffer += self._control.recv(65535)
        except TimeoutError:
            seen = [event.get("type") for event in self.events]
            raise AssertionError(
                f"baresip: no {wanted}, only {seen}; it printed:\n{self.process.output}"
            ) from None
        while (found := re.match(rb"(\d+):", self._buffer)) and (
            len(self._buffer) > (end := found.end() + int(found[1]))
        ):
            self.events.append(json.loads(self._buffer[found.end() : end]))
            self._buffer = self._buffer[end + 1 :]

    def stop(self) -> None:
        """Quit; it unregisters first."""
        self.process.stop()
