"""Directions that no corpus taught: through English, or asked of the model directly (zero-shot)?

    python benchmarks/zero_shot.py --model everyday [--data ../shared/data/everyday] [--sentences 500]

The corpora pair English with other languages. Sentences that share an English side make test sets of the other pairs;
the dev files share about twenty, so these come from the training files. The model has read either side of each beside
English, but never one beside the other; both ways have that advantage alike.
"""

import argparse
import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path

from training.comparison import compare
from training.corpus import read_pairs
from training.evaluation import TestSet, evaluate
from translator.catalogue import find_checkpoint
from translator.checkpoint import load_checkpoint
from translator.errors import CarouselError
from translator.inference import Translator

ROOT = Path(__file__).parents[1]
HUB = "en"
LEAST_WORDS = 4  # of the English side: words and phrases say little


def main() -> None:
    """Prints a row for each direction."""
    options = _arguments()
    checkpoint = load_checkpoint(find_checkpoint(options.model))
    taught = checkpoint.manifest.directions
    languages = sorted({language for direction in taught for language in direction} - {HUB})
    untaught = tuple(pair for pair in permutations(languages, 2) if pair not in taught)
    through = Translator(checkpoint, compute_type="auto")
    directly = Translator(
        replace(checkpoint, manifest=replace(checkpoint.manifest, directions=taught + untaught)), compute_type="auto"
    )
    texts = {language: _by_english(options.data, language) for language in languages}
    print(f"{through.name}, {through.compute_type}\n")
    print(f"| direction | sentences | BLEU through {HUB} | BLEU directly | p | chrF through {HUB} | chrF directly |")
    print("|---|---|---|---|---|---|---|")
    signatures: dict[str, str] = {}
    for source, target in untaught:
        text = _test_set(texts[source], texts[target], source, target, options.sentences)
        found, other = (evaluate(translator, text) for translator in (through, directly))
        bleu, chrf, _ = compare(found.hypotheses, other.hypotheses, text.references)
        signatures |= {each.metric: each.signature for each in (bleu, chrf)}
        figures = [bleu.ours, bleu.theirs, bleu.p_value, chrf.ours, chrf.theirs]
        row = " | ".join(f"{figure:.2f}" for figure in figures)
        print(f"| {source} → {target} | {len(text.sources)} | {row} |", flush=True)
    print()
    for metric, signature in signatures.items():
        print(f"{metric}: {signature}")


def _by_english(data: Path, language: str) -> dict[str, str]:
    """Returns the sentences of one language by their English side; the first of several."""
    folder, found = data / f"{HUB}-{language}", dict[str, str]()
    for english, text in read_pairs(folder / f"train.{HUB}.gz", folder / f"train.{language}.gz"):
        if len(english.split()) >= LEAST_WORDS and text.strip():
            found.setdefault(english, text)
    return found


def _test_set(sources: Mapping[str, str], targets: Mapping[str, str], source: str, target: str, count: int) -> TestSet:
    """Draws sentences that share an English side, the same ones for both directions of a pair."""
    shared = sorted(sources.keys() & targets.keys())
    drawn = random.Random(1).sample(shared, min(count, len(shared)))
    return TestSet(
        f"{source}-{target}",
        source,
        target,
        [sources[english] for english in drawn],
        [[targets[english] for english in drawn]],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/everyday", help="folder of the corpora")
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--sentences", type=int, default=500, help="for each direction, at most (500)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
