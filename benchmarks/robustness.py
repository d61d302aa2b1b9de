"""How the default model copes with text that is not tidy: `make robustness`.

    python benchmarks/robustness.py [--model MODEL] [--kinds tests/robustness] [--answers]

For every direction of the model, and every kind of text: chrF, how far that is below the clean lines', translations
that loop, translations that are empty. `--answers` prints every line with what became of it.
"""

import argparse
from pathlib import Path

from sacrebleu.metrics.chrf import CHRF

from training.robustness import assess, read_kinds
from translator.errors import CarouselError
from translator.inference import Translator

KINDS = Path(__file__).parents[1] / "tests" / "robustness"


def main() -> None:
    """Prints a table for each direction."""
    options = _arguments()
    translator = Translator.load(options.model)
    metric = CHRF()
    metric.corpus_score([""], [[""]])
    print(f"{translator.name}, beam {translator.manifest.decoding.beam_size}, chrF {metric.get_signature()}")
    for source, target in translator.manifest.directions:
        kinds = read_kinds(options.kinds, source=source, target=target)
        reports = assess(translator, kinds, source=source, target=target)
        clean = reports[0].chrf
        print(
            f"\n{source} → {target}\n\n| kind | lines | chrF | below clean | loops | empty |\n|---|---|---|---|---|---|"
        )
        for report in reports:
            below = 100 * (1 - report.chrf / clean)
            print(
                f"| {report.kind} | {report.sentences} | {report.chrf:.1f} | {max(below, 0):.0f} % "
                f"| {report.loops} | {report.empty} |"
            )
            if options.answers:
                for line, text in zip(kinds[report.kind], report.answers, strict=True):
                    print(f"    {line.source} → {text}   [{line.reference}]")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--kinds", type=Path, default=KINDS, help="folder of the text, a file a kind")
    parser.add_argument("--answers", action="store_true", help="print every translation")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
