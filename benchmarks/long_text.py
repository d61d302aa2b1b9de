"""Whether translations get worse as texts get longer: BLEU by length, in a table and a picture.

    python benchmarks/long_text.py [--data ../shared/data/everyday] [--sentences 600] [--picture docs/long-text.svg]

The same held-out sentences are joined to texts of more and more words, so that only the length differs. Joined by
spaces, a text is cut into its sentences again before the model sees it, which is what users get. Joined by semicolons,
their own final stops taken off, it is one long sentence, and shows how far the model itself reaches; one with more
pieces than the manifest calls usual is cut at a clause.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU

from training.chart import Axis, Point, Series, Tick, draw_lines, even_axis
from training.evaluation import TestSet, read_held_out
from translator.errors import CarouselError
from translator.inference import Translator

ROOT = Path(__file__).parents[1]
LENGTHS = (0, 10, 20, 40, 60, 90, 120)
"""A text takes sentences in until it has so many words; 0 is every sentence alone."""
SENTENCES, ONE_SENTENCE = "sentences", "one sentence"
STOPS = ".?!… "


def main() -> None:
    """Prints a row for each direction, way of joining and length, and draws them."""
    options = _arguments()
    translator = Translator.load(options.model)
    print(f"{translator.name}, {translator.compute_type}, the first {options.sentences:,} sentences of dev\n")
    heads = ["alone", *(f"{length} words" for length in LENGTHS[1:])]
    print(f"| direction, joined as | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}")
    series, metric = [], BLEU()
    for source, target in translator.manifest.directions:
        whole = _dev(options.data, source, target, options.sentences)
        for name, join in ((SENTENCES, " ".join), (ONE_SENTENCE, _as_one)):
            scores = [_bleu(translator, _joined(whole, length, join), metric) for length in LENGTHS]
            print(f"| {source} → {target}, {name} | {' | '.join(f'{score:.2f}' for score in scores)} |", flush=True)
            points = [Point(float(place), score) for place, score in enumerate(scores)]
            series.append(Series(f"{source} → {target}, joined as {name}", points))
    print(f"\nBLEU: {metric.get_signature()}")
    if options.picture:
        across = Axis("words in a text, at least", [Tick(float(place), head) for place, head in enumerate(heads)])
        best = max(point.y for each in series for point in each.points)
        up = even_axis("BLEU", 0, 10 * (best // 10 + 1))
        options.picture.write_text(draw_lines("BLEU by length of text", across, up, series), encoding="utf-8")
        print(options.picture)


def _bleu(translator: Translator, text: TestSet, metric: BLEU) -> float:
    answers = translator.translate(text.sources, source=text.source, target=text.target)
    return float(metric.corpus_score([answer.text for answer in answers], text.references).score)


def _dev(data: Path, source: str, target: str, sentences: int) -> TestSet:
    whole = read_held_out(data, source=source, target=target)
    return TestSet(whole.name, source, target, whole.sources[:sentences], [whole.references[0][:sentences]])


def _as_one(lines: Sequence[str]) -> str:
    """Joins sentences to one: only the last keeps its stop."""
    return "; ".join([*(line.rstrip(STOPS) or line for line in lines[:-1]), *lines[-1:]])


def _joined(whole: TestSet, words: int, join: Callable[[Sequence[str]], str]) -> TestSet:
    cuts = list(_cuts(whole.sources, words))
    sides = [[join(lines[start:end]) for start, end in pairwise(cuts)] for lines in (whole.sources, *whole.references)]
    return TestSet(whole.name, whole.source, whole.target, sides[0], sides[1:])


def _cuts(lines: Sequence[str], words: int) -> Iterator[int]:
    """Yields where one text ends and the next begins."""
    yield 0
    held = 0
    for number, line in enumerate(lines, start=1):
        held += len(line.split())
        if held >= words or number == len(lines):
            yield number
            held = 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/everyday", help="folder of the sets")
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--sentences", type=int, default=600, help="sentences of each set (600)")
    parser.add_argument("--picture", type=Path, default=None, help="draw into this SVG file")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
