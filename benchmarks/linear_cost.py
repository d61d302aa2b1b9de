"""Whether cost grows with the text and no faster: microseconds a source token, in a table and a picture.

    python benchmarks/linear_cost.py [--sentences 10 100 1000 10000 100000] [--picture docs/linear-cost.svg]

One text is translated as a whole, English into German, of so many sentences of the training text, all different (what
is said twice in a text is translated once); short ones several times, other sentences each time, and the median is
told. The memory is the most that the process had so far. What a token costs falls while the batch fills; from there on
it should stay.
"""

import argparse
import gzip
import math
import random
import resource
import statistics
import time
from pathlib import Path

from training.chart import Axis, Point, Series, Tick, draw_lines, even_axis
from translator.catalogue import find_checkpoint
from translator.checkpoint import load_checkpoint
from translator.errors import CarouselError
from translator.inference import Translator

ROOT = Path(__file__).parents[1]
SENTENCES = (10, 100, 1_000, 10_000, 100_000)
REPEATED = 2_000  # sentences that are translated in all, at least, of each length of text


def main() -> None:
    """Prints a row for each length, and draws them."""
    options = _arguments()
    sentences = _sentences(options.source)
    if max(options.sentences) > len(sentences):
        raise SystemExit(f"{options.source} has {len(sentences):,} different sentences, which is less than asked for.")
    tokenizer = load_checkpoint(find_checkpoint(options.model)).tokenizer
    translator = Translator.load(options.model)
    _timed(translator, sentences[:200])
    print(f"{translator.name}, {translator.compute_type}\n")
    print(
        "| sentences | source tokens | seconds | microseconds a source token | peak memory, MB |\n|---|---|---|---|---|"
    )
    points = []
    for count in options.sentences:
        texts = [sentences[start : start + count] for start in range(0, max(count, REPEATED), count)]
        tokens = statistics.mean(sum(map(len, tokenizer.encode_batch(text))) for text in texts)
        seconds = statistics.median(_timed(translator, text) for text in texts)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {count:,} | {tokens:,.0f} | {seconds:.2f} | {1e6 * seconds / tokens:.0f} | {peak:.0f} |", flush=True)
        points.append(Point(math.log10(count), 1e6 * seconds / tokens))
    if options.picture:
        across = Axis("sentences in a text", [Tick(point.x, f"{10**point.x:,.0f}") for point in points])
        highest = 100 * math.ceil(max(point.y for point in points) / 100)
        up = even_axis("microseconds a source token", 0, highest)
        drawn = draw_lines("Cost by length of text", across, up, [Series("en → de, one text", points)])
        options.picture.write_text(drawn, encoding="utf-8")
        print(options.picture)


def _sentences(source: Path) -> list[str]:
    """Returns the whole sentences of a file, each once, in an order of chance that is always the same."""
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        whole = sorted({line.strip() for line in lines if line.strip().endswith((".", "?", "!")) and " " in line})
    return random.Random(0).sample(whole, len(whole))


def _timed(translator: Translator, sentences: list[str]) -> float:
    text = " ".join(sentences)
    started = time.perf_counter()
    translator.translate([text], source="en", target="de")
    return time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = ROOT.parent / "shared/data/everyday/en-de/train.en.gz"
    parser.add_argument("--source", type=Path, default=source, help="English sentences, a line each, gzipped")
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--sentences", type=int, nargs="+", default=list(SENTENCES), help="lengths, ascending")
    parser.add_argument("--picture", type=Path, default=None, help="draw into this SVG file")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
