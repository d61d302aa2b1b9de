"""What is not said again: n tokens that a hypothesis has said in a row, unless its source repeats itself.

A decoder that has lost its way goes round in circles, and every round is likelier than the last. Where the source says
n - 1 tokens twice, its translation may say n twice, and nothing is struck out: "no, no, no" stays three.

Source: Paulus et al. 2018, "A Deep Reinforced Model for Abstractive Summarization", section 2.5, for no repetition at
all; the source's say in it is ours.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translator.beam_rows import DEAD, NOTHING, Integers, Rows
from translator.beams import Beams


class Repeats(NamedTuple):
    """Tokens with which rows would say something again, perhaps none; M of them.

    Args:
        rows: Whose they are, ascending. [M]
        token_ids: [M]
    """

    rows: Integers
    token_ids: Integers

    @property
    def most(self) -> int:
        """The most that any row has."""
        return int(np.bincount(self.rows).max()) if len(self.rows) else 0

    def strike_out(self, log_probs: Tensor, columns: Tensor | None) -> Tensor:
        """Lets them have no chance.

        Args:
            log_probs: Of each row's next token. [N, C]
            columns: Tokens that the columns stand for; None is 0 to C - 1. [N, C]

        Returns:
            log_probs, or where there is something to strike out a copy.
        """
        if not len(self.rows):
            return log_probs
        those, said = (torch.from_numpy(part).to(log_probs.device) for part in self)
        if columns is not None:
            found, said = (columns.index_select(0, those) == said.unsqueeze(1)).nonzero().unbind(dim=1)
            those = those.index_select(0, found)
        return log_probs.index_put((those, said), log_probs.new_tensor(DEAD))


def find_repeats(beams: Beams, rows: Rows, *, size: int) -> Repeats:
    """Finds each token with which a row would say `size` tokens again.

    Args:
        beams: B sentences with what their K rows have written.
        rows: Theirs, N.
        size: At least 2.
    """
    written, none = beams.written_ids, Repeats(rows.places[:0], rows.places[:0])
    length, before = written.shape[2], size - 1
    if length < size:
        return none
    # Whether the last tokens, all but one of `size`, stand at each place before, where another token follows.
    again = (beams.log_probs > DEAD)[:, :, None] & ~beams.repeats[:, None, None]
    for offset in range(before):
        last = written[:, :, length - before + offset, None]
        again = again & (written[:, :, offset : length - before + offset] == last)
    again &= written[:, :, : length - before] != NOTHING
    if not again.any():
        return none
    sentences, beam_rows, starts = again.nonzero()
    said = written[sentences, beam_rows, starts + before]
    return Repeats(np.searchsorted(rows.places, sentences * written.shape[1] + beam_rows), said)
