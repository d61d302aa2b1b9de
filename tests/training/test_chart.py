"""The chart: every point where its axes say, every line in the legend, whatever the labels hold."""

import xml.etree.ElementTree as ET

import pytest

from training.chart import HEIGHT, LEFT, TOP, WIDTH, Axis, Point, Series, Tick, draw_lines, even_axis

SVG = "{http://www.w3.org/2000/svg}"
ACROSS, UP = even_axis("words", 0, 100), Axis("BLEU", [Tick(20, "twenty"), Tick(40, "forty")])


def dots(picture: ET.Element, colour: str) -> list[tuple[float, float]]:
    """The places of a line's dots."""
    found = [dot for dot in picture.findall(f"{SVG}circle") if dot.get("fill") == colour]
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in found]


def test_an_axis_reaches_from_its_first_tick_to_its_last() -> None:
    ticks = even_axis("share", 0, 1, form=".1f").ticks
    assert [tick.label for tick in ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [UP.share(value) for value in (20, 25, 40)] == [0, 0.25, 1]


def test_points_lie_where_the_axes_say() -> None:
    picture = ET.fromstring(draw_lines("t", ACROSS, UP, [Series("a", [Point(0, 20), Point(50, 30), Point(100, 40)])]))
    corner, middle, end = dots(picture, "#c2410c")
    assert corner == pytest.approx((LEFT, TOP + HEIGHT))
    assert middle == pytest.approx((LEFT + WIDTH / 2, TOP + HEIGHT / 2))
    assert end == pytest.approx((LEFT + WIDTH, TOP))


def test_labels_are_text_and_not_markup() -> None:
    series = [Series("<b> & co", [Point(1, 21)]), Series("other", [Point(2, 22)])]
    picture = ET.fromstring(draw_lines("a < b", ACROSS, UP, series, diagonal=True))
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    assert {"<b> & co", "other", "words", "BLEU", "twenty"} <= set(texts)
    assert len({path.get("stroke") for path in picture.iter(f"{SVG}path") if path.get("class") == "line"}) == 2
    assert sum(path.get("class") == "ideal" for path in picture.iter(f"{SVG}path")) == 1


def test_a_dozen_lines_can_be_told_apart() -> None:
    picture = ET.fromstring(draw_lines("t", ACROSS, UP, [Series(str(n), [Point(n, 30)]) for n in range(12)]))
    lines = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "line"]
    assert len({(path.get("stroke"), path.get("stroke-dasharray")) for path in lines}) == 12
