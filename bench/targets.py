"""The ratios that this project promises, and what a run gave."""

from __future__ import annotations

from attrs import frozen

from .measure import Plan
from .results import Results


@frozen
class Target:
    """A ratio, and its limit: at most, or at least."""

    words: str
    limit: float
    at_least: bool = False

    def reached(self, found: float) -> bool:
        """Whether a measured ratio is good enough."""
        return found >= self.limit if self.at_least else found <= self.limit


def compare(results: Results, plan: Plan) -> list[tuple[Target, float | None]]:
    """Every target with the ratio measured; None where something is missing."""
    few, middle, many = plan.sizes[0], plan.middle, plan.sizes[-1]

    def cpu(load: str, one: str, other: str) -> float | None:
        return ratio(results.cpu(load, middle, one), results.cpu(load, middle, other))

    growth = ratio(
        results.cpu("register", many, "ours-warm"), results.cpu("register", few, "ours-warm")
    )
    rates = [results.median("burst", middle, n, "rate") for n in ("ours-warm", "article")]
    stub = results.data.get("stub", {}).get("all")
    warm = "warm registration, CPU:"
    return [
        (Target(f"{warm} of the article's", 0.22), cpu("register", "ours-warm", "article")),
        (Target(f"{warm} of the floor", 2.2), cpu("register", "ours-warm", "floor")),
        (Target(f"{warm} {many:,} bindings, of {few:,}", 1.3), growth),
        (Target("warm registration, rate: of the article's", 3.5, True), ratio(*rates)),
        (Target("cold registration, CPU: of the article's", 1.0),
         cpu("register", "ours-cold", "article")),
        (Target("call, CPU: of stock kamailio.cfg", 1.15), cpu("call", "ours-warm", "stock")),
        (Target("refusal, CPU: of the article's", 1.3), cpu("refuse", "ours-warm", "article")),
        (Target("refusal, CPU: of stock kamailio.cfg", 1.3), cpu("refuse", "ours-warm", "stock")),
        (Target("requests/s through the stub", 3000, True), stub),
    ]  # fmt: skip


def ratio(one: float | None, other: float | None) -> float | None:
    """One by the other, where both were measured."""
    return one / other if one is not None and other else None
