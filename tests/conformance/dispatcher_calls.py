"""Generated calls of dispatcher, on the sets in dispatcher.list.

Round robin and ds_mark_dst are not here: what they leave behind outlives the message.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .calls import Calls

_RULES = ["1=8;2=8", "9=8;2=0", "1=8;", "1", "1=8;2=x", "", "2=0;4=8;1=1", "3=8"]
_PLAIN = ["ds_next_dst", "ds_next_domain", "ds_set_dst", "ds_set_domain"]
_AFTER: list[list[Any]] = [
    *(["pv.get", f"$xavp(_dsdst_[{n}]=>{key})"] for n in range(6) for key in ("uri", "grp")),
    *(["pv.get", "$xavp(_dsctx_=>cnt)"], ["pv.get", "$xavp(_dsdst_=>attrs)"]),
]


def dispatcher_calls() -> Calls:
    """Destinations are selected and gone through."""
    groups, algorithms = (
        st.sampled_from([1, 1, 2, 2, 3, 4, 9]),
        st.sampled_from([0, 1, 2, 3, 8, 14]),
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
    made = st.lists(call, min_size=1, max_size=4)
    seen: list[list[Any]] = [["pv.get", "$du"], ["pv.get", "$ru"]]
    return made.map(lambda chosen: [c for one in chosen for c in (one, *seen)] + _AFTER)
