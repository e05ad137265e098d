"""Bar charts as SVG: few enough lines to need no library."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 26, 220, 110, 44
COLOURS = ("#2f6f9f", "#d08c3f")


class Bar(NamedTuple):
    """One bar: its name, its parts one after the other, and what stands behind it."""

    name: str
    parts: tuple[float, ...]
    label: str


def bars(title: str, legend: tuple[str, ...], rows: list[Bar]) -> str:
    """A chart of horizontal bars.

    Args:
        title: says the unit, too.
        legend: what the parts of a bar are.
        rows: from top to bottom.
    """
    longest = max((sum(row.parts) for row in rows), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = TOP + ROW * len(rows) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    for i, name in enumerate(legend):
        x = LEFT + i * 130
        lines.append(f'<rect x="{x}" y="26" width="10" height="10" fill="{COLOURS[i]}"/>')
        lines.append(f'<text x="{x + 15}" y="35" font-size="11">{escape(name)}</text>')
    for i, row in enumerate(rows):
        lines += _row(row, TOP + ROW * i, scale)
    return "\n".join([*lines, "</svg>", ""])


def _row(row: Bar, y: int, scale: float) -> list[str]:
    middle = y + ROW - 9
    drawn = [f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(row.name)}</text>']
    x = float(LEFT)
    for part, colour in zip(row.parts, COLOURS, strict=False):
        drawn.append(
            f'<rect x="{x:.1f}" y="{y + 4}" width="{part * scale:.1f}" height="{ROW - 8}"'
            f' fill="{colour}"/>'
        )
        x += part * scale
    return [*drawn, f'<text x="{x + 6:.1f}" y="{middle}">{escape(row.label)}</text>']
