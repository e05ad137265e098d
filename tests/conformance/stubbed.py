"""The stub, set up like the real Kamailio of `real.py` and asked the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ksr_stub import branches, dispatch, headers, message, world
from ksr_stub.errors import NotModelled
from ksr_stub.message import Address, ParseError, Socket
from ksr_stub.models.permissions import Addresses, Peer
from ksr_stub.world import REPLY, REQUEST, World

from tests.live.requirement import kamailio_version

from .permission_calls import PEERS
from .real import ADDRESSES, DESTINATIONS, Answer

# the stub's answer to what it has no model of, and says so: there is nothing to compare
UNMODELLED = object()


def ask(
    text: str,
    calls: list[list[Any]],
    port: int,
    phone_port: int,
    prepare: Callable[[World], object] = id,
) -> Answer:
    """Make the calls on a message in a new World that was prepared; see RealKamailio.ask.

    Raises:
        Unpredictable: the real one would crash, or read memory that it never filled.
    """
    own = World(
        strict=False,
        version=kamailio_version(),
        sockets=[Socket("udp", "127.0.0.1", port)],
        aliases={"example.test"},
        params={
            ("core", "server_header"): "Server: probe",
            ("core", "log_stderror"): "yes",
            ("dispatcher", "list_file"): str(DESTINATIONS),
            ("dispatcher", "flags"): 2,
            ("dispatcher", "reload_delta"): 0,
            ("dispatcher", "ds_hash_size"): 4,
            ("dispatcher", "hash_pvar"): "$fU $rU",
            ("dispatcher", "setid_pvname"): "$avp(set)",
            ("dispatcher", "attrs_pvname"): "$avp(attrs)",
            ("permissions", "address_file"): str(ADDRESSES),
            ("permissions", "peer_tag_avp"): "$avp(peer)",
            ("permissions", "peer_tag_mode"): 1,
            ("htable", "htable"): ["t=>size=4;"],
        },
    )
    own.part(Addresses).peers.extend(Peer(*row) for row in PEERS)
    prepare(own)
    former = world.use(own)
    try:
        received = message.parse(
            text.encode("latin-1"), Address("127.0.0.1", phone_port), own.sockets[0]
        )
        headers.check(received)
        received.id = own.next_message_id()
        own.message = received
        own.route = REQUEST if received.is_request else REPLY
        branches.clear(own)
        results = [_result(call) for call in calls]
    except ParseError:
        return Answer(None, [])
    finally:
        world.use(former)
    to_phone = [one for one in own.sent if one.to.port == phone_port]
    return Answer(results, [one.data.decode("latin-1") for one in to_phone])


def _result(call: list[Any]) -> object:
    namespace, _, name = call[0].rpartition(".")
    try:
        result = dispatch.function(namespace, name)(*call[1:])
    except NotModelled:
        return UNMODELLED
    except Exception as error:
        return f"!{type(error.__cause__ or error).__name__}"
    return int(result) if isinstance(result, int) and not isinstance(result, bool) else result
