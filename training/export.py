"""From a training checkpoint to the small one that is served."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.blend import blend
from training.model_card import model_card
from translator.checkpoint import Manifest, Score, load_checkpoint, save_checkpoint
from translator.confidence import Calibration
from translator.config import DecodingOptions
from translator.errors import InputError
from translator.weights import StoredType


def export(
    source: Path,
    destination: Path,
    *,
    stored_type: StoredType = "bfloat16",
    name: str | None = None,
    decoding: DecodingOptions | None = None,
    scores: Sequence[Score] = (),
    calibrations: Sequence[Calibration] = (),
    blend_with: Path | None = None,
    blend_share: float = 0.5,
) -> Manifest:
    """Writes the inference checkpoint.

    Args:
        source: A checkpoint, such as `best` of a run.
        destination: Replaced as a whole once the new one is complete.
        stored_type: How weights lie in the file: "float32", "bfloat16" (half the size) or "int8" (a quarter).
        name: Another name; None keeps the one it has.
        decoding: Options chosen on held-out text; None keeps those it has.
        scores: To be told in manifest and model card; they replace those of the same test set, direction and metric.
        calibrations: Of the confidence; they replace those of the same direction. Other options in `decoding` drop
            those it has.
        blend_with: Another checkpoint of the same sizes and tokenizer, with whose weights these are mixed.
        blend_share: Of that other's weights, 0 to 1.

    Returns:
        The manifest as written.

    Raises:
        CheckpointError: `source` cannot be read or `destination` not be written.
        InputError: A calibration is of a direction the checkpoint lacks, or one direction has two; or the two
            checkpoints cannot be blended.
    """
    checkpoint = load_checkpoint(source)
    if blend_with is not None:
        checkpoint = blend(checkpoint, load_checkpoint(blend_with), share=blend_share)
    manifest = checkpoint.manifest
    told = {(score.test_set, score.source, score.target, score.metric): score for score in (*manifest.scores, *scores)}
    _check_calibrations(manifest, calibrations)
    # A curve holds for the search that it was fitted with.
    kept = manifest.calibrations if decoding in (None, manifest.decoding) else ()
    curves = {(curve.source, curve.target): curve for curve in (*kept, *calibrations)}
    manifest = replace(
        manifest,
        name=name or manifest.name,
        decoding=decoding or manifest.decoding,
        stored_type=stored_type,
        scores=tuple(told.values()),
        calibrations=tuple(curves.values()),
    )
    save_checkpoint(destination, replace(checkpoint, manifest=manifest), card=model_card(manifest))
    return manifest


def _check_calibrations(manifest: Manifest, calibrations: Sequence[Calibration]) -> None:
    seen: set[tuple[str, str]] = set()
    for curve in calibrations:
        direction = curve.source, curve.target
        if direction not in manifest.directions:
            known = ", ".join(f"{source} to {target}" for source, target in manifest.directions)
            raise InputError(
                f"A calibration is of {curve.source} to {curve.target}, which {manifest.name} was not taught; it was "
                f"taught: {known}."
            )
        if direction in seen:
            raise InputError(f"Two calibrations are of {curve.source} to {curve.target}; give one a direction.")
        seen.add(direction)
