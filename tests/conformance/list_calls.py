"""Generated calls on what is a list: values of headers, iterators, `$xavp` and its kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .calls import Calls

_AFTER: list[list[Any]] = [["textopsx.msg_apply_changes"], ["pv.get", "$mb"]]
# such headers go through no parser but the list's
_PLACES = [
    *("X-A", "x-a", "Supported", "k", "X-B", "X-N", "X-A[1]", "X-A[2]", "X-A[-1]", "X-A[9]"),
    *("X-A[-9]", "X-A[-11]", "X-A[*]", "X-A[]", "X-A[0]", "X-B[2]", "X-B[-1]", "X-N[1]", "X-N[2]"),
    *("Contact.q", "Contact[1].expires", "Contact[*].x", "Diversion.reason", "Refer-To.x"),
    *(" X-A [ 2 ] ", "X-A[2", "X-A[x]", "a_b", "", "X-A.", "X:A", "X-A b", "Privacy.id"),
]
_VALUES = ["One", "v", "path", "100REL", "2", "$ci", "a$$b", "$nope"]


def value_calls() -> Calls:
    """Values of a header's list are looked for, put in and taken out."""
    place, value = st.sampled_from(_PLACES), st.sampled_from(_VALUES)
    checked = st.sampled_from(["include_hf_value", "exclude_hf_value", "hf_value_exists"])
    changed = st.sampled_from(["append_hf_value", "insert_hf_value", "assign_hf_value"])
    calls = st.builds(lambda name, at, one: [f"textopsx.{name}", at, one], checked, place, value)
    calls |= st.builds(
        lambda name, at, one: [f"textopsx.{name}", at, one], changed, place, value | st.just("")
    )
    calls |= place.map(lambda at: ["textopsx.remove_hf_value", at])
    return st.lists(calls, min_size=1, max_size=2).map(lambda chosen: chosen + _AFTER)


_HEADER_STEPS = [
    *("start", "next", "next", "next", "next", "next", "prev", "prev", "end", "rm", "append"),
    *("insert", "hname", "hbody"),
]
_LINE_STEPS = ["start", *["next"] * 5, "end", "rm", "append", "insert", "value"]


def _steps(kind: str, names: list[str], text: str, seen: list[list[Any]]) -> Calls:
    def calls(chosen: list[str]) -> list[list[Any]]:
        made: list[list[Any]] = [[f"textopsx.{kind}_iterator_start", "i"]]
        for name in chosen:
            added = [text] if name in ("append", "insert") else []
            made += [[f"textopsx.{kind}_iterator_{name}", "i", *added], *seen]
        return made

    return st.lists(st.sampled_from(names), min_size=1, max_size=9).map(calls)


def iterator_calls() -> Calls:
    """Iterators over headers and over the body's lines."""
    headers = _steps(
        "hf",
        _HEADER_STEPS,
        "X-N: 1\r\n",
        [["pv.get", f"$hfit{part}(i)"] for part in ("name", "body")],
    )
    lines = _steps("bl", _LINE_STEPS, "new\r\n", [["pv.get", "$blitval(i)"]])
    return st.builds(lambda one, other: one + other + _AFTER, headers, lines)


_ROOTS, _CHILDREN = st.sampled_from("ab"), st.sampled_from("xyz")


def _list_call() -> st.SearchStrategy[list[Any]]:
    kinds = st.sampled_from(["xavp", "xavi", "xavu"])
    values = st.sampled_from(["v", "", "w w"])
    call = st.builds(
        lambda k, r, c, v: [f"pvx.{k}_child_sets", r, c, v], kinds, _ROOTS, _CHILDREN, values
    )
    call |= st.builds(lambda k, r, c: [f"pvx.{k}_child_seti", r, c, -1], kinds, _ROOTS, _CHILDREN)
    call |= st.builds(lambda k, r: [f"pvx.{k}_rm", r], kinds, _ROOTS)
    call |= st.builds(lambda r, c: ["pv.sets", f"$xavp({r}=>{c})", "n"], _ROOTS, _CHILDREN)
    call |= st.builds(
        lambda r, n, to: ["pvx.xavp_copy", r, n, to],
        _ROOTS,
        st.integers(-1, 2),
        st.sampled_from("abA"),
    )
    call |= st.builds(lambda r, to: ["pvx.xavp_copy_dst", r, 0, to, 1], _ROOTS, _ROOTS)
    call |= st.builds(
        lambda k, r, to: [f"pvx.{k}_params_implode", r, to],
        st.sampled_from(["xavp", "xavu"]),
        _ROOTS,
        st.sampled_from(["$var(o)", "$rm", "$nope", ""]),
    )
    call |= _ROOTS.map(lambda r: ["pvx.xavp_params_explode", 'x=1;y="2";z', r])
    call |= st.builds(
        lambda name, r: ["pvx.pv_var_to_xavp", name, r], st.sampled_from(["x", "none"]), _ROOTS
    )
    call |= _ROOTS.map(lambda r: ["pvx.pv_xavp_to_var", r])
    return call | st.sampled_from([["pvx.xavp_getd", "N"], ["pvx.pv_xavp_print"]])


def list_calls() -> Calls:
    """`$xavp`, `$xavi` and `$xavu`, and their lists as a whole."""
    start: list[list[Any]] = [
        ["pvx.xavu_rm", "a"],
        ["pvx.xavu_rm", "b"],
        ["pv.sets", "$var(x)", "v"],
    ]
    start += [["pv.seti", f"$var({name})", 0] for name in "yzo"]
    seen = [["pvx.xavp_params_implode", root, "$var(o)"] for root in "abA"]
    after = [call for one in seen for call in (one, ["pv.get", "$var(o)"])]
    after += [["pv.get", f"$xavp(a[{n}]=>{child})"] for n in range(3) for child in "xyz"]
    after += [["pv.get", f"$var({name})"] for name in "xyz"]
    return st.lists(_list_call(), min_size=4, max_size=9).map(lambda made: start + made + after)
