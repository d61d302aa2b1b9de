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
from translator.lstm_cell import lstm_cell
from translator.packed_model import PackedModel
from translator.posterior import posterior_attention
from translator.sentence_memory import KnownSentences, SentenceMemory
from translator.stepper import StepOutput

ROW_STEPS = ((16, 1), (64, 8), (sys.maxsize, 16))
"""Up to so many rows, multiples of what a step has room for: oneDNN makes a kernel for each size, of every product."""
LEAST_FULL = 0.75  # of the memory; when fewer of its sentences are live, it is cut down to them


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
        self._known, self._hidden, self._cell = known, _with_room(hidden, self._rows), _with_room(cell, self._rows)
        self._ask_who_needs_all()

    @torch.inference_mode()
    def step(self, token_ids: Tensor, places: Tensor) -> StepOutput:
        """Advances every row by its previous token.

        Args:
            token_ids: [N] int64.
            places: k + K * b for row k of sentence b, ascending. [N] int64

        Returns:
            log_probs [N, C], attention_weights [N, S], and the state's part in the readout [N, E], which `explain`
            wants to see again. The columns are the whole vocabulary, or with a shortlist
            what a sentence may be translated with.

        Raises:
            RuntimeError: No sentence was admitted.
        """
        known = self._admitted()
        if (choice := known.choice) is None:
            return self.step_in_full(token_ids, places)
        places = self._where(places)
        readout, weights, states = self._read(token_ids, places, known.memory)
        found = self._engine.output.chosen_log_probs(self._spread(readout, places), choice, any_whole=self._any_whole)
        log_probs, columns = (self._gathered(part, places) for part in found)
        return StepOutput(log_probs, weights, states, columns)

    @torch.inference_mode()
    def step_in_full(self, token_ids: Tensor, places: Tensor) -> StepOutput:
        """Advances as `step` does, and says log_probs of the whole vocabulary whatever the shortlist, [N, V].

        Raises:
            RuntimeError: No sentence was admitted.
        """
        known = self._admitted()
        readout, weights, states = self._read(token_ids, self._where(places), known.memory)
        return StepOutput(self._engine.output.log_probs(readout)[: self._rows], weights, states)

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
        rows = nn.functional.pad(rows, (0, room_for(self._rows) - self._rows))
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

    def _where(self, places: Tensor) -> Tensor:
        """The places of rows among the beams of all known sentences, [N]; what the methods below take."""
        if self._lying is None:
            return places
        return self._lying.index_select(0, places // self._beam_size) * self._beam_size + places % self._beam_size

    def _spread(self, parts: Tensor, places: Tensor) -> Tensor:
        """Lays what rows have, [N or more, D], out to the beams of all known sentences, [B, K, D]."""
        count = len(self._admitted().memory.padding) * self._beam_size
        if len(places) < count:
            parts = parts.new_zeros(count, parts.shape[1]).index_copy_(0, places, parts[: len(places)])
        return parts[:count].view(-1, self._beam_size, parts.shape[1])

    def _gathered(self, parts: Tensor, places: Tensor) -> Tensor:
        """Takes what there is of each row, [N, any], from [B, K, any]."""
        parts = parts.flatten(0, 1)
        return parts if len(places) == len(parts) else parts.index_select(0, places)

    def _read(self, token_ids: Tensor, places: Tensor, memory: SentenceMemory) -> tuple[Tensor, Tensor, Tensor]:
        """Takes every row's previous token in.

        Returns:
            readout [N or more, E], attention_weights [N, S], and the state's part in the readout, [N, E].
        """
        engine = self._engine
        room = len(self._hidden[0]) - len(token_ids)
        if room:
            token_ids = nn.functional.pad(token_ids, (0, room))
        gates = engine.first(self._hidden[0]) + engine.first_gates.index_select(0, token_ids)
        outputs, cell = lstm_cell(gates, self._cell[0])  # [N, H]
        # The rows of a sentence ask its memory together, as K queries: nothing is copied K times.
        context, weights = engine.attend(self._spread(engine.query(outputs), places), memory)
        context, weights = self._gathered(context, places), self._gathered(weights, places)
        if room:
            context = nn.functional.pad(context, (0, 0, 0, room))
        *to_gates, to_readout = context.split(engine.context_widths, dim=1)
        hiddens, cells = [outputs], [cell]
        for depth, (product, from_context) in enumerate(zip(engine.later, to_gates, strict=True), start=1):
            gates = product(outputs, self._hidden[depth]).add_(from_context)
            above, cell = lstm_cell(gates, self._cell[depth])
            hiddens.append(above)
            cells.append(cell)
            outputs = outputs + above
        self._hidden, self._cell = hiddens, cells
        states = engine.readout(outputs)
        return torch.tanh(states + to_readout), weights, states[: len(token_ids) - room]


def _with_room(parts: list[Tensor], rows: int) -> list[Tensor]:
    return [nn.functional.pad(part, (0, 0, 0, room_for(rows) - rows)) for part in parts]


def room_for(rows: int) -> int:
    """Rounds a number of rows up to what kernels are kept for: oneDNN makes one for each number of rows."""
    step = next(step for most, step in ROW_STEPS if rows <= most)
    return -(-rows // step) * step
