"""`kemi-routes ping`: does the server answer SIP? One OPTIONS, as a phone would send it."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import ssl
import sys
import time
from pathlib import Path

from kemi_routes import settings
from kemi_routes.launch import complete

PATIENCE = 4.0  # seconds
T1 = 0.5  # seconds until a datagram is repeated (RFC 3261 17.1.2.1)
NO_ANSWER = 1
ENOUGH = 4096  # bytes: more than the reply has


def main(argv: list[str]) -> int:
    """Send an OPTIONS to a socket of the server and wait for the 200.

    Args:
        argv: the words after `kemi-routes ping`: a socket, or nothing for the first of LISTEN.
    Returns:
        0 when it was answered with 200, 1 for any other answer or none.
    """
    options = _parse(argv)
    target: str = options.socket or complete(dict(os.environ), options.config)["LISTEN"].split()[0]
    try:
        answer = ask(*settings.sockets(target))
    except (OSError, ValueError) as error:
        answer = str(error)
    print(f"{target}: {answer}", file=sys.stdout if " 200 " in answer else sys.stderr)
    return 0 if answer.startswith("SIP/2.0 200 ") else NO_ANSWER


def ask(target: str) -> str:
    """Send an OPTIONS to a socket such as `udp:192.0.2.1:5060`; the status line of the reply.

    Raises:
        OSError: nothing listens there, or it does not answer in time (TimeoutError).
    """
    proto, _, rest = target.partition(":")
    host, _, port = rest.rpartition(":")
    with _connect(proto, host.strip("[]"), int(port)) as link:
        request = options_request(proto, rest, link.getsockname())
        deadline = time.monotonic() + PATIENCE
        link.settimeout(T1 if proto == "udp" else PATIENCE)
        while True:
            link.sendall(request)
            try:
                return link.recv(ENOUGH).decode(errors="replace").partition("\r\n")[0]
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no answer within {PATIENCE:.0f} s") from None


def options_request(proto: str, place: str, local: tuple[str, int]) -> bytes:
    """An OPTIONS to a server itself (RFC 3261 11.1): its URI has no user.

    Args:
        proto: `udp`, `tcp` or `tls`.
        place: host and port of the server.
        local: address and port of the sender.
    """
    host = f"[{local[0]}]" if ":" in local[0] else local[0]
    uri = f"sip:{place}" + ("" if proto == "udp" else f";transport={proto}")
    lines = [
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{proto.upper()} {host}:{local[1]};rport;branch=z9hG4bK{_token()}",
        "Max-Forwards: 70",
        f"From: <sip:ping@kamailio.invalid>;tag={_token()}",
        f"To: <{uri}>",
        f"Call-ID: {_token()}",
        "CSeq: 1 OPTIONS",
        "User-Agent: kemi-routes ping",
        "Content-Length: 0",
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _connect(proto: str, host: str, port: int) -> socket.socket:
    if proto == "udp":
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        link = socket.socket(family, socket.SOCK_DGRAM)
        link.connect((host, port))
        return link
    link = socket.create_connection((host, port), PATIENCE)
    if proto == "tcp":
        return link
    # whether it answers is the question, not who it is: the certificate may be self-signed
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(link)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kemi-routes ping", description=__doc__)
    parser.add_argument("socket", nargs="?", help="such as udp:192.0.2.1:5060")
    parser.add_argument("--config", type=Path, default=settings.CFG, help="the kamailio.cfg it has")
    return parser.parse_args(argv)


def _token() -> str:
    return secrets.token_hex(8)
