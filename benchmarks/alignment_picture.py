"""Draws a translation with its word alignment as an SVG: the picture in the README.

TEXT="My daughter is ill and has to stay at home today."
python benchmarks/alignment_picture.py "$TEXT" --from en --to de --output docs/alignment.svg

Source words stand above, target words below; a curve joins words that belong together, the stronger the more of the
target word came from there.
"""

import argparse
from html import escape
from pathlib import Path

from translator.inference import Translation, Translator
from translator.text import words

CHARACTER_WIDTH, WORD_GAP, TOP, BOTTOM, MARGIN = 11.0, 18.0, 34.0, 128.0, 24.0
STYLE = """
  text { font: 500 18px ui-sans-serif, system-ui, sans-serif; fill: #1d2433; text-anchor: middle; }
  path { fill: none; stroke: #c2410c; stroke-linecap: round; }
  rect { fill: #fffdf9; }
  @media (prefers-color-scheme: dark) { text { fill: #eceae4; } path { stroke: #fb923c; } rect { fill: #16181d; } }
"""

Span = tuple[int, int]


def main() -> None:
    """Translates one text and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--from", dest="source", default="en")
    parser.add_argument("--to", dest="target", default="de")
    parser.add_argument("--model", help="checkpoint folder or name of a built-in model")
    parser.add_argument("--output", type=Path, default=Path("docs/alignment.svg"))
    options = parser.parse_args()
    translator = Translator.load(options.model)
    [translation] = translator.translate([options.text], source=options.source, target=options.target)
    options.output.write_text(draw(translation), encoding="utf-8")
    print(f"{translation.text}  →  {options.output}")


def draw(translation: Translation) -> str:
    """Returns the SVG of a short translation."""
    above = _centres(translation.source_text)
    below = _centres(translation.text)
    width = max(_width(translation.source_text), _width(translation.text))
    shift_above = (width - _width(translation.source_text)) / 2
    shift_below = (width - _width(translation.text)) / 2
    curves = [
        _curve(
            above[link.source_start, link.source_end] + shift_above,
            below[link.target_start, link.target_end] + shift_below,
            link.weight,
        )
        for link in translation.alignment
    ]
    labels = _labels(translation.source_text, above, shift_above, TOP - 10)
    labels += _labels(translation.text, below, shift_below, BOTTOM + 22)
    size = f'viewBox="0 0 {width:.0f} {BOTTOM + 42:.0f}" width="{width:.0f}"'
    title = f"<title>{escape(translation.source_text)} → {escape(translation.text)}</title>"
    body = "\n".join(['<rect width="100%" height="100%" rx="10"/>', *curves, *labels])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, title, f"<style>{STYLE}</style>", body, "</svg>", ""])


def _centres(text: str) -> dict[Span, float]:
    """Places words side by side; returns the middle of each, by its span."""
    centres, left = {}, MARGIN
    for start, end in words(text):
        breadth = (end - start) * CHARACTER_WIDTH
        centres[start, end] = left + breadth / 2
        left += breadth + WORD_GAP
    return centres


def _width(text: str) -> float:
    spans = words(text)
    return 2 * MARGIN + sum((end - start) * CHARACTER_WIDTH for start, end in spans) + WORD_GAP * (len(spans) - 1)


def _labels(text: str, centres: dict[Span, float], shift: float, height: float) -> list[str]:
    return [
        f'<text x="{x + shift:.1f}" y="{height:.1f}">{escape(text[start:end])}</text>'
        for (start, end), x in centres.items()
    ]


def _curve(top: float, bottom: float, weight: float) -> str:
    middle = (TOP + BOTTOM) / 2
    path = f"M{top:.1f} {TOP} C{top:.1f} {middle} {bottom:.1f} {middle} {bottom:.1f} {BOTTOM}"
    return f'<path d="{path}" stroke-width="{1 + 3 * weight:.1f}" opacity="{0.25 + 0.7 * weight:.2f}"/>'


if __name__ == "__main__":
    main()
