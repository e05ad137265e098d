"""KSR itself: the log, is_INVITE and its kin, is_myself, flags, the R-URI (core/kemi.c)."""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub import methods, ruri, tobody, via
from ksr_stub import uri as uris
from ksr_stub.branches import current as branch_set
from ksr_stub.message import ParseError
from ksr_stub.pv.spec import Index
from ksr_stub.pv.values import text_of
from ksr_stub.pv.variables import flags
from ksr_stub.pv.variables.network import source_uri
from ksr_stub.registry import model
from ksr_stub.transport import address_family
from ksr_stub.world import World

_LEVELS = {"dbg": 3, "info": 2, "notice": 1, "warn": 0, "err": -1, "crit": -2}
_LETTERS = {
    "i": "INVITE", "a": "ACK", "b": "BYE", "c": "CANCEL", "m": "MESSAGE", "r": "REGISTER",
    "e": "PRACK", "p": "PUBLISH", "s": "SUBSCRIBE", "n": "NOTIFY", "o": "OPTIONS", "f": "REFER",
    "g": "GET", "u": "UPDATE", "k": "KDMQ", "d": "DELETE", "t": "POST", "v": "PUT",
}  # fmt: skip
_PROTO_LETTERS = {"e": "tls", "s": "sctp", "t": "tcp", "u": "udp", "v": "ws", "w": "wss"}
_MAX_FLAG = 31


def _log(name: str, level: int) -> None:
    def say(world: World, text: str) -> None:
        """Write to the log."""
        world.say(level, text)

    model("", name)(say)


for _name, _level in _LEVELS.items():
    _log(_name, _level)


@model("", "log")
def log(world: World, level: str, text: str) -> None:
    """Write to the log with a level by name; one that there is not counts as `err`."""
    world.say(_LEVELS.get(level.lower(), -1), text)


@model("")
def set_drop(world: World) -> None:
    """Let the message (a reply, a branch, what onsend looks at) not be sent."""
    world.drop = True


@model("")
def get_debug(world: World) -> int:
    """The level of the log."""
    return int(world.param("core", "debug", 0))


@model("")
def route(world: World, name: str) -> int:
    """Run a route block of kamailio.cfg: there is none with KEMI."""
    return -1


def _is_method(name: str) -> None:
    def check(world: World) -> bool:
        """Whether the method of the request, or of a reply's CSeq, is this one."""
        return methods.of(world.msg) == name

    model("", f"is_{name}")(check)


for _name in methods.NUMBERS:
    _is_method(_name)


@model("")
def is_method(world: World, names: str) -> bool:
    """Whether the method is one of `A|B|C`; a list may name only methods Kamailio knows."""
    method = methods.of(world.msg)
    known = methods.number(method) != methods.OTHER
    if "|" not in names or not known:
        return bool(names) and method.upper() == names.upper()
    wanted = [name.strip(" \t").upper() for name in names.removesuffix("|").split("|")]
    if any(name not in methods.NUMBERS for name in wanted):
        world.say(-1, f"core: unknown method in list [{names}]")
        return False
    return method in wanted


@model("")
def is_method_in(world: World, letters: str) -> bool:
    """Whether the method is one that the letters stand for; INFO has none."""
    method = methods.of(world.msg)
    if methods.number(method) == methods.OTHER:
        return False
    for letter in letters.lower():
        if letter not in _LETTERS:
            world.say(0, f"core: unsupported method flag: {letter}")
        elif _LETTERS[letter] == method:
            return True
    return False


def _is_proto(name: str, protos: tuple[str, ...]) -> None:
    def came_by(world: World) -> bool:
        """Whether the message came by this transport."""
        return world.msg.proto in protos

    def goes_by(world: World) -> bool:
        """Whether the message goes on by this transport, as the next hop's URI says."""
        return _next_proto(world) in protos

    model("", f"is_{name}")(came_by)
    model("", f"to_{name}")(goes_by)


for _name in ("UDP", "TCP", "TLS", "WS", "WSS", "SCTP"):
    _is_proto(_name, (_name.lower(),))
_is_proto("WSX", ("ws", "wss"))


@model("")
def is_proto(world: World, letters: str) -> bool:
    """Whether the transport is one of e=TLS s=SCTP t=TCP u=UDP v=WS w=WSS."""
    return any(_PROTO_LETTERS.get(letter) == world.msg.proto for letter in letters.lower())


def _next_proto(world: World) -> str:
    message = world.msg
    if not message.is_request:
        second = _second_via(world)
        return "" if second is None else second.proto.lower()
    found = _next_hop(world)
    return "" if found is None else found.parsed_proto


def _second_via(world: World) -> via.Via | None:
    try:
        values = via.all_of(world.msg)
    except ParseError:
        return None
    return values[1] if len(values) > 1 else None


def _next_hop(world: World) -> uris.Uri | None:
    message = world.msg
    text = message.dst_uri or message.new_uri or message.ruri
    found = uris.parse(text)
    if found is None:
        world.say(-1, f"core: failed to parse nh uri [{text}]")
    return found


def _next_family(world: World) -> int:
    if world.msg.is_request:
        found = _next_hop(world)
        return 0 if found is None else address_family(found.host)
    second = _second_via(world)
    return 0 if second is None else address_family(second.get("received") or second.host)


def _is_family(version: int) -> None:
    def came_by(world: World) -> bool:
        """Whether the message came to an address of this family."""
        return (":" in world.msg.socket.host) == (version == 6)

    def goes_by(world: World) -> bool:
        """Whether the next hop is an address (no name) of this family."""
        return _next_family(world) == version

    model("", f"is_IPv{version}")(came_by)
    model("", f"to_IPv{version}")(goes_by)


_is_family(4)
_is_family(6)


@model("")
def is_src_port(world: World, port: int) -> bool:
    """Whether the message came from this port."""
    return world.msg.source.port == port


@model("")
def is_dst_port(world: World, port: int) -> bool:
    """Whether the message came to this port."""
    return world.msg.socket.port == port


@model("")
def is_myself(world: World, text: str) -> bool:
    """Whether a URI, or a bare host, is one of ours; port and transport count where given."""
    if len(text) <= 4 or not text.startswith(("sip:", "sips:")):
        return bool(text) and world.is_myself(text, 0)
    found = uris.parse(text)
    if found is None:
        world.say(-1, f"core: failed to parse uri [{text}]")
        return False
    if not found.host:
        return False
    return world.is_myself(found.host, found.port_number, found.parsed_proto)


@model("")
def is_myself_ruri(world: World) -> bool:
    """Whether the R-URI in force is ours."""
    return world.msg.is_request and is_myself(world, world.msg.uri)


@model("")
def is_myself_duri(world: World) -> bool:
    """Whether there is a destination URI, and it is ours."""
    return world.msg.dst_uri is not None and is_myself(world, world.msg.dst_uri)


@model("")
def is_myself_nhuri(world: World) -> bool:
    """Whether the next hop is ours: the destination URI, else the R-URI."""
    if world.msg.dst_uri is not None:
        return is_myself(world, world.msg.dst_uri)
    return is_myself_ruri(world)


def _is_myself_header(name: str, key: str) -> None:
    def check(world: World) -> bool:
        """Whether the URI of the header is ours."""
        body = tobody.of(world.msg, key)
        return body is not None and is_myself(world, body.uri)

    model("", name)(check)


_is_myself_header("is_myself_furi", "from")
_is_myself_header("is_myself_turi", "to")


@model("")
def is_myself_suri(world: World) -> bool:
    """Whether the message came from one of our sockets."""
    return is_myself(world, text_of(source_uri(world, None, Index())))


@model("")
def is_myself_srcip(world: World) -> bool:
    """Whether the message came from one of our addresses."""
    return world.is_myself(world.msg.source.host, 0)


@model("")
def seturi(world: World, text: str) -> bool:
    """Replace the R-URI, whatever the text is."""
    world.msg.new_uri = text
    return True


@model("")
def setuser(world: World, user: str) -> bool:
    """Replace the user of the R-URI; '' removes user and password."""
    return ruri.rewrite(world, user=user)


@model("")
def sethost(world: World, host: str) -> bool:
    """Replace the host of the R-URI; its port stays."""
    return ruri.rewrite(world, host=host)


@model("")
def setdsturi(world: World, text: str) -> bool:
    """Set the destination URI, whatever the text is; '' resets it."""
    world.msg.dst_uri = text or None
    return True


@model("")
def resetdsturi(world: World) -> bool:
    """Let there be no destination URI."""
    world.msg.dst_uri = None
    return True


@model("")
def isdsturiset(world: World) -> bool:
    """Whether there is a destination URI."""
    return bool(world.msg.dst_uri)


@model("")
def force_rport(world: World) -> bool:
    """Answer to the port that the request came from (RFC 3581)."""
    world.msg.force_rport = True
    return True


@model("")
def add_local_rport(world: World) -> bool:
    """Put rport into the Via that we add."""
    world.msg.add_local_rport = True
    return True


@model("")
def set_forward_no_connect(world: World) -> bool:
    """Forward over TCP only if there is a connection."""
    world.msg.no_connect = True
    return True


def _note(name: str) -> None:
    def remember(world: World) -> bool:
        """A mark for the sending; it always succeeds."""
        world.msg.notes[name] = True
        return True

    model("", name)(remember)


for _name in ("set_forward_close", "set_reply_close", "set_reply_no_connect"):
    _note(_name)


@model("")
def set_advertised_address(world: World, address: str) -> int:
    """Show this host in Via and Record-Route; at most 127 bytes."""
    if len(address) >= 128:
        world.say(-1, "core: addr parameter is too large")
        return 0
    world.msg.notes["advertised_address"] = address
    return 1


@model("")
def set_advertised_port(world: World, port: str) -> int:
    """Show this port in Via and Record-Route; at most 7 bytes."""
    if len(port) >= 8:
        world.say(-1, "core: port parameter is too large")
        return 0
    world.msg.notes["advertised_port"] = port
    return 1


@model("")
def add_tcp_alias(world: World, port: int) -> int:
    """Let requests to this port of the client use its connection."""
    return 1


@model("")
def add_tcp_alias_via(world: World) -> int:
    """Let requests to the port in the client's Via use its connection."""
    return 1


def _in_range(world: World, flag: int) -> bool:
    if 0 <= flag <= _MAX_FLAG:
        return True
    world.say(-1, f"core: invalid flag parameter {flag}")
    return False


def _flag_models(letter: str, kind: str) -> None:
    def change_to(value: bool) -> Callable[[World, int], bool]:
        def change(world: World, flag: int) -> bool:
            """Set or reset a flag from 0 to 31; False for another."""
            if not _in_range(world, flag):
                return False
            flags.change(world.msg, kind, flag, value)
            return True

        return change

    def is_set(world: World, flag: int) -> bool:
        """Whether a flag is set."""
        return _in_range(world, flag) and flags.is_set(world.msg, kind, flag)

    model("", f"set{letter}flag")(change_to(True))
    model("", f"reset{letter}flag")(change_to(False))
    model("", f"is{letter}flagset")(is_set)


_flag_models("", "m")
_flag_models("b", "b")
_flag_models("s", "s")


def _change_branch(world: World, flag: int, branch: int, value: bool) -> bool:
    if not _in_range(world, flag):
        return False
    entries = branch_set(world)
    if branch == 0:
        flags.change(world.msg, "b", flag, value)
    elif 0 < branch <= len(entries):
        entry = entries[branch - 1]
        entry.bflags = entry.bflags | 1 << flag if value else entry.bflags & ~(1 << flag)
    return True


@model("")
def setbiflag(world: World, flag: int, branch: int) -> bool:
    """Set a flag of a branch; 0 is that of the R-URI."""
    return _change_branch(world, flag, branch, True)


@model("")
def resetbiflag(world: World, flag: int, branch: int) -> bool:
    """Reset a flag of a branch."""
    return _change_branch(world, flag, branch, False)


@model("")
def isbiflagset(world: World, flag: int, branch: int) -> bool:
    """Whether a flag of a branch is set; False where there is no such branch."""
    if not _in_range(world, flag):
        return False
    entries = branch_set(world)
    if branch == 0:
        return flags.is_set(world.msg, "b", flag)
    return 0 < branch <= len(entries) and bool(entries[branch - 1].bflags & 1 << flag)
