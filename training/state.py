"""All that an interrupted run needs to go on as if nothing had happened.

A folder: `state.safetensors` (weights, their average, the optimiser's moments, the random generator) and `state.json`
(where in the run we are). Swapped in whole, never a pickle.
"""

import json
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from translator.errors import CheckpointError
from translator.folders import replace_folder, settle

Moments = dict[str, dict[str, Tensor]]


@dataclass
class Progress:
    """Where a run is.

    Args:
        config: Fingerprint of the experiment it belongs to.
        step: Updates made.
        epoch: Of the next batch, counted from 0.
        position: Of the next update within the epoch.
        best_bleu: Of all validations so far.
        best_step: The update it was reached at.
        stale: Validations since then.
        seconds: Wall time of all runs so far.
        best_loss: Dev loss of the best validation.
        workers: Processes that share the updates.
    """

    config: str
    step: int = 0
    epoch: int = 0
    position: int = 0
    best_bleu: float = -1.0
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0
    best_loss: float = inf
    workers: int = 1


def save_state(
    folder: Path,
    progress: Progress,
    *,
    weights: dict[str, Tensor],
    average: dict[str, Tensor],
    moments: Moments,
) -> None:
    """Writes the state atomically.

    Args:
        folder: Replaced as a whole.
        progress: Where the run is.
        weights: By parameter name.
        average: By parameter name; empty if no average is kept.
        moments: The optimiser's tensors: parameter name -> moment name -> tensor.

    Raises:
        CheckpointError: It could not be written; the old one, if any, is as it was.
    """
    tensors = {f"weights.{name}": tensor for name, tensor in weights.items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for name, entries in moments.items():
        tensors |= {f"moments.{name}:{moment}": tensor for moment, tensor in entries.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        with replace_folder(folder) as fresh:
            save_file(tensors, fresh / "state.safetensors")
            (fresh / "state.json").write_text(json.dumps(asdict(progress), indent=2), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The training state {folder} could not be written ({error}); make room, then go on with --resume. "
            "A state that was there before is unchanged."
        ) from error


@dataclass(frozen=True)
class State:
    """What `load_state` read; the names as in `save_state`."""

    progress: Progress
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    moments: Moments
    random: dict[str, Tensor]


def load_state(folder: Path, *, device: torch.device) -> State:
    """Reads a state.

    Raises:
        CheckpointError: There is none, or it is damaged.
    """
    settle(folder)
    try:
        progress = Progress(**json.loads((folder / "state.json").read_text(encoding="utf-8")))
        tensors = load_file(folder / "state.safetensors", device=str(device))
    except FileNotFoundError:
        raise CheckpointError(f"There is no training state in {folder}; start without --resume.") from None
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"The training state in {folder} is damaged ({error}); delete that folder and start again without --resume."
        ) from None
    moments: Moments = {}
    for key, tensor in _below(tensors, "moments.").items():
        name, moment = key.rsplit(":", 1)
        moments.setdefault(name, {})[moment] = tensor
    random = {name: tensor.cpu() for name, tensor in _below(tensors, "random.").items()}
    return State(progress, _below(tensors, "weights."), _below(tensors, "average."), moments, random)


def restore_random(random: dict[str, Tensor]) -> None:
    """Puts the random generators back to where they were."""
    torch.set_rng_state(random["cpu"])
    if "cuda" in random and torch.cuda.is_available():
        torch.cuda.set_rng_state(random["cuda"])


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
