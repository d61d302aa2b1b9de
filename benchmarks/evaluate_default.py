"""Every direction of the default model on its held-out everyday sentences, in one table: `make evaluate-default`.

    python benchmarks/evaluate_default.py [--data ../shared/data/everyday] [--model MODEL] [--compute-type TYPE]
        [--workers N]

The sets lie in a folder a pair, `en-de/dev.en` and `en-de/dev.de`, and serve both directions. The search is the one
that the checkpoint recommends.
"""

import argparse
from pathlib import Path
from typing import get_args

from training.evaluation import Evaluation, evaluate, read_held_out
from translator.compute_type import WantedComputeType
from translator.errors import CarouselError
from translator.inference import Translator

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Prints a row for each direction as it is measured, then the signatures."""
    options = _arguments()
    translator = Translator.load(options.model, compute_type=options.compute_type)
    search = translator.manifest.decoding
    print(f"{translator.name}, {translator.compute_type}, beam {search.beam_size}, alpha {search.length_penalty}\n")
    print("| direction | sentences | BLEU | chrF | TER | sentences/s |\n|---|---|---|---|---|---|")
    found = []
    for source, target in translator.manifest.directions:
        found.append(_measure(translator, options.data, source, target, options.workers))
        scores = " | ".join(f"{each.value:.2f}" for each in found[-1].scores)
        row = f"| {source} → {target} | {found[-1].sentences:,} | {scores} | {found[-1].sentences_per_second:.0f} |"
        print(row, flush=True)
    print()
    for each in found[0].scores:
        print(f"{each.metric}: {each.signature}")


def _measure(translator: Translator, data: Path, source: str, target: str, workers: int) -> Evaluation:
    text = read_held_out(data, source=source, target=target)
    return evaluate(translator, text, workers=workers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/everyday", help="folder of the sets")
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--compute-type", default="auto", choices=get_args(WantedComputeType), help="arithmetic (auto)")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the sentences (1)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
