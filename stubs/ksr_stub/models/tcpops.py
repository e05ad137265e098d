"""Module tcpops: the connection that a message came by (modules/tcpops)."""

from __future__ import annotations

import attrs

from ksr_stub.pv.table import one_of, variable
from ksr_stub.pv.values import Value
from ksr_stub.registry import model
from ksr_stub.world import World


@attrs.define(eq=False)
class Lifetimes:
    """Seconds without traffic that a script gave a connection, by its id."""

    seconds: dict[int, int] = attrs.Factory(dict)


@variable("tcp", inner=one_of("c_si", "c_sp", "conid"))
def connection(world: World, inner: str, index: object) -> Value:
    """The connection that the message came by: address and port of the client, its number."""
    message = world.msg
    if message.proto == "udp":
        return None
    values: dict[str, Value] = {
        "c_si": message.source.host, "c_sp": message.source.port, "conid": message.connection,
    }  # fmt: skip
    return values[inner]


@model("tcpops")
def tcp_set_connection_lifetime(world: World, time: int) -> int:
    """Let the connection of the message live so many seconds without traffic.

    Returns:
        1; -1 for a negative time, and for a message that came by UDP.
    """
    message = world.msg
    if message.proto == "udp":
        world.say(-1, "tcpops: the current message does not belong to a TCP connection")
        return -1
    if time < 0:
        world.say(-1, f"tcpops: invalid timeout value: {time}")
        return -1
    world.part(Lifetimes).seconds[message.connection] = time
    return 1
