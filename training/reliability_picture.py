"""A reliability diagram as an SVG: confidence against the share that was right, a line a direction.

Source: Guo et al. 2017, figure 1.
"""

from collections.abc import Sequence
from html import escape

from training.calibration import Reliability

SIZE, MARGIN, LEGEND_LINE = 360.0, 56.0, 22.0
DOT_AREA = 900.0  # of all sentences together
COLOURS = ("#c2410c", "#0f766e", "#4338ca", "#a16207", "#be185d", "#15803d")
STYLE = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1d2433; }
  .middle { text-anchor: middle; } .end { text-anchor: end; }
  .ground { fill: #fffdf9; } .grid { stroke: #d9d4c9; } .ideal { stroke: #8a8578; stroke-dasharray: 5 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #eceae4; } .ground { fill: #16181d; } .grid { stroke: #34373f; }
  }
"""


def draw(found: Sequence[Reliability]) -> str:
    """Returns the SVG of the reliability of one or several directions."""
    width, height = SIZE + 2 * MARGIN, SIZE + 2 * MARGIN + LEGEND_LINE * len(found)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    title = "<title>How often translations of a given confidence are right</title>"
    ground = '<rect class="ground" width="100%" height="100%" rx="10"/>'
    lines = [line for number, each in enumerate(found) for line in _direction(each, number)]
    return "\n".join([head, title, f"<style>{STYLE}</style>", ground, *_axes(), *lines, "</svg>", ""])


def _axes() -> list[str]:
    parts = []
    for tenth in range(0, 11, 2):
        share = tenth / 10
        x, y = _place(share, share)
        parts += [
            f'<path class="grid" d="M{x:.1f} {MARGIN} V{MARGIN + SIZE} M{MARGIN} {y:.1f} H{MARGIN + SIZE}"/>',
            f'<text class="middle" x="{x:.1f}" y="{MARGIN + SIZE + 18}">{share:.1f}</text>',
            f'<text class="end" x="{MARGIN - 8}" y="{y + 4:.1f}">{share:.1f}</text>',
        ]
    middle = MARGIN + SIZE / 2
    return [
        *parts,
        f'<path class="ideal" d="M{MARGIN} {MARGIN + SIZE} L{MARGIN + SIZE} {MARGIN}"/>',
        f'<text class="middle" x="{middle}" y="{MARGIN + SIZE + 40}">confidence</text>',
        f'<text class="middle" transform="translate(18 {middle}) rotate(-90)">share that was right</text>',
    ]


def _direction(each: Reliability, number: int) -> list[str]:
    colour, total = COLOURS[number % len(COLOURS)], sum(one.sentences for one in each.bins)
    places = [(_place(one.confidence, one.right), one.sentences) for one in each.bins]
    path = " L".join(f"{x:.1f} {y:.1f}" for (x, y), _ in places)
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{max(1.5, (DOT_AREA * sentences / total / 3.14) ** 0.5):.1f}" '
        f'fill="{colour}" fill-opacity="0.75"/>'
        for (x, y), sentences in places
    ]
    known, line = each.calibration, MARGIN + SIZE + 64 + LEGEND_LINE * number
    label = (
        f"{known.source} → {known.target}: {known.sentences:,} sentences, "
        f"expected calibration error {known.expected_calibration_error:.3f}"
    )
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<circle cx="{MARGIN}" cy="{line - 4:.1f}" r="5" fill="{colour}"/>',
        f'<text x="{MARGIN + 14}" y="{line:.1f}">{escape(label)}</text>',
    ]


def _place(confidence: float, right: float) -> tuple[float, float]:
    return MARGIN + SIZE * confidence, MARGIN + SIZE * (1 - right)
