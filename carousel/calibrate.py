"""`carousel calibrate`: how far a model's confidence can be trusted, and the curve that makes it so."""

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carousel.files import open_output
from carousel.options import ModelOption, ThreadsOption
from carousel.progress import LotProgress, progress_bar
from translator.errors import InputError
from translator.waiting import wait_briefly

if TYPE_CHECKING:
    from training.calibration import Reliability

EXAMPLES = """\b
Examples:
  carousel calibrate --from en --to de dev.en dev.de
  carousel calibrate --from en --to de dev.en dev.de --model runs/mine/best --json > confidence.json
  carousel export runs/mine/best models/mine --calibration confidence.json
"""


def calibrate(
    source_file: Annotated[Path, typer.Argument(metavar="SOURCE", help="Held-out text, a sentence a line.")],
    reference_file: Annotated[Path, typer.Argument(metavar="REFERENCE", help="Its translation, line by line.")],
    *,
    source: Annotated[str, typer.Option("--from", metavar="LANG", help="Language of SOURCE, such as en.")],
    target: Annotated[str, typer.Option("--to", metavar="LANG", help="Language of REFERENCE, such as de.")],
    right: Annotated[
        float, typer.Option(metavar="CHRF", min=1, max=100, help="Sentence chrF that makes a translation right.")
    ] = 60,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call the text in the report.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the reliability diagram into this SVG file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The report as one JSON object, for carousel export.")
    ] = False,
    model: ModelOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure how often a model is right when it says so, and fit its confidence to that.

    Shows sentences by confidence beside the share of them that was right, on sentences the curve was not fitted
    on; lines of several sentences are passed over. carousel export puts the curve into a checkpoint; from then on
    translations of this direction come with a confidence, in Python and in carousel translate --json.
    """
    wait_briefly()
    from training import calibration
    from training.evaluation import read_test_set
    from training.reliability_picture import draw
    from translator.inference import Translator

    if picture is not None and picture.suffix.lower() != ".svg":
        raise InputError(f"The picture is an SVG, and {picture} is not named so: give a name that ends in .svg.")
    text = read_test_set(source_file, [reference_file], source=source, target=target)
    text = replace(text, name=name or text.name)
    translator = Translator.load(model, threads=threads)
    with closing(progress_bar(len(text.sources), alone=True)) as bar:
        found = calibration.calibrate(translator, text, right=right, progress=LotProgress(bar, len(text.sources)))
    if picture is not None:
        with open_output(picture) as stream:
            stream.write(draw([found]))
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else _report(translator.name, found))


def _report(model: str, found: "Reliability") -> str:
    known = found.calibration
    share = sum(each.right * each.sentences for each in found.bins) / known.sentences
    return "\n".join(
        [
            f"{model} on {known.test_set}, {known.source} → {known.target}, {known.sentences:,} lines of one sentence, "
            f"{share:.1%} right (chrF of at least {known.right:g})",
            "",
            "confidence  sentences  right",
            *(
                f"{each.lowest:.1f} to {each.highest:.1f} {each.sentences:10,}  {each.right:5.1%}"
                for each in found.bins
            ),
            "",
            f"expected calibration error {known.expected_calibration_error:.3f}",
        ]
    )
