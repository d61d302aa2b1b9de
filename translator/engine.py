"""The decoding engine: the model's weights arranged for one token at a time.

`DecodingEngine` holds what is computed once a load and is never written to again, so any number of threads may share
it. A `DecodingSession` is one search's state: the attention memory once a sentence (not once a hypothesis), the LSTM
states once a row. It is the `Stepper` that `translator.beam_search` asks for, and equals the teacher-forced pass of
`translator.model` (tested).

Each gate block is one matrix product over [input; hidden], where the training graph has two.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.attention import Memory
from translator.batch import pad
from translator.beam_search import StepOutput
from translator.decoder import DecoderState
from translator.model import TranslationModel


class _Gates(NamedTuple):
    """One LSTM layer: weight [input + H, 4H] and bias [4H], gates in the order input, forget, cell, output."""

    weight: Tensor
    bias: Tensor


class DecodingEngine:
    """A model made ready to decode.

    Args:
        model: Its weights are shared where they can be; it is put into evaluation mode and must not change afterwards.
        pad_id: What fills up shorter sources.
    """

    def __init__(self, model: TranslationModel, *, pad_id: int) -> None:
        """Packs the recurrent weights."""
        self.model = model.eval().requires_grad_(False)
        self.pad_id = pad_id
        self.device = model.output_bias.device
        self.layers = [_pack(layer) for layer in model.decoder.layers]

    def session(self) -> "DecodingSession":
        """Starts an empty search."""
        return DecodingSession(self)


class DecodingSession:
    """The rows of one search; sentence b owns rows b * K to b * K + K - 1."""

    def __init__(self, engine: DecodingEngine) -> None:
        """Begins with no rows."""
        self._engine = engine
        self._beam_size = 1
        self._memory: Memory | None = None
        self._state: DecoderState | None = None

    @torch.no_grad()
    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        """Encodes `sources` and appends `beam_size` rows for each."""
        self._beam_size = beam_size
        source = pad(sources, self._engine.pad_id).to(self._engine.device)
        memory, state = self._engine.model.encode(source)
        rows = torch.arange(len(sources), device=self._engine.device).repeat_interleave(beam_size)
        state = state.select(rows)
        if self._memory is not None and self._state is not None:
            memory = _join(self._memory, memory)
            state = DecoderState(*(torch.cat(both, dim=1) for both in zip(self._state, state, strict=True)))
        self._memory, self._state = memory, state

    @torch.no_grad()
    def step(self, token_ids: Tensor) -> StepOutput:
        """Advances every row by its previous token.

        Args:
            token_ids: [N] int64.

        Returns:
            log_probs [N, V] and attention_weights [N, S].

        Raises:
            RuntimeError: No sentence was admitted.
        """
        if self._memory is None or self._state is None:
            raise RuntimeError("step() came before admit(); admit at least one source first.")
        engine, decoder, state = self._engine, self._engine.model.decoder, self._state
        outputs = engine.model.embed(token_ids)  # [N, E]
        context = weights = outputs
        hidden, cell = [], []
        for depth, gates in enumerate(engine.layers):
            inputs = outputs if depth == 0 else torch.cat([outputs, context], dim=-1)
            above, memory_cell = _lstm_step(inputs, state.hidden[depth], state.cell[depth], gates)
            hidden.append(above)
            cell.append(memory_cell)
            outputs = above if depth == 0 else outputs + above  # [N, H]
            if depth == 0:
                # The K rows of a sentence ask its memory together, as K queries: nothing is copied K times.
                queries = outputs.view(-1, self._beam_size, outputs.shape[-1])
                context, weights = decoder.attention(queries, self._memory)  # [B, K, D], [B, K, S]
                context, weights = context.flatten(0, 1), weights.flatten(0, 1)
        self._state = DecoderState(torch.stack(hidden), torch.stack(cell))
        readout = torch.tanh(decoder.readout(torch.cat([outputs, context], dim=-1)))  # [N, E]
        return StepOutput(engine.model.logits(readout).log_softmax(dim=-1), weights)

    def reorder(self, rows: Tensor) -> None:
        """Lets row i continue from old row `rows[i]`, which must be of the same sentence."""
        if self._state is not None:
            self._state = self._state.select(rows)

    def keep(self, sentences: Tensor) -> None:
        """Keeps the sentences at these positions; the rows of the others leave, and padding that nobody needs."""
        if self._memory is None or self._state is None:
            return
        if not len(sentences):
            self._memory = self._state = None
            return
        keys, values, mask = (part.index_select(0, sentences) for part in self._memory)
        longest = int(mask.sum(dim=1).max())
        self._memory = Memory(keys[:, :longest], values[:, :longest], mask[:, :longest])
        rows = sentences[:, None] * self._beam_size + torch.arange(self._beam_size, device=sentences.device)
        self._state = self._state.select(rows.flatten())


def _pack(layer: nn.Module) -> _Gates:
    weights = dict(layer.named_parameters())
    joined = torch.cat([weights["weight_ih_l0"], weights["weight_hh_l0"]], dim=1)
    return _Gates(joined.t().contiguous(), weights["bias_ih_l0"] + weights["bias_hh_l0"])


def _lstm_step(inputs: Tensor, hidden: Tensor, cell: Tensor, gates: _Gates) -> tuple[Tensor, Tensor]:
    """One step of one layer: rows [N, input], [N, H], [N, H] -> the next hidden and cell."""
    products = torch.addmm(gates.bias, torch.cat([inputs, hidden], dim=-1), gates.weight)  # [N, 4H]
    enter, forget, candidate, leave = products.chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(cell), cell


def _join(first: Memory, second: Memory) -> Memory:
    """Puts sentences below one another, the shorter memory padded."""
    longest = max(first.keys.shape[1], second.keys.shape[1])
    parts = []
    for one, other in zip(first, second, strict=True):
        fill = [(0, 0) * (one.dim() - 2) + (0, longest - part.shape[1]) for part in (one, other)]
        parts.append(torch.cat([nn.functional.pad(one, fill[0]), nn.functional.pad(other, fill[1])]))
    return Memory(*parts)
