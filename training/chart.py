"""A line chart as an SVG: what people would rather see than read.

A figure is a plain function of its data, so the same measurement draws the same file, and a change shows in a diff.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP, BELOW, LEGEND_LINE = 460.0, 300.0, 60.0, 24.0, 66.0, 22.0
DASHES = ("none", "7 4", "2 4")
COLOURS = ("#c2410c", "#0f766e", "#4338ca", "#a16207", "#be185d", "#15803d")
STYLE = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1d2433; }
  .middle { text-anchor: middle; } .end { text-anchor: end; }
  .ground { fill: #fffdf9; } .grid { stroke: #d9d4c9; } .line { fill: none; stroke-width: 2; }
  .ideal { stroke: #8a8578; stroke-dasharray: 5 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #eceae4; } .ground { fill: #16181d; } .grid { stroke: #34373f; }
  }
"""


class Point(NamedTuple):
    """A dot of a line; `radius` in pixels."""

    x: float
    y: float
    radius: float = 3.0


class Series(NamedTuple):
    """One line and what the legend says of it."""

    label: str
    points: Sequence[Point]


class Tick(NamedTuple):
    """A place on an axis and what is written there."""

    value: float
    label: str


class Axis(NamedTuple):
    """One axis: its name and its ticks, ascending; it reaches from the first to the last."""

    label: str
    ticks: Sequence[Tick]

    def share(self, value: float) -> float:
        """Returns where a value lies on the axis, 0 at its start and 1 at its end."""
        low, high = self.ticks[0].value, self.ticks[-1].value
        return (value - low) / (high - low)


def even_axis(label: str, low: float, high: float, *, steps: int = 5, form: str = "g") -> Axis:
    """Makes an axis of `steps` steps of equal width; `form` is how its numbers are written."""
    values = [low + (high - low) * step / steps for step in range(steps + 1)]
    return Axis(label, [Tick(value, format(value, form)) for value in values])


def draw_lines(title: str, across: Axis, up: Axis, series: Sequence[Series], *, diagonal: bool = False) -> str:
    """Returns the SVG of one or several lines over the same axes.

    Args:
        title: For readers that do not see.
        across: The horizontal axis.
        up: The vertical one.
        series: The lines.
        diagonal: Also draw where both axes are equally far.
    """
    width, height = LEFT + WIDTH + TOP, TOP + HEIGHT + BELOW + LEGEND_LINE * len(series)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    lines = [part for number, each in enumerate(series) for part in _line(each, number, across, up)]
    ideal = f'<path class="ideal" d="M{LEFT} {TOP + HEIGHT} L{LEFT + WIDTH} {TOP}"/>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<rect class="ground" width="100%" height="100%" rx="10"/>',
            *_grid(across, up),
            *[ideal][: int(diagonal)],
            *lines,
            "</svg>",
            "",
        ]
    )


def _grid(across: Axis, up: Axis) -> list[str]:
    parts = []
    for tick in across.ticks:
        x = LEFT + WIDTH * across.share(tick.value)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP} V{TOP + HEIGHT}"/>')
        parts.append(f'<text class="middle" x="{x:.1f}" y="{TOP + HEIGHT + 18}">{escape(tick.label)}</text>')
    for tick in up.ticks:
        y = TOP + HEIGHT * (1 - up.share(tick.value))
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f} H{LEFT + WIDTH}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y + 4:.1f}">{escape(tick.label)}</text>')
    below, middle = TOP + HEIGHT + 40, TOP + HEIGHT / 2
    return [
        *parts,
        f'<text class="middle" x="{LEFT + WIDTH / 2}" y="{below}">{escape(across.label)}</text>',
        f'<text class="middle" transform="translate(16 {middle}) rotate(-90)">{escape(up.label)}</text>',
    ]


def _line(each: Series, number: int, across: Axis, up: Axis) -> list[str]:
    colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
    legend = TOP + HEIGHT + BELOW + LEGEND_LINE * number
    places = [
        (LEFT + WIDTH * across.share(point.x), TOP + HEIGHT * (1 - up.share(point.y)), point.radius)
        for point in each.points
    ]
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places)
    return [
        f'<path class="line" d="M{path}" stroke="{colour}" stroke-dasharray="{dashes}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>' for x, y, radius in places),
        f'<path class="line" d="M{LEFT - 16} {legend - 4:.1f} h30" stroke="{colour}" stroke-dasharray="{dashes}"/>',
        f'<text x="{LEFT + 22}" y="{legend:.1f}">{escape(each.label)}</text>',
    ]
