"""What a beam search has chosen so far, and the way back from a last row to a whole hypothesis.

A sentence holds a *slot* from admission to its end, so nothing is copied when its neighbours leave. It writes
at its own *age*, the number of steps it has lived. Nothing moves when beams are reordered: each choice
remembers the row it continues.

Letters: M sentences written at once, or hypotheses read · N rows there are of them · C slots · T steps · K beam size ·
S source length · E numbers that are remembered of a row.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FIRST_STEPS = 16
"""Steps there is room for at first; doubled whenever a sentence outgrows it."""
KEPT_AS = torch.bfloat16
"""How states are remembered, which are long."""


class Trace(NamedTuple):
    """One hypothesis, oldest token first."""

    token_ids: list[int]
    log_probs: list[float]
    rows: list[int]  # within the beam, after each token


class Remembered(NamedTuple):
    """Of M hypotheses, T as long as the longest of them; copies.

    Args:
        attention_weights: [M, T, S].
        states: [M, T, E] float32.
    """

    attention_weights: Tensor
    states: Tensor


class BeamHistory:
    """Tokens, their log-probabilities, parents, attention and states, for every step of every live sentence.

    Args:
        beam_size: K, rows a sentence.
        device: Where the tensors live.
    """

    def __init__(self, beam_size: int, device: torch.device) -> None:
        """Start without any room."""
        self._beam_size, self._device = beam_size, device
        self._clear()

    def _clear(self) -> None:
        shape = (0, 0, self._beam_size)
        self._free: list[int] = []
        self._token_ids = torch.zeros(shape, dtype=torch.int64, device=self._device)  # [C, T, K]
        self._parents = torch.zeros(shape, dtype=torch.int64, device=self._device)  # [C, T, K]
        self._log_probs = torch.zeros(shape, device=self._device)  # [C, T, K]
        self._attention = torch.zeros((*shape, 0), device=self._device)  # [C, T, K, S]
        self._states = torch.zeros((*shape, 0), dtype=KEPT_AS, device=self._device)  # [C, T, K, E]

    def open(self, count: int) -> list[int]:
        """Take `count` slots for new sentences."""
        missing = count - len(self._free)
        if missing > 0:
            old = len(self._token_ids)
            new = max(old + missing, 2 * old)
            self._grow(slots=new)
            self._free = [*self._free, *range(old, new)]
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def close(self, slots: Sequence[int]) -> None:
        """Give slots back. When all are free the memory goes too."""
        self._free = [*self._free, *slots]
        if len(self._free) == len(self._token_ids):
            self._clear()

    def write(
        self,
        slots: Tensor,
        ages: Tensor,
        *,
        oldest: int,
        token_ids: Tensor,
        parents: Tensor,
        log_probs: Tensor,
        attention_weights: Tensor,
        places: Tensor,
        states: Tensor,
    ) -> None:
        """Record one step of M sentences, each in its slot at its age.

        Args:
            slots: From `open`. [M]
            ages: Steps each sentence has behind it. [M]
            oldest: The highest of `ages`, so that the device need not be asked.
            token_ids: The token each new row added. [M, K]
            parents: The old row each new row continues. [M, K]
            log_probs: Log-probability of that token. [M, K]
            attention_weights: Attention of the *old* rows, S at least that of each sentence. [M, K, S]
            places: Of the old rows that there are, k + K * m for row k of sentence m. [N]
            states: What these are remembered by. [N, E]
        """
        source_length = attention_weights.shape[2]
        self._grow(steps=oldest + 1, source_length=source_length, width=states.shape[1])
        self._token_ids[slots, ages] = token_ids
        self._parents[slots, ages] = parents
        self._log_probs[slots, ages] = log_probs
        self._attention[slots, ages, :, :source_length] = attention_weights
        owners = places // self._beam_size
        at = slots.index_select(0, owners), ages.index_select(0, owners), places % self._beam_size
        self._states.index_put_(at, states.to(KEPT_AS))

    def trace(self, slot: int, *, length: int, row: int) -> Trace:
        """Follow the parents back from where a hypothesis of `length` tokens ended, in `row`."""
        token_ids = self._token_ids[slot, :length].tolist()
        parents = self._parents[slot, :length].tolist()
        log_probs = self._log_probs[slot, :length].tolist()
        rows = [row] * length
        for age in range(length - 1, 0, -1):
            rows[age - 1] = parents[age][rows[age]]
        return Trace(
            [token_ids[age][row] for age, row in enumerate(rows)],
            [log_probs[age][row] for age, row in enumerate(rows)],
            rows,
        )

    def shared(self, slot: int, ends: Collection[tuple[int, int]]) -> list[int]:
        """Tokens that hypotheses begin with alike, oldest first; each is given as (length, row it ends in)."""
        length = max(length for length, _ in ends)
        parents = self._parents[slot, :length].tolist()
        rows = set[int]()
        for age in range(length - 1, -1, -1):  # one row is one hypothesis, so where all are in one they are one
            rows = {parents[age + 1][row] for row in rows} | {row for end, row in ends if end == age + 1}
            if len(rows) == 1 and all(end > age for end, _ in ends):
                return self.trace(slot, length=age + 1, row=rows.pop()).token_ids
        return []

    def recall(self, slots: Sequence[int], rows: Sequence[Sequence[int]], source_length: int) -> Remembered:
        """What old row `rows[m][age]` of slot `slots[m]` looked at, and what it is remembered by, at each age.

        Args:
            slots: Of M hypotheses. [M]
            rows: Of each as many as it has tokens.
            source_length: S.
        """
        longest = max(map(len, rows))
        filled = torch.tensor([[*each, *[0] * (longest - len(each))] for each in rows], device=self._device)
        ages = torch.arange(longest, device=self._device)
        at = torch.tensor(slots, device=self._device)[:, None], ages, filled
        return Remembered(self._attention[..., :source_length][at], self._states[at].float())

    def _grow(self, *, slots: int = 0, steps: int = 0, source_length: int = 0, width: int = 0) -> None:
        old_slots, old_steps, _, old_length = self._attention.shape
        if steps > old_steps:
            steps = max(steps, 2 * old_steps, FIRST_STEPS)
        shape = (max(slots, old_slots), max(steps, old_steps), self._beam_size)
        if shape != self._token_ids.shape:
            self._token_ids = _enlarged(self._token_ids, shape)
            self._parents = _enlarged(self._parents, shape)
            self._log_probs = _enlarged(self._log_probs, shape)
        if shape != self._attention.shape[:3] or source_length > old_length:
            self._attention = _enlarged(self._attention, (*shape, max(source_length, old_length)))
        old_width = self._states.shape[3]
        if shape != self._states.shape[:3] or width > old_width:
            self._states = _enlarged(self._states, (*shape, max(width, old_width)))


def _enlarged(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    larger = tensor.new_zeros(shape)
    larger[tuple(slice(size) for size in tensor.shape)] = tensor
    return larger
