"""Generated calls about sockets, addresses and extended flags: corex, and the getters of kx."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .calls import Calls

_PLACES = [
    *("", "1.2.3.4", "127.0.0.1", "udp:127.0.0.1", "udp:1.2.3.4:5", "bad::x", "xxx:1.2.3.4:5"),
    *("tcp:127.0.0.1:5", "udp:127.0.0.1:abc", "[::1]:5"),
]
_FLAGS = [0, 1, 31, 32, 63, 64, -1]
_GETTERS = [
    *("get_nhuri", "get_cturi", "gete_cturi", "getw_cturi", "get_rcv_sock_name"),
    *("get_send_sock_name", "get_send_sock", "get_send_sock_port", "get_rcvaddr_sock"),
    "get_srcaddr_sock",
]
_PLAIN: list[list[Any]] = [
    *(["corex.via_add_srvid", 1], ["corex.via_add_xavp_params", 1], ["corex.is_faked_msg"]),
    *(["corex.via_use_xavp_fields", 0], ["corex.file_read", "/none"], ["pv.sets", "$du", "sip:d"]),
    *(["corex.file_write", "/none/x", "a"], ["corex.send_data", "sip:127.0.0.1:9", "x"]),
    *(["corex.send_data", "nope", "x"], ["corex.sendx", "sip:127.0.0.1:9", "udp:1.2.3.4:5", "x"]),
]


def socket_calls() -> Calls:
    """Sockets are chosen, flags set, and what the message says of both."""
    named = ["set_send_socket", "set_recv_socket", "set_send_socket_name", "set_recv_socket_name"]
    named += ["is_socket_name", "set_source_address"]
    place = st.builds(
        lambda name, text: [f"corex.{name}", text], st.sampled_from(named), st.sampled_from(_PLACES)
    )
    flag = st.builds(
        lambda name, number: [f"corex.{name}", number],
        st.sampled_from(["setxflag", "resetxflag", "isxflagset"]),
        st.sampled_from(_FLAGS),
    )
    after: list[list[Any]] = [[f"kx.{name}"] for name in _GETTERS]
    after += [["corex.isxflagset", number] for number in _FLAGS]
    after += [["pv.get", name] for name in ("$si", "$sp", "$fs", "$Ri", "$Rp")]
    made = st.lists(place | flag | st.sampled_from(_PLAIN), min_size=1, max_size=5)
    return made.map(lambda chosen: chosen + after)
