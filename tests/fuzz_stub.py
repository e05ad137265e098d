"""Coverage-guided fuzzing of the stub's parser, with our routes behind it: `make fuzz-stub`.

Whatever bytes come: the stub parses, drops or answers them, and raises nothing. atheris keeps the
inputs that reach new code. It runs until Ctrl-C or for FUZZ_SECONDS.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ksr_stub"]):
    from ksr_stub.harness import Ksr
    from ksr_stub.world import World, use

    from .mutation import seeds
    from .stub.own_routes import start

# A new World after so many messages, or its transactions pile up.
LIFETIME = 500


class Target:
    """A stub with our routes; `faithful`, since strict mode raises where a script is careless."""

    def __init__(self) -> None:
        self._received = 0

    def receive(self, data: bytes) -> None:
        """Let a message come in. Raises what Kamailio would log as a traceback."""
        if self._received % LIFETIME == 0:
            world = World(version="5.6", strict=False)
            use(world)
            self._ksr = start(Ksr(world), MAX_RATE="65535")
        self._received += 1
        error = self._ksr.receive(data, source=("192.0.2.66", 5060)).error
        if error is not None:
            raise error


def main() -> None:
    """Fuzz, beginning with the messages that the other fuzzers mutate."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds("example.test", "1111")):
            Path(corpus, str(number)).write_bytes(data)
        limit = f"-max_total_time={os.environ.get('FUZZ_SECONDS', '0')}"
        atheris.Setup([sys.argv[0], limit, "-max_len=4000", corpus], Target().receive)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
