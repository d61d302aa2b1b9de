"""What a beam search asks of a model: rows that advance by one token.

Letters: K beam size · N rows, one to K for each live sentence · V vocabulary · C columns · S source length · M
hypotheses of T tokens · E numbers to be remembered of a row.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor


class StepOutput(NamedTuple):
    """What one step gives for each row; the search neither keeps it nor writes to it.

    Columns may be a choice of the vocabulary, another for each row. It then holds no forbidden token, or at -inf, and
    all of the best K + 1 of the others that the row may be continued with, besides as many as were to be to spare.
    """

    log_probs: Tensor  # [N, C] float32, normalised, so never above 0; NaN is taken for -inf, never chosen
    attention_weights: Tensor  # [N, S] float32, zero on padding; S at least the longest live source
    states: Tensor  # [N, E], what `explain` wants to see again of the step
    token_ids: Tensor | None = None  # [N, C] int64, what the columns stand for; None is 0 to V - 1


class Stepper(Protocol):
    """What a model offers the search.

    A *row* is one live hypothesis. Sentences own consecutive rows, one to K each, in the order of admission.
    """

    def forbid(self, token_ids: Sequence[int]) -> None:
        """Hear before all else which tokens the search will never choose; a choice of columns leaves them out."""

    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        """Append one row for each source.

        Args:
            sources: Ids with language token and eos.
            beam_size: The most rows that may become of one.
        """

    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        """Advance all rows.

        Args:
            token_ids: Their previous tokens. [N] int64
            places: Ascending: k + K * b for row k of sentence b. [N] int64
            spare: So many of a row's tokens the search will strike out.
        """

    def explain(self, sentences: Tensor, token_ids: Tensor, attention_weights: Tensor, states: Tensor) -> Tensor:
        """Say where the tokens of M hypotheses came from, now that they are known: [M, T, S], each row adding up to 1.

        Args:
            sentences: Position of each hypothesis's own among the live ones. [M] int64
            token_ids: The shorter hypotheses are filled up with any token. [M, T] int64
            attention_weights: Of the rows that chose them; S at least as long as their sources. [M, T, S]
            states: Likewise. [M, T, E]
        """

    def reorder(self, rows: Tensor) -> None:
        """Let there be as many rows as `rows` has, row i continuing from old row `rows[i]`; [any] int64."""

    def keep(self, sentences: Tensor) -> None:
        """Keep the sentences at these positions, ascending, perhaps none; rows of others leave by the next `reorder`.

        Args:
            sentences: [any] int64.
        """
