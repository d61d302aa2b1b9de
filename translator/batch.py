"""Batches of token ids: the only place where masks are made.

Shapes everywhere in this project: B batch, S source length, T target length, K beam size, V vocabulary, E embedding,
H hidden, D = 2H of the encoder, L layers. A mask is True for a real token.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translator.arrays import side_by_side


class PaddedIds(NamedTuple):
    """Sequences of unlike length side by side, padded at their ends.

    Args:
        ids: [B, S] int64.
        mask: [B, S] bool, True for a real token.
        lengths: [B] int64, each at least 1.
    """

    ids: Tensor
    mask: Tensor
    lengths: Tensor

    def to(self, device: torch.device | str) -> "PaddedIds":
        """Returns the same batch on `device`."""
        return PaddedIds(*(tensor.to(device, non_blocking=True) for tensor in self))


def pad(sequences: Sequence[Sequence[int] | np.ndarray], pad_id: int) -> PaddedIds:
    """Lays sequences side by side.

    Args:
        sequences: At least one sequence of at least one id.
        pad_id: What fills the room behind the shorter ones.

    Raises:
        ValueError: There is no sequence, or one is empty.
    """
    ids, lengths = side_by_side(sequences, pad_id)
    mask = np.arange(ids.shape[1]) < lengths[:, None]  # [B, S]
    return PaddedIds(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(lengths))


def rows_of(tokens: Tensor, starts: Tensor, lengths: Tensor, *, width: int, pad_id: int) -> PaddedIds:
    """Lays stretches of one long row of ids side by side, on the device that holds it and without a loop.

    Args:
        tokens: [N], ids of many sequences, end to end.
        starts: [B] int64, where each begins.
        lengths: [B] int64, each at least 1.
        width: The greatest of `lengths`, known beforehand so that no device has to be asked.
        pad_id: What fills the room behind the shorter ones.
    """
    positions = torch.arange(width, device=tokens.device)
    mask = positions < lengths[:, None]  # [B, width]
    places = (starts[:, None] + positions).clamp_(max=len(tokens) - 1)
    return PaddedIds(tokens[places].long().masked_fill_(~mask, pad_id), mask, lengths)


class SequencePair(NamedTuple):
    """A training batch: source, decoder input and wanted output, in one language direction or several.

    Args:
        source: Language token, pieces, eos.
        target_input: bos, pieces: what the decoder reads.
        target_output: Pieces, eos: what it should say; same shape and mask as `target_input`.
    """

    source: PaddedIds
    target_input: PaddedIds
    target_output: PaddedIds

    def to(self, device: torch.device | str) -> "SequencePair":
        """Returns the same batch on `device`."""
        return SequencePair(*(part.to(device) for part in self))


def pair(
    sources: Sequence[Sequence[int] | np.ndarray],
    targets: Sequence[Sequence[int] | np.ndarray],
    *,
    pad_id: int,
    bos_id: int,
) -> SequencePair:
    """Makes the training batch of sources and targets that both end in eos."""
    return pair_padded(pad(sources, pad_id), pad(targets, pad_id), pad_id=pad_id, bos_id=bos_id)


def pair_padded(source: PaddedIds, target: PaddedIds, *, pad_id: int, bos_id: int) -> SequencePair:
    """Makes the training batch of a source and of a target that ends in eos, both padded."""
    ids = target.ids.roll(1, dims=1)  # [B, T]; what wraps round is overwritten by bos
    ids[:, 0] = bos_id
    # Behind its end a shorter row now holds its own eos: padded over, so that padding is padding everywhere.
    target_input = PaddedIds(ids.masked_fill(~target.mask, pad_id), target.mask, target.lengths)
    return SequencePair(source, target_input, target)
