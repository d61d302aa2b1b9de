"""What beams are spoken of in: places, the rows that live in them, and what may continue these.

All of it is small and lies in main memory, as NumPy arrays: a step asks a hundred questions of a handful of numbers,
each of which takes PyTorch several times as long. What a model computes stays in tensors, wherever these are.

Letters: B live sentences · K beam size · N rows, of the places B * K those that a hypothesis lives in.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

DEAD = float("-inf")
"""Log-probability of a place in the beam that no hypothesis lives in; score of one among the finished that is free."""
NOTHING = -1  # before the first token

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Number = TypeVar("Number", np.float32, np.int64)


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

    places: Integers
    counts: Integers
    size: int

    def spread(self, parts: NDArray[Number], *, fill: float = 0) -> NDArray[Number]:
        """Lays what rows have, [N, ...], out to all places, [B * K, ...]; `fill` where there is no row."""
        if len(self.places) == self.size:
            return parts
        spread = np.full((self.size, *parts.shape[1:]), fill, dtype=parts.dtype)
        spread[self.places] = parts
        return spread

    def first(self) -> Integers:
        """The first row of each sentence, [B]."""
        return self.counts.cumsum() - self.counts


class Candidates(NamedTuple):
    """Continuations of each sentence, best first; every field [B, number]."""

    log_probs: Floats  # of the whole hypothesis
    token_log_probs: Floats
    token_ids: Integers
    parents: Integers  # the row within the beam that is continued

    def take(self, order: Integers) -> "Candidates":
        """Those at the places `order`, [B, any]."""
        sums, log_probs, token_ids, parents = self
        return Candidates(
            picked(sums, order), picked(log_probs, order), picked(token_ids, order), picked(parents, order)
        )

    def first(self, count: int) -> "Candidates":
        """The best `count`."""
        sums, log_probs, token_ids, parents = self
        return Candidates(sums[:, :count], log_probs[:, :count], token_ids[:, :count], parents[:, :count])


def picked(field: NDArray[Number], order: Integers) -> NDArray[Number]:
    """Of each sentence what stands at the places `order`, [B, any]; of a field [B, number, ...]."""
    return field[np.arange(len(field))[:, None], order]


def best_first(scores: Floats) -> Integers:
    """The order in which each row of scores, [B, number], falls; of equals the first stays first."""
    return np.argsort(-scores, axis=1, kind="stable")
