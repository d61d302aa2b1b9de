"""Draws how runs learned: BLEU and dev loss over the updates, from what TensorBoard holds.

    python benchmarks/learning_curves.py RUN [RUN ...] --picture docs/learning.svg

Runs that went on from each other are given in their order and drawn as one. BLEU is of the dev sets that the run chose
its checkpoints by, greedy search; the loss is drawn as perplexity, exp of nats a token.
"""

import argparse
from math import ceil, exp
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.chart import Point, Series, draw_lines, even_axis

LOSS, BLEU = "loss/dev", "bleu/"


class Value(NamedTuple):
    """One figure of one update, counted from the first run's start."""

    step: int
    value: float


def main() -> None:
    """Reads the runs, prints their figures and draws them."""
    options = _arguments()
    curves = read_curves(options.runs)
    if not curves:
        raise SystemExit("None of these runs was validated yet: there is nothing to draw.")
    for name, values in curves.items():
        print(f"{name:<12} " + "  ".join(f"{step:,}: {value:.2f}" for step, value in values))
    options.picture.write_text(draw(curves), encoding="utf-8")
    print(options.picture)


def read_curves(runs: list[Path]) -> dict[str, list[Value]]:
    """Returns the validations of all runs by what was measured: "perplexity", or "BLEU" and the direction."""
    curves: dict[str, list[Value]] = {}
    start = 0
    for run in runs:
        if not (run / "tensorboard").is_dir():
            raise SystemExit(f"There is no {run / 'tensorboard'}; name the folder of a run, such as runs/mine.")
        log = EventAccumulator(str(run / "tensorboard"))
        log.Reload()
        last = start
        for tag in log.Tags()["scalars"]:
            if tag == LOSS or tag.startswith(BLEU):
                name = "perplexity" if tag == LOSS else f"BLEU {tag.removeprefix(BLEU)}"
                found = [Value(start + each.step, each.value) for each in log.Scalars(tag)]
                curves.setdefault(name, []).extend(
                    each._replace(value=exp(each.value)) if tag == LOSS else each for each in found
                )
                last = max(last, *(each.step for each in found))
        start = last
    return curves


def draw(curves: dict[str, list[Value]]) -> str:
    """Returns the SVG of the curves."""
    steps = max(each.step for values in curves.values() for each in values)
    highest = max(each.value for values in curves.values() for each in values)
    across = even_axis("updates", 0, 1000 * ceil(steps / 1000), form=",.0f")
    up = even_axis("BLEU, greedy; perplexity", 0, 10 * ceil(highest / 10))
    series = [Series(name, [Point(step, value, 2.5) for step, value in values]) for name, values in curves.items()]
    return draw_lines("BLEU and perplexity on held-out text over the updates", across, up, series)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, such as runs/mine")
    parser.add_argument("--picture", type=Path, required=True, help="the SVG file to draw into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
