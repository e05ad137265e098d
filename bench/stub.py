"""How many requests a second our routes take on the stub, on one core.

    PYTHONPATH=stubs .venv/bin/python -m bench.stub

REGISTER with a nonce that is known, INVITE to a binding behind NAT, and OPTIONS: as a test sends
them, with everything that the stub notes about each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ksr_stub import digest
from ksr_stub.builders import invite, options, register
from ksr_stub.harness import Ksr
from ksr_stub.world import use

HOME = Path(__file__).resolve().parents[1]
DOMAIN = "example.test"
PHONE = ("203.0.113.5", 40123)
CALL_ID = "one-phone"
SETTINGS = {
    "SIP_DOMAIN": DOMAIN,
    "DBURL": "sqlite:////nowhere/x.sqlite",
    "RUN_DIR": "/nowhere",
    "SERVER_SECRET": "nonces may be used again, with the next nc",
}


def rates(count: int = 200, rounds: int = 7) -> dict[str, float]:
    """Requests per second of CPU by method, and of all three together.

    Args:
        count: how many of each go to one server, as in a long test; a nonce lasts for 254.
        rounds: how often that is done; the fastest one counts, as in timeit: what is slower has
            been disturbed.
    Raises:
        RuntimeError: a request was not answered as it should be: nothing was measured.
    """
    seconds = {
        name: min(_round(make, count, status) for _ in range(rounds))
        for name, status, make in KINDS
    }
    found = {name: count / taken for name, taken in seconds.items()}
    return {**found, "all": len(KINDS) * count / sum(seconds.values())}


def _round(make: Callable[[Ksr, int], Iterable[bytes]], count: int, status: int) -> float:
    server = _server()
    return _timed(server, list(make(server, count)), status)


def _server() -> Ksr:
    server = Ksr()
    use(server.world)
    server.config(HOME / "kamailio/kamailio.cfg", env=SETTINGS)
    server.load(HOME / "kamailio/kemi.py")
    server.subscribers.add(f"1111@{DOMAIN}", "secret")
    return server


def _timed(server: Ksr, requests: list[bytes], status: int) -> float:
    begin = time.process_time()
    results = [server.receive(data, source=PHONE) for data in requests]
    taken = time.process_time() - begin
    got = {result.replies[0].status if result.replies else 0 for result in results}
    if got != {status}:
        raise RuntimeError(f"answered with {got}, not with {status}")
    return taken


def _registers(server: Ksr, count: int) -> Iterable[bytes]:
    first = server.receive(register("1111", call_id=CALL_ID), source=PHONE)
    challenge = first.reply["WWW-Authenticate"]
    for number in range(1, count + 1):
        proof = digest.credentials(
            challenge, "REGISTER", f"sip:{DOMAIN}", "1111", "secret", nc=number
        )
        yield register("1111", headers={"Authorization": proof}, call_id=CALL_ID, cseq=number + 1)


def _invites(server: Ksr, count: int) -> Iterable[bytes]:
    server.receive(next(iter(_registers(server, 1))), source=PHONE)
    for _ in range(count):
        yield invite(f"sip:1111@{DOMAIN}", sender="sip:stranger@other.test")


def _options(_server: Ksr, count: int) -> Iterable[bytes]:
    return (options(f"sip:{DOMAIN}") for _ in range(count))


KINDS = (("REGISTER", 200, _registers), ("INVITE", 100, _invites), ("OPTIONS", 200, _options))

if __name__ == "__main__":
    for name, rate in rates().items():
        print(f"{name:10}{rate:8.0f} requests/s")
