"""Generated calls of dispatcher, on the sets in dispatcher.list.

`ds_reload` comes first, and the load of the call is taken back at the end: what round robin, loads
and marks leave behind ends with the message.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .calls import Calls

_RULES = [
    *("1=8;2=8", "9=8;2=0", "1=8;", "1", "1=8;2=x", "", "2=0;4=8;1=1", "3=8", "5=10;2=4", "6=13"),
    *("5=12;1=8", "6=4;6=4;6=4"),
]
_ALGORITHMS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14]
_PLAIN = [
    *("ds_next_dst", "ds_next_domain", "ds_set_dst", "ds_set_domain", "ds_mark_dst"),
    *("ds_load_update", "ds_load_unset", "ds_is_from_lists", "ds_reload"),
]
_STATES = ["", "i", "t", "d", "p", "ip", "a", "tp", "ia", "x", "D"]
_URIS = [
    *("sip:192.0.2.1:5060", "sip:192.0.2.2:5060;transport=tcp", "sip:192.0.2.10", "sip:192.0.2.2"),
    *("sip:127.0.0.1", "sip:192.0.2.14;transport=udp", "sips:192.0.2.11", "nonsense", "", "sip:a@"),
    "sip:nowhere.invalid",
]
# the load is taken back from what the last variable names
_UNLOADED: list[list[Any]] = [
    ["pv.sets", "$xavp(_dsdst_=>dstid)", "x"],
    ["dispatcher.ds_load_unset"],
]
_KEYS = ("uri", "grp", "dstid")
_AFTER: list[list[Any]] = [
    *(["pv.get", f"$xavp(_dsdst_[{n}]=>{key})"] for n in range(6) for key in _KEYS),
    *(["pv.get", "$xavp(_dsctx_=>cnt)"], ["pv.get", "$xavp(_dsdst_=>attrs)"]),
]


def dispatcher_calls() -> Calls:
    """Destinations are selected and gone through."""
    groups, algorithms = (
        st.sampled_from([1, 1, 2, 2, 3, 4, 5, 5, 5, 6, 6, 7, 7, 8, 9, 99, -1]),
        st.sampled_from(_ALGORITHMS),
    )
    limits = st.sampled_from([0, 1, 2, 9])
    names = st.sampled_from(["ds_select", "ds_select_dst", "ds_select_domain"])
    call = st.builds(lambda name, *rest: [f"dispatcher.{name}", *rest], names, groups, algorithms)
    call |= st.builds(
        lambda name, *rest: [f"dispatcher.{name}_limit", *rest], names, groups, algorithms, limits
    )
    call |= st.builds(
        lambda rules, mode, limit: ["dispatcher.ds_select_routes_limit", rules, mode, limit],
        st.sampled_from(_RULES),
        st.sampled_from("dr0x12z"),
        limits,
    )
    call |= st.sampled_from(_PLAIN).map(lambda name: [f"dispatcher.{name}"])
    call |= groups.map(lambda group: ["dispatcher.ds_is_active", group])
    call |= st.sampled_from(_STATES).map(lambda text: ["dispatcher.ds_mark_dst_state", text])
    call |= groups.map(lambda group: ["dispatcher.ds_list_exists", group])
    call |= groups.map(lambda group: ["dispatcher.ds_is_from_list", group])
    modes = st.integers(0, 7)
    call |= st.builds(
        lambda group, mode: ["dispatcher.ds_is_from_list_mode", group, mode], groups, modes
    )
    call |= st.builds(
        lambda group, mode, uri: ["dispatcher.ds_is_from_list_uri", group, mode, uri],
        groups,
        modes,
        st.sampled_from(_URIS),
    )
    call |= st.builds(
        lambda group, uri: ["dispatcher.ds_is_active_uri", group, uri],
        groups,
        st.sampled_from(_URIS),
    )
    made = st.lists(call, min_size=1, max_size=7)
    shown = ("$du", "$ru", "$fs", "$br", "$(branch(uri)[*])", "$avp(set)", "$avp(attrs)")
    seen: list[list[Any]] = [["pv.get", name] for name in shown]
    return made.map(
        lambda chosen: [
            ["dispatcher.ds_reload"],
            *(c for one in chosen for c in (one, *seen)),
            *_AFTER,
            *_UNLOADED,
        ]
    )
