"""Module pike: who sends too much (modules/pike), as a tree of the bytes of addresses."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ksr_stub.addresses import packed_ip
from ksr_stub.registry import model
from ksr_stub.world import World

BLOCKED, NEWLY_BLOCKED = -1, -2
SHORT = 0xFFFF  # limit and counters have 16 bits


@attrs.define(eq=False)
class Node:
    """One byte of addresses; hits of this and the former sampling unit as [former, now]."""

    hits: list[int] = attrs.Factory(lambda: [0, 0])
    leaf_hits: list[int] = attrs.Factory(lambda: [0, 0])
    kids: dict[int, Node] = attrs.Factory(dict)
    red: bool = False
    is_leaf: bool = False
    expires: float = 0.0

    def is_hot(self, limit: int) -> bool:
        """Whether a whole address has reached the limit, now, before or on average."""
        return _reaches(self.leaf_hits, limit)

    def refresh(self, limit: int) -> None:
        """A new sampling unit begins."""
        for counts in (self.hits, self.leaf_hits):
            counts[:] = [counts[1], 0]
        if self.red and not self.is_hot(limit):
            self.red = False
        for kid in self.kids.values():
            kid.refresh(limit)


@attrs.define(eq=False)
class Pike:
    """The tree."""

    needs_world: ClassVar[bool] = True

    world: World
    roots: dict[int, Node] = attrs.Factory(dict)
    _unit: int = 0

    def __attrs_post_init__(self) -> None:
        self._unit = self._units()

    def hit(self, address: bytes) -> int:
        """Count a request: 1, -2 when it brings the address over the limit, -1 while it is."""
        self._let_time_pass()
        limit = self._limit()
        expires = self.world.clock.now + self.world.param("pike", "remove_latency", 120)
        node = self.roots.get(address[0])
        if node is None:
            self.roots[address[0]] = Node(hits=[0, 1], expires=expires)
            return 1
        depth = 1
        while depth < len(address) and address[depth] in node.kids:
            node = node.kids[address[depth]]
            depth += 1
        if depth == len(address):
            node.expires = expires
            return _mark_leaf(node, limit)
        _count(node.hits)
        if _reaches(node.hits, limit >> 2):
            kid = Node(hits=[0, node.hits[1] - 1], expires=expires)
            kid.leaf_hits[0] = node.leaf_hits[0] - 1 if node.leaf_hits[1] else 0
            node.kids[address[depth]] = kid
        elif node.hits[1] >= limit >> 2:
            node.expires = expires
        return 1

    def _let_time_pass(self) -> None:
        limit = self._limit()
        # after two units nothing of the hits is left
        for _ in range(min(2, self._units() - self._unit)):
            for node in self.roots.values():
                node.refresh(limit)
        self._unit = self._units()
        _prune(self.roots, self.world.clock.now)

    def _limit(self) -> int:
        return self.world.param("pike", "reqs_density_per_unit", 30) & SHORT

    def _units(self) -> int:
        return int(self.world.clock.now // self.world.param("pike", "sampling_time_unit", 2))


@model("pike")
def pike_check_req(world: World) -> int:
    """Count the source of the request: 1, -2 when it is blocked now, -1 while it is blocked."""
    return world.part(Pike).hit(packed_ip(world.msg.source.host))


@model("pike")
def pike_check_ip(world: World, sip: str) -> int:
    """As pike_check_req, for an address; -1 if it is none."""
    try:
        return world.part(Pike).hit(packed_ip(sip))
    except ValueError:
        return -1


def _mark_leaf(node: Node, limit: int) -> int:
    node.is_leaf = True
    _count(node.leaf_hits)
    if node.red:
        return BLOCKED
    if node.is_hot(limit):
        node.red = True
        return NEWLY_BLOCKED
    return 1


def _count(counts: list[int]) -> None:
    counts[1] = min(counts[1] + 1, SHORT - 1)


def _reaches(counts: list[int], limit: int) -> bool:
    return counts[0] >= limit or counts[1] >= limit or sum(counts) >> 1 >= limit


def _prune(nodes: dict[int, Node], now: float) -> None:
    for byte, node in list(nodes.items()):
        _prune(node.kids, now)
        if not node.kids and node.expires <= now:
            del nodes[byte]
