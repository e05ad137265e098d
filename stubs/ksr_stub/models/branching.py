"""Module corex: the functions that add destinations (modules/corex/corex_lib.c)."""

from __future__ import annotations

import re

from ksr_stub import branches
from ksr_stub.branches import Branch
from ksr_stub.registry import model
from ksr_stub.world import World


@model("corex")
def append_branch(world: World) -> int:
    """Put the R-URI into the branch set, and what belongs to it; 1, or -1 where it is full."""
    added = _append(world, "", "")
    message = world.msg
    message.send_socket, message.bflags = None, 0
    message.dst_uri, message.path_vector = None, None
    return added


@model("corex")
def append_branch_uri(world: World, uri: str) -> int:
    """Put a URI into the branch set, with `$du`, Path, socket and flags of the R-URI."""
    return append_branch_uri_q(world, uri, "")


@model("corex")
def append_branch_uri_q(world: World, uri: str, q: str) -> int:
    """As append_branch_uri, with a q value; -1 for one that is none."""
    if not uri:
        return append_branch(world)
    return _append(world, uri, q)


def _append(world: World, uri: str, q: str) -> int:
    value = branches.Q_UNSPECIFIED
    if q:
        parsed = q_value(q)
        if parsed is None:
            world.say(-1, "corex: cannot parse the Q parameter")
            return -1
        value = parsed
    message = world.msg
    branch = Branch(
        uri or message.uri,
        message.dst_uri or "",
        message.path_vector or "",
        message.send_socket,
        value,
        message.bflags,
    )
    return 1 if branches.append(world, branch) else -1


def q_value(text: str) -> int | None:
    """A q value in thousandths, None where it is none."""
    match = re.fullmatch(r"\s*([01]?)(?:\.(\d*))?\s*", text)
    if match is None or not (match[1] or match[2]):
        return None
    value = int(match[1] or 0) * 1000 + int((match[2] or "")[:3].ljust(3, "0"))
    return value if value <= 1000 else None
