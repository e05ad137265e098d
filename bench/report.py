"""docs/performance.md and its charts, from the results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from . import targets
from .charts import Bar, bars
from .measure import Plan
from .results import Results
from .servers import CONFIGURATIONS

BEGIN, END = "<!-- results: written by `make bench` -->", "<!-- end of results -->"
TITLES = {config.name: config.title for config in CONFIGURATIONS}
COST = ("Configuration", "Kamailio, us", "PostgreSQL, us", "together, us", "of the article's")


def write(results: Results, plan: Plan, page: Path) -> None:
    """Put the results between their marks in the page, and the charts beside it."""
    text = page.read_text() if page.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{table(results, plan)}\n{END}{after}")
    for name, chart in charts(results, plan).items():
        (page.parent / name).write_text(chart)


def table(results: Results, plan: Plan) -> str:
    """All results as Markdown."""
    versions = ", ".join(f"{k} {v}" for k, v in results.data.get("versions", {}).items())
    machine = results.data["machine"]
    parts = [
        f"Measured {results.data['date']} on {machine['processor']}, {machine['cores']} cores,"
        f" {machine['memory']}; {versions}. Medians of {plan.rounds} rounds.\n",
        _targets(results, plan),
    ]
    for size in results.sizes():
        parts.append(_registration(results, size))
    size = plan.middle
    title = "Challenged registration of phones that say something else each time (another Expires)"
    parts.append(_costs(title, "anew", results, size))
    parts.append(_rates(results, size))
    parts.append(_costs("Refresh with a known nonce", "refresh", results, size))
    parts.append(_costs("Refusing a REGISTER without credentials", "refuse", results, size))
    parts.append(
        _costs("A call between two phones behind NAT, INVITE to BYE", "call", results, size)
    )
    parts.append(_latency(results, size))
    parts.append(_upkeep(results))
    notes = "".join(f"- {note}\n" for note in results.data["notes"])
    return "\n".join(part for part in (*parts, notes and f"Notes of the run:\n\n{notes}") if part)


def charts(results: Results, plan: Plan) -> dict[str, str]:
    """The charts, by file name."""
    drawn = {}
    for load, title in (
        ("register", "CPU for one challenged registration"),
        ("call", "CPU for one call, INVITE to BYE"),
    ):
        rows = [
            Bar(
                TITLES[name],
                (kamailio or 0, postgres or 0),
                f"{(kamailio or 0) + (postgres or 0):.0f}",
            )
            for name in _measured(load, results, plan.middle)
            for kamailio in [results.median(load, plan.middle, name, "kamailio")]
            for postgres in [results.median(load, plan.middle, name, "postgres")]
        ]
        if rows:
            heading = f"{title} at {plan.middle:,} bindings, in microseconds"
            drawn[f"performance-{load}.svg"] = bars(heading, ("Kamailio", "PostgreSQL"), rows)
    rates = [
        Bar(TITLES[name], (rate,), f"{rate:,.0f}")
        for name in _measured("burst", results, plan.middle)
        if (rate := results.median("burst", plan.middle, name, "rate")) is not None
    ]
    if rates:
        heading = f"Registrations a second on one core, {plan.middle:,} bindings"
        drawn["performance-rate.svg"] = bars(heading, ("registrations/s",), rates)
    return drawn


def _targets(results: Results, plan: Plan) -> str:
    rows = [
        (target.words, f"{target.limit:g}",
         "not measured" if found is None else f"{found:.{0 if found > 100 else 2}f}",
         "" if found is None else "reached" if target.reached(found) else "**missed**")
        for target, found in targets.compare(results, plan)
    ]  # fmt: skip
    return "### Targets\n\n" + _markdown(("Ratio", "Target", "Measured", ""), rows)


def _registration(results: Results, size: int) -> str:
    found = _measured("register", results, size)
    if not found:
        return ""
    rows = []
    floor = results.cpu("register", size, "floor")
    for name in found:
        cost = _cost_row("register", name, results, size)
        own = results.cpu("register", size, name)
        rate = results.median("register", size, name, "rate") or 0
        # where the server had time to spare, the load was the limit
        busy = (results.median("register", size, name, "busy") or 0) > 0.9
        rows.append((*cost, f"{own / floor:.2f}" if own and floor else "",
                     f"{'' if busy else '> '}{rate:,.0f}"))  # fmt: skip
    heading = f"### Challenged registration at {size:,} subscribers and bindings\n\n"
    return heading + _markdown((*COST, "of the floor", "registrations/s"), rows)


def _rates(results: Results, size: int) -> str:
    found = _measured("burst", results, size)
    rates = {name: results.median("burst", size, name, "rate") or 0 for name in found}
    base = rates.get("article")
    rows = [
        (TITLES[name], f"{rate:,.0f}", f"{rate / base:.2f}" if base else "")
        for name, rate in rates.items()
    ]
    names = ("Configuration", "registrations/s", "of the article's")
    words = "### Registrations a second where the server is the limit\n\n"
    return words + _markdown(names, rows) if rows else ""


def _costs(title: str, load: str, results: Results, size: int) -> str:
    rows = [_cost_row(load, name, results, size) for name in _measured(load, results, size)]
    base = "of the article's" if load != "call" else "of stock kamailio.cfg"
    return f"### {title}\n\n" + _markdown((*COST[:-1], base), rows) if rows else ""


def _cost_row(load: str, name: str, results: Results, size: int) -> tuple[str, ...]:
    base = results.cpu(load, size, "stock" if load == "call" else "article")
    own = results.cpu(load, size, name)
    parts = [results.median(load, size, name, part) for part in ("kamailio", "postgres")]
    ratio = f"{own / base:.2f}" if own is not None and base else ""
    return (TITLES[name], *(f"{part or 0:.1f}" for part in parts), f"{own or 0:.1f}", ratio)


def _latency(results: Results, size: int) -> str:
    rows = [
        (TITLES[name], *(f"{results.median('latency', size, name, field) or 0:,.{digits}f}"
                         for field, digits in (("rate", 0), ("p50", 2), ("p99", 2), ("p99.9", 2))))
        for name in _measured("latency", results, size)
    ]  # fmt: skip
    names = ("Configuration", "registrations/s", "p50, ms", "p99, ms", "p99.9, ms")
    words = (
        "### Latency of a challenged registration at half the rate of the closed load\n\n"
        "That is half of saturation, or less where SIPp was the limit.\n\n"
    )
    return words + _markdown(names, rows) if rows else ""


def _upkeep(results: Results) -> str:
    rows = []
    for size in results.sizes():
        for name in _measured("start", results, size):
            used = results.median("start", size, name, "shared_memory") or 0
            writes = results.cpu("write", size, name)
            rows.append((
                f"{size:,}", TITLES[name], f"{results.median('start', size, name, 'seconds'):.1f}",
                _per_binding(results, size, name), f"{used / 1e6:,.0f}",
                f"{writes:.0f}" if writes is not None else "",
            ))  # fmt: skip
    names = ("Bindings", "Configuration", "start, s", "shared memory a binding, bytes",
             "shared memory, MB", "writing a binding behind, us")  # fmt: skip
    return (
        "### Start, memory, and the writing of bindings\n\n" + _markdown(names, rows)
        if rows
        else ""
    )


def _measured(load: str, results: Results, size: int) -> list[str]:
    """The configurations of which there are samples, as they stand in the list of all."""
    found = results.samples(load, size)
    return [name for name in TITLES if name in found]


def _per_binding(results: Results, size: int, name: str) -> str:
    smallest = min(results.sizes())
    few, many = (results.median("start", n, name, "shared_memory") for n in (smallest, size))
    if size == smallest or few is None or many is None or name == "floor":
        return ""
    return f"{(many - few) / (size - smallest):,.0f}"


def _markdown(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
