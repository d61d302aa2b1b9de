"""A reliability diagram: confidence against the share that was right, a line a direction, a larger dot for more text.

Source: Guo et al. 2017, figure 1.
"""

from collections.abc import Sequence
from math import sqrt

from training.calibration import Bin, Reliability
from training.chart import Point, Series, draw_lines, even_axis

LARGEST_DOT, LEAST_DOT = 14.0, 1.5


def draw(found: Sequence[Reliability]) -> str:
    """Returns the SVG of the reliability of one or several directions."""
    title = "How often translations of a given confidence are right"
    across, up = (even_axis(label, 0, 1, form=".1f") for label in ("confidence", "share that was right"))
    return draw_lines(title, across, up, [Series(_label(each), _points(each.bins)) for each in found], diagonal=True)


def _label(each: Reliability) -> str:
    known = each.calibration
    error = known.expected_calibration_error
    return f"{known.source} → {known.target}: {known.sentences:,} sentences, calibration error {error:.3f}"


def _points(bins: Sequence[Bin]) -> list[Point]:
    total = sum(each.sentences for each in bins)
    sizes = [max(LEAST_DOT, LARGEST_DOT * sqrt(each.sentences / total)) for each in bins]
    return [Point(each.confidence, each.right, size) for each, size in zip(bins, sizes, strict=True)]
