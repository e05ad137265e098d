"""Module kemix: getters without the text of a variable (namespace `kx`), and defines."""

from __future__ import annotations

import re
from collections.abc import Callable

from ksr_stub import contacts, pv
from ksr_stub.message import ParseError
from ksr_stub.registry import model
from ksr_stub.world import World

# get_, gete_ ('' for null) and getw_ (`<null>`) exist of these
_THREE = {
    "rhost": "$rd", "ruser": "$rU", "fhost": "$fd", "fuser": "$fU", "thost": "$td", "tuser": "$tU",
    "ua": "$ua", "au": "$au", "duri": "$du",
}  # fmt: skip
_ONE = {
    "ruri": "$ru", "ouri": "$ou", "furi": "$fu", "turi": "$tu", "callid": "$ci", "method": "$rm",
    "srcip": "$si", "srcport": "$sp", "srcuri": "$su", "proto": "$proto", "protoid": "$prid",
    "msglen": "$ml", "rcvip": "$Ri", "rcvport": "$Rp", "rcvadvip": "$RAi", "rcvadvport": "$RAp",
    "msgbuf": "$mb", "timestamp": "$Ts",
}  # fmt: skip


def _getter(variable: str, null: str | None) -> Callable[[World], str | int | None]:
    def get(world: World) -> str | int | None:
        value = pv.get(world, variable)
        if value is None:
            return null
        return int(value) if isinstance(value, int) else str(value)

    return get


for _name, _variable in _THREE.items():
    model("kx", f"get_{_name}")(_getter(_variable, None))
    model("kx", f"gete_{_name}")(_getter(_variable, ""))
    model("kx", f"getw_{_name}")(_getter(_variable, "<null>"))
for _name, _variable in _ONE.items():
    model("kx", f"get_{_name}")(_getter(_variable, None))


@model("kx")
def get_nhuri(world: World) -> str | None:
    """Where the request goes next: `$du`, else the R-URI."""
    return world.msg.dst_uri or _getter("$ru", None)(world)  # type: ignore[return-value]


def _contact(null: str | None) -> Callable[[World], str | None]:
    def get(world: World) -> str | None:
        """The URI of the first Contact."""
        try:
            every = contacts.all_of(world.msg)
        except ParseError:
            return null
        header = world.msg.first("contact")
        first = [one for one in every if one.header is header]
        return world.msg.buf[first[0].start : first[0].end] if first else null

    return get


for _prefix, _null in (("get", None), ("gete", ""), ("getw", "<null>")):
    model("kx", f"{_prefix}_cturi")(_contact(_null))


@model("kx")
def get_send_sock(world: World) -> str | None:
    """The socket that was forced, None without one."""
    forced = world.msg.send_socket
    return None if forced is None else str(forced)


@model("kx")
def get_send_sock_name(world: World) -> str | None:
    """The name of the socket that was forced, None without."""
    forced = world.msg.send_socket
    return None if forced is None else forced.name or None


@model("kx")
def get_send_sock_port(world: World) -> int:
    """The port of the socket that was forced, 0 without one."""
    forced = world.msg.send_socket
    return 0 if forced is None else forced.port


@model("kx")
def get_rcv_sock_name(world: World) -> str | None:
    """The name of the socket that the message came to, None without."""
    return world.msg.socket.name or None


@model("kx")
def get_rcvaddr_sock(world: World) -> str:
    """The socket that the message came to."""
    return str(world.msg.socket)


@model("kx")
def get_srcaddr_sock(world: World) -> str:
    """Where the message came from, as `proto:host:port`."""
    source = world.msg.source
    host = f"[{source.host}]" if ":" in source.host else source.host
    return f"{world.msg.proto}:{host}:{source.port}"


@model("kx")
def get_status(world: World) -> int:
    """The status of a reply, -1 in a request."""
    return world.msg.status or -1


@model("kx")
def gets_status(world: World) -> str | None:
    """The status of a reply as text."""
    return None if world.msg.is_request else str(world.msg.status)


@model("kx")
def get_body(world: World) -> str | None:
    """The body, None without one."""
    return world.msg.body or None


@model("kx")
def gete_body(world: World) -> str:
    """The body, '' without one."""
    return world.msg.body


@model("kx")
def getw_body(world: World) -> str:
    """The body, `<null>` without one."""
    return world.msg.body or "<null>"


@model("kx")
def get_bodylen(world: World) -> int:
    """The length of the body."""
    return len(world.msg.body)


@model("kx")
def get_conid(world: World) -> int:
    """The id of the TCP connection, -1 for UDP."""
    return world.msg.connection or -1


@model("kx")
def get_msgtype(world: World) -> int:
    """1: request, 2: reply."""
    return 1 if world.msg.is_request else 2


@model("kx")
def get_def(world: World, dname: str) -> str:
    """The text of a `#!define`, with its quotes; '' if it is not defined."""
    return world.defines.get(dname, "")


@model("kx")
def get_defn(world: World, dname: str) -> int:
    """The number of a `#!define`, 0 where it is none."""
    return _number(world.defines.get(dname, ""))


@model("kx", "ifdef")
def is_defined(world: World, dname: str) -> bool:
    """Whether something is defined."""
    return dname in world.defines


@model("kx", "ifndef")
def is_not_defined(world: World, dname: str) -> bool:
    """Whether something is not defined."""
    return dname not in world.defines


@model("kx")
def get_env(world: World, envar: str) -> str:
    """A variable of the environment, '' without it."""
    return world.environ.get(envar, "")


@model("kx")
def get_envn(world: World, envar: str) -> int:
    """A variable of the environment as a number, 0 where it is none."""
    return _number(world.environ.get(envar, ""))


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else 0
