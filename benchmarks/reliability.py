"""How far the default model's confidence can be trusted: every direction on its held-out sentences, in one picture.

    python benchmarks/reliability.py [--data ../shared/data/everyday] [--model MODEL] [--picture docs/reliability.svg]
                                     [--reports FOLDER]

The sets lie in a folder a pair, `en-de/dev.en` and `en-de/dev.de`, and serve both directions. With `--reports`, what
`carousel export --calibration` takes is written too, a file a direction.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from training.calibration import Reliability, calibrate
from training.evaluation import read_held_out
from training.reliability_picture import draw
from translator.errors import CarouselError
from translator.inference import Translator

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Prints a row for each direction as it is measured, then draws them."""
    options = _arguments()
    translator = Translator.load(options.model)
    print(f"{translator.name}, {translator.compute_type}\n")
    print("| direction | sentences | right | expected calibration error |\n|---|---|---|---|")
    found = []
    for source, target in translator.manifest.directions:
        found.append(_measure(translator, options.data, source, target))
        known = found[-1].calibration
        right = sum(each.right * each.sentences for each in found[-1].bins) / known.sentences
        error = known.expected_calibration_error
        print(f"| {source} → {target} | {known.sentences:,} | {right:.1%} | {error:.3f} |", flush=True)
        if options.reports:
            report = options.reports / f"{source}-{target}.json"
            report.write_text(json.dumps(asdict(found[-1]), indent=2), encoding="utf-8")
    if options.picture:
        options.picture.write_text(draw(found), encoding="utf-8")
        print(f"\n{options.picture}")


def _measure(translator: Translator, data: Path, source: str, target: str) -> Reliability:
    text = read_held_out(data, source=source, target=target)
    return calibrate(translator, replace(text, name="everyday dev"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/everyday", help="folder of the sets")
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--picture", type=Path, default=None, help="draw into this SVG file")
    parser.add_argument("--reports", type=Path, default=None, help="write the calibrations into this folder")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
