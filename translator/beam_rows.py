"""What beams are spoken of in: places, the rows that live in them, and what may continue these.

Letters: B live sentences · K beam size · N rows, of the places B * K those that a hypothesis lives in.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

DEAD = float("-inf")
"""Log-probability of a place in the beam that no hypothesis lives in; score of one among the finished that is free."""
NOTHING = -1  # before the first token


class Place(NamedTuple):
    """Where a sentence writes and how far it may go."""

    slot: int  # in the history
    source_length: int
    max_length: int
    n_best: int = 1
    repeats: bool = False  # whether the source says something again, so that its translation may


class Rows(NamedTuple):
    """Which places of the beams have a row: those that a hypothesis lives in.

    Args:
        places: Of each row, ascending: k + K * b for row k of sentence b. [N]
        counts: Rows of each sentence, which are the first ones of its beam. [B]
        size: Places there are, B * K.
    """

    places: Tensor
    counts: Tensor
    size: int

    def spread(self, parts: Tensor) -> Tensor:
        """Lays what rows have, [N, ...], out to all places, [B * K, ...]; 0 where there is no row."""
        if len(self.places) == self.size:
            return parts
        return parts.new_zeros((self.size, *parts.shape[1:])).index_copy_(0, self.places, parts)

    def first(self) -> Tensor:
        """The first row of each sentence, [B]."""
        return self.counts.cumsum(0) - self.counts


class Candidates(NamedTuple):
    """Continuations of each sentence, best first; every field [B, number]."""

    log_probs: Tensor  # of the whole hypothesis
    token_log_probs: Tensor
    token_ids: Tensor
    parents: Tensor  # the row within the beam that is continued

    def take(self, order: Tensor) -> "Candidates":
        """Those at the places `order`, [B, any]."""
        return Candidates(*(field.gather(1, order) for field in self))


@lru_cache(maxsize=256)
def counting(count: int, device: torch.device) -> Tensor:
    """Returns 0 to count - 1, [count]; many share it, so nobody may write to it."""
    return torch.arange(count, device=device)
