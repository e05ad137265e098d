"""Response times seen from outside, to the microsecond: SIPp's clock has steps of 4 ms."""

from __future__ import annotations

import itertools
import secrets
import socket
import struct
import time
from collections.abc import Callable

from tests.live.digest import credentials
from tests.live.message import Message

from .database import CONTACT, DOMAIN, password, user

SO_TIMESTAMPNS = 35  # socket(7): the kernel stamps a datagram when it arrives
PHONES = 50
PAUSE = 0.005  # seconds
PATIENCE = 5.0


def probe(port: int, size: int, over: Callable[[], bool]) -> list[float]:
    """Register phones one after the other until `over` says so.

    Args:
        port: of the server on 127.0.0.1.
        size: how many subscribers it has.
    Returns:
        Milliseconds from the first REGISTER to the 200, without the time the phone itself takes.
        The first registration of each phone is left out.
    """
    times: list[float] = []
    with phone_of(port) as phone:
        for turn in itertools.count():
            if over() and turn > PHONES:
                break
            taken = _register(phone, turn % min(PHONES, size))
            if turn >= PHONES:
                times.append(taken)
            time.sleep(PAUSE)
    return times


def phone_of(port: int, own_port: int = 0) -> socket.socket:
    """A phone's socket that knows when a datagram came.

    Args:
        port: of the server on 127.0.0.1.
        own_port: 0 for any.
    """
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    phone.settimeout(PATIENCE)
    phone.bind(("127.0.0.1", own_port))
    phone.connect(("127.0.0.1", port))
    return phone


def receive(phone: socket.socket) -> tuple[int, Message]:
    """The next message, and when it came, in nanoseconds of `time.time_ns`."""
    try:
        answer, ancillary, _, _ = phone.recvmsg(65535, 256)
    except TimeoutError:
        raise RuntimeError(f"a REGISTER was not answered within {PATIENCE:g} s") from None
    seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
    return seconds * 10**9 + nanoseconds, Message.parse(answer)


def answer_to(challenged: Message, number: int) -> str:
    """The Authorization header for a 401, with its end of line."""
    challenge = challenged["WWW-Authenticate"]
    proof = credentials(challenge, "REGISTER", f"sip:{DOMAIN}", user(number), password(number))
    return f"Authorization: {proof}\r\n"


def _register(phone: socket.socket, number: int) -> float:
    call = secrets.token_hex(8)
    first, answer = _ask(phone, request(number, call, 1))
    second, answer = _ask(phone, request(number, call, 2, answer_to(answer, number)))
    if answer.status != 200:
        raise RuntimeError(f"the probe was answered: {answer.start_line}")
    return first + second


def _ask(phone: socket.socket, data: bytes) -> tuple[float, Message]:
    sent = time.time_ns()
    phone.send(data)
    came, answer = receive(phone)
    return (came - sent) / 1e6, answer


def request(number: int, call: str, cseq: int, proof: str = "") -> bytes:
    """A REGISTER as SIPp sends it (register.xml).

    Args:
        proof: the Authorization header, with its end of line.
    """
    name = user(number)
    return (
        f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {CONTACT};branch=z9hG4bK{call}{cseq}\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:{name}@{DOMAIN}>;tag={call}\r\n"
        f"To: <sip:{name}@{DOMAIN}>\r\n"
        f"Call-ID: {call}\r\n"
        f"CSeq: {cseq} REGISTER\r\n"
        f"Contact: <sip:{name}@{CONTACT}>\r\n"
        f"{proof}Expires: 3600\r\nContent-Length: 0\r\n\r\n"
    ).encode()
