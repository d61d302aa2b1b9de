"""`carousel export`: from a training checkpoint to the small one that is served."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from carousel.files import read_lines
from carousel.options import (
    BeamSizeOption,
    CoveragePenaltyOption,
    DecisionDelayOption,
    LengthPenaltyOption,
    NoRepeatNgramSizeOption,
    PruningThresholdOption,
    decoding_options,
)
from translator.errors import ConfigError, InputError

if TYPE_CHECKING:
    from translator.checkpoint import Score
    from translator.confidence import Calibration

CHECKPOINT_FILES = {"manifest.json", "model.safetensors", "tokenizer.model", "shortlist.safetensors", "README.md"}

EXAMPLES = """\b
Examples:
  carousel export runs/mine/best models/mine
  carousel evaluate --from en --to de dev.en dev.de --model runs/mine/best --json > dev.json
  carousel export runs/mine/best models/mine --weights int8 --scores dev.json
"""


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="What training wrote, such as runs/mine/best, or a built-in model."),
    ],
    destination: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to put the small checkpoint; replaced if it is one.")
    ],
    *,
    weights: Annotated[
        Literal["float32", "bfloat16", "int8"] | None,
        typer.Option(
            metavar="TYPE",
            help="bfloat16 halves a float32 checkpoint, int8 quarters it; without this, bfloat16, and int8 for one "
            "that is int8 already.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Another name for the model.")] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Reports of carousel evaluate --json, for the card; may be repeated."),
    ] = None,
    calibrations: Annotated[
        list[Path] | None,
        typer.Option(
            "--calibration",
            metavar="FILE",
            help="Reports of carousel calibrate --json; may be repeated, once a direction.",
        ),
    ] = None,
    blend_with: Annotated[
        Path | None,
        typer.Option(
            "--blend-with",
            metavar="CHECKPOINT",
            help="Take weights between this one's and another's that it went on from, or that went on from it; scores "
            "and calibrations are dropped.",
        ),
    ] = None,
    blend_share: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Of the other's weights in the result (0.5).")
    ] = None,
    beam_size: BeamSizeOption = None,
    length_penalty: LengthPenaltyOption = None,
    coverage_penalty: CoveragePenaltyOption = None,
    pruning_threshold: PruningThresholdOption = None,
    decision_delay: DecisionDelayOption = None,
    no_repeat_ngram_size: NoRepeatNgramSizeOption = None,
) -> None:
    """Make the small checkpoint that is served.

    The options of the search become what the checkpoint recommends to all who use it. A confidence that was fitted
    to another search is dropped.
    """
    from training.export import export as write_export
    from translator.catalogue import find_checkpoint
    from translator.checkpoint import read_manifest

    if blend_share is not None and blend_with is None:
        raise InputError("--blend-share came without --blend-with: name the checkpoint whose share it is.")
    checkpoint = find_checkpoint(checkpoint)
    check_destination(destination, checkpoint)
    found = read_manifest(checkpoint)
    weights = weights or ("int8" if found.stored_type == "int8" else "bfloat16")
    decoding = decoding_options(
        found.decoding,
        beam_size=beam_size,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        pruning_threshold=pruning_threshold,
        decision_delay=decision_delay,
        no_repeat_ngram_size=no_repeat_ngram_size,
    )
    manifest = write_export(
        checkpoint,
        destination,
        stored_type=weights,
        name=name,
        decoding=decoding,
        scores=[score for report in scores or [] for score in _scores(report)],
        calibrations=[_calibration(report) for report in calibrations or []],
        blend_with=None if blend_with is None else find_checkpoint(blend_with),
        blend_share=0.5 if blend_share is None else blend_share,
    )
    size = sum(file.stat().st_size for file in destination.iterdir())
    typer.echo(f"{manifest.name}: {size / 1e6:.1f} MB, weights as {weights}, in {destination}")


def check_destination(path: Path, source: Path) -> None:
    """Refuse to replace what is no checkpoint, or the source: the destination is replaced as a whole."""
    if path.resolve() == source.resolve():
        raise InputError(f"{path} is the checkpoint itself, which the new one would replace: name another folder.")
    if source.resolve() in path.resolve().parents:
        raise InputError(f"{path} lies inside the checkpoint it is made from: name another folder.")
    strangers = sorted({file.name for file in path.iterdir()} - CHECKPOINT_FILES) if path.is_dir() else []
    if (path / "manifest.json").is_file() and strangers:
        raise InputError(
            f"{path} holds {', '.join(strangers)} besides the checkpoint, which would be lost: move it, or name "
            "another folder."
        )
    if path.exists() and not (path / "manifest.json").is_file() and not _is_empty_folder(path):
        raise InputError(f"{path} is there and is no checkpoint: name a new folder, or one that may be replaced.")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _scores(report: Path) -> list["Score"]:
    from translator.checkpoint import Score

    try:
        table = json.loads("\n".join(read_lines(report)))
        direction = {key: table[key] for key in ("test_set", "source", "target")}
        return [
            Score(**direction, metric=each["metric"], value=round(each["value"], 2), signature=each["signature"])
            for each in table["scores"]
        ]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{report} is no report: wanted what carousel evaluate --json prints.") from None


def _calibration(report: Path) -> "Calibration":
    from translator.confidence import Calibration, Evidence

    try:
        table = json.loads("\n".join(read_lines(report)))["calibration"]
        return Calibration(**table | {"weights": Evidence(*map(float, table["weights"]))})
    except (ValueError, KeyError, TypeError, ConfigError):
        raise InputError(f"{report} is no calibration: wanted what carousel calibrate --json prints.") from None
