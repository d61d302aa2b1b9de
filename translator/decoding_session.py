"""One search's state: what is known of its sentences, and the LSTM states of its rows.

What never changes while it runs is in the `translator.packed_model`.

Letters: B live sentences · K beam size · N rows, one to K for each of them · V vocabulary · C columns · S source
length · E width of the readout · M hypotheses of T tokens.
"""

import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from translator.batch import pad
from translator.packed_model import PackedModel
from translator.posterior import posterior_attention
from translator.sentence_memory import KnownSentences
from translator.step import Places, Taken, take
from translator.stepper import StepOutput

ROW_STEPS = ((16, 1), (64, 8), (sys.maxsize, 16))
"""Up to so many rows, multiples of what a step has room for: oneDNN makes a kernel for each size, of every product."""
LEAST_FULL = 0.75
"""Of the memory; when fewer of its sentences are live, it is cut down to them: PyTorch's operations ask all of it."""


class DecodingSession:
    """The rows of one search, as `translator.stepper.Stepper` describes them."""

    def __init__(self, engine: PackedModel) -> None:
        """Begins with no rows."""
        self._engine = engine
        self._beam_size = 1
        self._known: KnownSentences | None = None
        self._lying: Tensor | None = None  # [B], where the live sentences lie in what is known; None: nobody left
        self._any_whole = False
        self._hidden: list[Tensor] = []  # of each layer [N, H], and some rows more that are nobody's
        self._cell: list[Tensor] = []
        self._rows = 0  # N

    def forbid(self, token_ids: Sequence[int]) -> None:
        """Hears which tokens will never be chosen, which changes nothing here: a step says the whole vocabulary."""

    @torch.inference_mode()
    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        """Encodes `sources` and appends a row for each."""
        self._beam_size = beam_size
        memory, state = self._engine.encode(pad(sources, self._engine.pad_id).to(self._engine.device))
        known = KnownSentences(memory, self._engine.output.choose(sources, beam_size))
        hidden, cell = (list(part) for part in state)
        if self._known is not None:
            self._close_up()
            known = self._known.join(known)
            hidden, cell = (
                [torch.cat([before[: self._rows], new]) for before, new in zip(old, came, strict=True)]
                for old, came in ((self._hidden, hidden), (self._cell, cell))
            )
        self._rows += len(sources)
        self._known, self._hidden, self._cell = known, self._with_room(hidden), self._with_room(cell)
        self._ask_who_needs_all()

    @torch.inference_mode()
    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        """Advances every row by its previous token.

        Args:
            token_ids: [N] int64.
            places: k + K * b for row k of sentence b, ascending. [N] int64
            spare: So many tokens of a row will be struck out.

        Returns:
            log_probs [N, C], attention_weights [N, S], and the state's part in the readout [N, E], which `explain`
            wants to see again. The columns are the whole vocabulary, or with a shortlist what a sentence may be
            translated with.

        Raises:
            RuntimeError: No sentence was admitted.
        """
        known, output = self._admitted(), self._engine.output
        standing = self._where(places)
        taken = self._take(token_ids, standing)
        if (choice := known.choice) is not None:
            found = output.chosen_log_probs(
                standing.spread(taken.readout), choice, any_whole=self._any_whole, spare=spare
            )
            log_probs, columns = map(standing.gathered, found)
        else:
            return self._in_full(taken)
        return StepOutput(log_probs, taken.attention_weights, taken.states, columns)

    @torch.inference_mode()
    def step_in_full(self, token_ids: Tensor, places: Tensor) -> StepOutput:
        """Advances as `step` does, and says log_probs of the whole vocabulary whatever the shortlist, [N, V].

        Raises:
            RuntimeError: No sentence was admitted.
        """
        return self._in_full(self._take(token_ids, self._where(places)))

    @torch.inference_mode()
    def explain(self, sentences: Tensor, token_ids: Tensor, attention_weights: Tensor, states: Tensor) -> Tensor:
        """Says which source position each token of M hypotheses came from, [M, T, S]; see `translator.posterior`.

        Args:
            sentences: Position of each hypothesis's own among the live ones. [M] int64
            token_ids: [M, T] int64.
            attention_weights: Of the rows that chose them. [M, T, S]
            states: What `step` said of these rows. [M, T, E]

        Raises:
            RuntimeError: No sentence was admitted.
        """
        memory = self._admitted().memory
        lying = sentences if self._lying is None else self._lying.index_select(0, sentences)
        length = attention_weights.shape[2]
        sources = self._engine.source_readouts(memory.projected_values[:, :length], lying)
        padding = memory.padding[:, :length].index_select(0, lying)
        return posterior_attention(attention_weights, states, sources, self._engine.written(token_ids), padding)

    def reorder(self, rows: Tensor) -> None:
        """Lets there be as many rows as `rows` has, row i continuing from old row `rows[i]`."""
        self._rows = len(rows)
        if room := room_for(self._rows) - self._rows:
            rows = nn.functional.pad(rows, (0, room))
        self._hidden, self._cell = (
            [part.index_select(0, rows) for part in all_of] for all_of in (self._hidden, self._cell)
        )

    def keep(self, sentences: Tensor) -> None:
        """Keeps the sentences at these positions; what was known of the others leaves in time."""
        if self._known is None:
            return
        if not len(sentences):
            self._known = self._lying = None
            self._hidden, self._cell, self._rows = [], [], 0
            return
        self._lying = sentences if self._lying is None else self._lying.index_select(0, sentences)
        if len(self._lying) < LEAST_FULL * len(self._known.memory.padding):
            self._close_up()
        self._ask_who_needs_all()

    def _admitted(self) -> KnownSentences:
        if self._known is None:
            raise RuntimeError("Nothing was admitted; admit at least one source first.")
        return self._known

    def _close_up(self) -> None:
        if self._known is not None and self._lying is not None:
            self._known, self._lying = self._known.select(self._lying), None

    def _ask_who_needs_all(self) -> None:
        if self._known is None or (choice := self._known.choice) is None:
            return
        if self._lying is not None:  # who left needs nothing
            live = torch.zeros_like(choice.whole).index_fill_(0, self._lying, True)
            choice = choice._replace(whole=choice.whole & live)
        self._known, self._any_whole = self._known._replace(choice=choice), bool(choice.whole.any())

    def _in_full(self, taken: Taken) -> StepOutput:
        log_probs = self._engine.output.log_probs(taken.readout)[: self._rows]
        return StepOutput(log_probs, taken.attention_weights, taken.states)

    def _where(self, places: Tensor) -> Places:
        """Places of rows among the live sentences become those among all that are known."""
        known = len(self._admitted().memory.padding)
        if self._lying is not None:
            lying = self._lying.index_select(0, places // self._beam_size)
            places = lying * self._beam_size + places % self._beam_size
        return Places(places, self._beam_size, known)

    def _take(self, token_ids: Tensor, places: Places) -> Taken:
        taken = take(self._engine, token_ids, places, self._admitted().memory, self._hidden, self._cell)
        self._hidden, self._cell = taken.hidden, taken.cell
        return taken

    def _with_room(self, parts: list[Tensor]) -> list[Tensor]:
        return [nn.functional.pad(part, (0, 0, 0, room_for(self._rows) - self._rows)) for part in parts]


def room_for(rows: int) -> int:
    """Rounds a number of rows up to what kernels are kept for: oneDNN makes one for each number of rows."""
    step = next(step for most, step in ROW_STEPS if rows <= most)
    return -(-rows // step) * step
