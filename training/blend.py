"""Two checkpoints of one family made one: each weight somewhere between the two.

A run that goes on from a checkpoint learns what is new to it and forgets a little of the rest. The weights between
have most of both, and often do better than either on text as it was.

Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models".
"""

from dataclasses import replace

import numpy as np

from translator.arrays import Array
from translator.checkpoint import Checkpoint
from translator.errors import InputError


def blend(checkpoint: Checkpoint, other: Checkpoint, *, share: float) -> Checkpoint:
    """Returns the first checkpoint with weights between both.

    Args:
        checkpoint: Gives all else: name, options. Its scores and calibrations, which are of its own weights, are
            dropped. It stays as it is.
        other: Of the same sizes (it may have learned with another dropout), tokenizer, directions and licence; its
            credits are added.
        share: Of the other's weights in the result, 0 to 1.

    Raises:
        InputError: The share is out of range, or the two differ in sizes, tokenizer, directions or licence.
    """
    if not 0 <= share <= 1:
        raise InputError(f"The share of the other's weights is {share:g}, wanted 0 to 1.")
    ours, theirs = checkpoint.manifest, other.manifest
    like_theirs = replace(ours.model, dropout=theirs.model.dropout)
    if like_theirs != theirs.model or ours.tokenizer_sha256 != theirs.tokenizer_sha256:
        raise InputError(
            f"{ours.name} and {theirs.name} differ in sizes or tokenizer, and their weights mean different things: "
            "blend a checkpoint with one that it went on from."
        )
    if ours.licence != theirs.licence or set(ours.directions) != set(theirs.directions):
        raise InputError(
            f"{ours.name} and {theirs.name} differ in licence or directions ({ours.licence}, {theirs.licence}), and a "
            "checkpoint has one of each: blend those that agree."
        )
    weights = {name: _between(weight, other.weights[name], share) for name, weight in checkpoint.weights.items()}
    blended = {"name": theirs.name, "weights_sha256": theirs.weights_sha256, "share": share}
    manifest = replace(
        ours,
        training={**ours.training, "blended_with": [*ours.training.get("blended_with", ()), blended]},
        credits=tuple(dict.fromkeys((*ours.credits, *theirs.credits))),
        scores=(),
        calibrations=(),
    )
    return replace(checkpoint, weights=weights, manifest=manifest)


def _between(one: Array, other: Array, share: float) -> Array:
    """Counted from the nearer of the two, so that none and all of the way are one and the other to the bit."""
    step = other - one
    blended: Array = one + np.float32(share) * step if share < 0.5 else other - np.float32(1 - share) * step
    return blended
