"""What is not said again: n tokens that a hypothesis has said in a row, unless its source repeats itself.

A decoder that has lost its way goes round in circles, and every round is likelier than the last. Where the source says
n - 1 tokens twice, its translation may say n twice, and nothing is struck out: "no, no, no" stays three.

Source: Paulus et al. 2018, "A Deep Reinforced Model for Abstractive Summarization", section 2.5, for no repetition at
all; the source's say in it is ours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.beam_rows import DEAD, NOTHING, Rows
from translator.beams import Beams


def repeats_itself(source: Sequence[int], size: int) -> bool:
    """Whether a source says `size` - 1 tokens in a row twice; `size` is at least 2."""
    stretches = list(zip(*(source[start:] for start in range(size - 1)), strict=False))
    return len(set(stretches)) < len(stretches)


def without_repeats(beams: Beams, rows: Rows, log_probs: Tensor, columns: Tensor | None, *, size: int) -> Tensor:
    """Strikes out each token with which a row would say `size` tokens again.

    Args:
        beams: B sentences with what their K rows have written.
        rows: Theirs, N.
        log_probs: Of each row's next token. [N, C]
        columns: Tokens that the columns stand for; None is 0 to C - 1. [N, C]
        size: At least 2.

    Returns:
        log_probs, or where there is something to strike out a copy.
    """
    written = beams.written_ids
    if written.shape[2] < size:
        return log_probs
    before = written.unfold(2, size - 1, 1)  # [B, K, any, size - 1]
    again = (before[:, :, :-1] == before[:, :, -1:]).all(dim=3) & (before[:, :, :-1, 0] != NOTHING)
    again &= (beams.log_probs > DEAD).unsqueeze(2) & ~beams.repeats.view(-1, 1, 1)
    if not again.any():
        return log_probs
    sentences, beam_rows, starts = again.nonzero().unbind(dim=1)
    said = written[sentences, beam_rows, starts + size - 1]
    those = torch.searchsorted(rows.places, sentences * written.shape[1] + beam_rows)
    if columns is not None:
        found, said = (columns.index_select(0, those) == said.unsqueeze(1)).nonzero().unbind(dim=1)
        those = those.index_select(0, found)
    return log_probs.index_put((those, said), log_probs.new_tensor(DEAD))
