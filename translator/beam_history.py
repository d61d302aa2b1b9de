"""What a beam search has chosen so far, and the way back from a last row to a whole hypothesis.

A sentence holds a *slot* from admission to its end, so nothing is copied when its neighbours leave. It writes
at its own *age*, the number of steps it has lived. Nothing moves when beams are reordered: each choice
remembers the row it continues. What was chosen lies in main memory, what the model said of rows where the model is.

Letters: M sentences written at once, or hypotheses read · N rows there are of them · C slots · T steps · K beam size ·
S source length · E numbers that are remembered of a row · R rows that are remembered.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translator.beam_rows import Floats, Integers

FIRST_STEPS = 16
"""Steps there is room for at first; doubled whenever a sentence outgrows it."""
FIRST_ROWS = 256
"""Rows there is room for at first."""
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


class _Scroll:
    """Rows in the order in which they were written; the beginning is forgotten when nobody can ask for it any more.

    A row has an *address*, the number of rows that were written before it.

    Args:
        dtype: How they are kept.
        device: Where.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        """Begins empty."""
        self._rows = torch.zeros((0, 0), dtype=dtype, device=device)  # [R, width]
        self._begin = self.end = 0  # addresses of the first that is kept, and of the next

    @property
    def width(self) -> int:
        """Of the widest rows that were written."""
        return self._rows.shape[1]

    def write(self, rows: Tensor, *, oldest: int) -> None:
        """Copies rows to the end; what lies before the address `oldest` may be forgotten."""
        count, width = rows.shape
        room, known = self._rows.shape
        if self.end + count - self._begin > room or width > known:
            kept = self._rows[oldest - self._begin : self.end - self._begin]
            room = max(2 * (len(kept) + count), FIRST_ROWS)
            self._rows = self._rows.new_zeros((room, max(width, known)))
            self._rows[: len(kept), :known] = kept
            self._begin = oldest
        room_for_them = self._rows.narrow(0, self.end - self._begin, count)
        if width < self.width:
            room_for_them[:, width:] = 0
            room_for_them = room_for_them.narrow(1, 0, width)
        room_for_them.copy_(rows)
        self.end += count

    def read(self, addresses: Tensor, width: int) -> Tensor:
        """Copies of the rows at addresses of any shape, float32; [..., width]."""
        rows = self._rows.index_select(0, (addresses - self._begin).flatten())[:, :width]
        return rows.float().view(*addresses.shape, width)


class BeamHistory:
    """Tokens, their log-probabilities, parents, attention and states, for every step of every live sentence.

    Args:
        beam_size: K, rows a sentence.
        device: Where the model's tensors live.
    """

    def __init__(self, beam_size: int, device: torch.device) -> None:
        """Start without any room."""
        self._beam_size, self._device = beam_size, device
        self._clear()

    def _clear(self) -> None:
        shape = (0, 0, self._beam_size)
        self._free: list[int] = []
        self._token_ids = np.zeros(shape, dtype=np.int64)  # [C, T, K]
        self._parents = np.zeros(shape, dtype=np.int64)  # [C, T, K]
        self._log_probs = np.zeros(shape, dtype=np.float32)  # [C, T, K]
        self._addresses = np.zeros(shape[:2], dtype=np.int64)  # [C, T] of the first row that a sentence had at a step
        self._attention = _Scroll(torch.float32, self._device)  # [R, S]
        self._states = _Scroll(KEPT_AS, self._device)  # [R, E]

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
        slots: Integers,
        ages: Integers,
        *,
        token_ids: Integers,
        parents: Integers,
        log_probs: Floats,
        first: Integers,
        attention_weights: Tensor,
        states: Tensor,
    ) -> None:
        """Record one step of all M sentences that have a slot, each at its age.

        Args:
            slots: From `open`. [M]
            ages: Steps each sentence has behind it. [M]
            token_ids: The token each new row added. [M, K]
            parents: The old row each new row continues. [M, K]
            log_probs: Log-probability of that token. [M, K]
            first: Where among the old rows those of each sentence begin. [M]
            attention_weights: Of the old rows, S at least that of each sentence. [N, S]
            states: What these are remembered by. [N, E]
        """
        self._grow(steps=int(ages.max()) + 1)
        self._token_ids[slots, ages] = token_ids
        self._parents[slots, ages] = parents
        self._log_probs[slots, ages] = log_probs
        self._addresses[slots, ages] = self._attention.end + first
        oldest = int(self._addresses[slots, 0].min())
        self._attention.write(attention_weights, oldest=oldest)
        self._states.write(states, oldest=oldest)

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
        filled = np.array([[*each, *[0] * (longest - len(each))] for each in rows])
        addresses = self._addresses[np.array(slots)[:, None], np.arange(longest)] + filled
        for place, each in enumerate(rows):  # behind its end a hypothesis is filled up with its first row
            addresses[place, len(each) :] = addresses[place, 0]
        at = torch.from_numpy(addresses).to(self._device)
        return Remembered(self._attention.read(at, source_length), self._states.read(at, self._states.width))

    def _grow(self, *, slots: int = 0, steps: int = 0) -> None:
        old_slots, old_steps, _ = self._token_ids.shape
        if steps > old_steps:
            steps = max(steps, 2 * old_steps, FIRST_STEPS)
        more = [(0, max(0, slots - old_slots)), (0, max(0, steps - old_steps)), (0, 0)]
        if any(after for _, after in more):
            self._token_ids, self._parents = np.pad(self._token_ids, more), np.pad(self._parents, more)
            self._log_probs, self._addresses = np.pad(self._log_probs, more), np.pad(self._addresses, more[:2])
