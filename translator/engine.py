"""The decoding engine: the model's weights arranged for one token at a time.

`DecodingEngine` holds what is computed once a load and is never written to again, so any number of threads may share
it. Of the model it keeps encoder and bridge; the rest lies packed in its products, and may go. A `DecodingSession` is
one search's state: the sentences' memories, the LSTM states of the rows. It is the `Stepper` that
`translator.beam_search` asks for. In float32 it equals the teacher-forced pass of `translator.model` (tested).

What a step need not do again is done before it:

- once a load, the first layer's product with every embedding: a step looks up a row instead;
- once a sentence, the products of the encoder outputs with the weights that will meet them in a context. A context is a
  weighted sum of encoder outputs, and a product of a sum is the sum of the products:
  `(weights @ values) @ W = weights @ (values @ W)`. So no step multiplies with these weights, and no context is made.

What is left is one product for each layer, one for the query, one for the readout, one for the logits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.batch import PaddedIds, pad
from translator.beam_search import StepOutput
from translator.decoder import DecoderState
from translator.encoder import Encoder
from translator.model import TranslationModel
from translator.products import ComputeType, Product, make_product

LENGTH_STEP = 8


class SentenceMemory(NamedTuple):
    """What the steps need of sources, computed once a sentence.

    Args:
        keys: [B, S, D].
        projected_values: [B, S, heads * M]: for each head, what a source position adds per unit of attention to the
            gates of the later layers and to the readout, one behind the other.
        padding: [B, S] bool, True where there is no token.

    S is a multiple of 8: oneDNN makes a kernel for each length and keeps so many.
    """

    keys: Tensor
    projected_values: Tensor
    padding: Tensor


class DecodingEngine:
    """A model made ready to decode.

    Args:
        model: Encoder and bridge are shared with it; it is put into evaluation mode and must not change afterwards.
        pad_id: What fills up shorter sources.
        compute_type: How products with packed weights are computed. The encoder's LSTM runs in float32 always, and so
            does the product that makes the logits when this is bfloat16: they lie closer than 8 bits can tell.
    """

    def __init__(self, model: TranslationModel, *, pad_id: int, compute_type: ComputeType = "float32") -> None:
        """Packs the weights."""
        model.eval().requires_grad_(False)
        self.encoder, self.bridge = model.encoder, model.decoder.bridge
        self.pad_id, self.compute_type = pad_id, compute_type
        self.device = model.output_bias.device
        decoder, attention = model.decoder, model.decoder.attention
        self.heads = attention.heads
        first, *later = (_parameters(layer) for layer in decoder.layers)
        width = len(first.recurrent[0])  # H
        # What is looked up or summed is rounded to bfloat16 where products are rounded anyway: half of the memory.
        self._kept_as = torch.float32 if compute_type == "float32" else torch.bfloat16
        embeddings = model.embedding.weight * model.embedding_scale
        self.embeddings = embeddings.to(self._kept_as)  # [V, E]
        self.first_gates = nn.functional.linear(embeddings, first.inputs, first.bias).to(self._kept_as)  # [V, 4H]
        self.first = self._product(first.recurrent, None, bound=1)
        self.query = self._product(attention.query.weight * attention.scale, None, bound=1)
        # Each later layer reads the sum of the layers below it, each within -1 and 1, beside its own last output.
        self.later = [
            self._product(torch.cat([layer.inputs[:, :width], layer.recurrent], dim=1), layer.bias, bound=depth)
            for depth, layer in enumerate(later, start=1)
        ]
        readout = decoder.readout
        self.readout = self._product(readout.weight[:, :width], readout.bias, bound=len(decoder.layers))
        output_type: ComputeType = "float32" if compute_type == "bfloat16" else compute_type
        self.output = make_product(model.embedding.weight, model.output_bias, bound=1, compute_type=output_type)
        self.keys = self._product(attention.key.weight, None, bound=len(model.encoder.forwards))
        to_context, to_embedded = readout.weight[:, width:].tensor_split([len(attention.key.weight)], dim=1)
        meeting_context = [layer.inputs[:, width:] for layer in later] + [to_context]
        self.context_widths = [len(weight) for weight in meeting_context]
        self.values = self._value_products(torch.cat(meeting_context), model.encoder)
        self.lexical = self._lexical_product(to_embedded, model) if decoder.lexical_shortcut else None

    def session(self) -> "DecodingSession":
        """Starts an empty search."""
        return DecodingSession(self)

    def encode(self, source: PaddedIds) -> tuple[SentenceMemory, DecoderState]:
        """Reads B sources: what attention needs of them, and the decoder's first state, a row a sentence."""
        embedded = nn.functional.embedding(source.ids, self.embeddings).float()
        encoded = self.encoder(embedded, source)
        values = encoded.encoder_outputs.masked_fill(~source.mask[..., None], 0.0)
        batch, length, width = values.shape
        rows = values.view(batch * length, width)
        keys = self.keys(rows).view(batch, length, width)
        projected = torch.cat(
            [product(part) for product, part in zip(self.values, rows.chunk(self.heads, 1), strict=True)], 1
        )
        if self.lexical is not None:  # to the readout, which comes last, an even share through each head
            to_readout = projected.view(batch * length, self.heads, -1)[..., -self.context_widths[-1] :]
            to_readout += self.lexical(embedded.view(batch * length, -1))[:, None] / self.heads
        projected = projected.to(self._kept_as).view(batch, length, -1)
        memory = SentenceMemory(*(_lengthened(part, _in_eights(length)) for part in (keys, projected, ~source.mask)))
        return memory, self.bridge.initial_state(encoded.summary)

    def attend(self, queries: Tensor, memory: SentenceMemory) -> tuple[Tensor, Tensor]:
        """Asks the attention.

        Args:
            queries: [B, K, D], scaled.
            memory: Of the same B sources.

        Returns:
            context [B * K, M] float32, as the later layers and the readout add it up, and attention_weights [B * K, S],
            averaged over heads, exactly 0 on padding.
        """
        batch, beam_size, _ = queries.shape
        queries = queries.view(batch, beam_size, self.heads, -1).transpose(1, 2)  # [B, heads, K, D/heads]
        keys = memory.keys.view(batch, memory.keys.shape[1], self.heads, -1).permute(0, 2, 3, 1)
        scores = (queries @ keys).masked_fill_(memory.padding[:, None, None], -torch.inf)
        weights = scores.softmax(dim=-1)  # [B, heads, K, S]
        values = memory.projected_values.view(batch, memory.padding.shape[1], self.heads, -1).transpose(1, 2)
        contexts = (weights.to(values.dtype) @ values).float()  # [B, heads, K, M]
        if self.heads == 1:
            return contexts.flatten(0, 2), weights.flatten(0, 2)
        return contexts.sum(dim=1).flatten(0, 1), weights.mean(dim=1).flatten(0, 1)

    def _product(self, weight: Tensor, bias: Tensor | None, *, bound: float) -> Product:
        return make_product(weight, bias, bound=bound, compute_type=self.compute_type)

    def _lexical_product(self, weight: Tensor, model: TranslationModel) -> Product:
        """What a source position adds to the readout for being the piece it is."""
        longest = float(model.embedding.weight.abs().max()) * model.embedding_scale
        return self._product(weight, None, bound=longest)

    def _value_products(self, weight: Tensor, encoder: Encoder) -> list[Product]:
        """One product for each head, which sees its slice of the encoder outputs."""
        return [self._product(part, None, bound=len(encoder.forwards)) for part in weight.chunk(self.heads, dim=1)]


class DecodingSession:
    """The rows of one search; sentence b owns rows b * K to b * K + K - 1."""

    def __init__(self, engine: DecodingEngine) -> None:
        """Begins with no rows."""
        self._engine = engine
        self._beam_size = 1
        self._memory: SentenceMemory | None = None
        self._state: DecoderState | None = None

    @torch.inference_mode()
    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        """Encodes `sources` and appends `beam_size` rows for each."""
        self._beam_size = beam_size
        memory, state = self._engine.encode(pad(sources, self._engine.pad_id).to(self._engine.device))
        rows = torch.arange(len(sources), device=self._engine.device).repeat_interleave(beam_size)
        state = state.select(rows)
        if self._memory is not None and self._state is not None:
            memory = _join(self._memory, memory)
            state = DecoderState(*(torch.cat(both, dim=1) for both in zip(self._state, state, strict=True)))
        self._memory, self._state = memory, state

    @torch.inference_mode()
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
        engine, state = self._engine, self._state
        gates = engine.first(state.hidden[0]) + engine.first_gates.index_select(0, token_ids)
        outputs, cell = lstm_cell(gates, state.cell[0])  # [N, H]
        # The K rows of a sentence ask its memory together, as K queries: nothing is copied K times.
        queries = engine.query(outputs).view(len(self._memory.padding), self._beam_size, -1)
        context, weights = engine.attend(queries, self._memory)
        *to_gates, to_readout = context.split(engine.context_widths, dim=1)
        hiddens, cells = [outputs], [cell]
        for depth, (product, from_context) in enumerate(zip(engine.later, to_gates, strict=True), start=1):
            gates = product(torch.cat([outputs, state.hidden[depth]], dim=1)) + from_context
            above, cell = lstm_cell(gates, state.cell[depth])
            hiddens.append(above)
            cells.append(cell)
            outputs = outputs + above
        self._state = DecoderState(torch.stack(hiddens), torch.stack(cells))
        readout = torch.tanh(engine.readout(outputs) + to_readout)  # [N, E]
        return StepOutput(engine.output(readout).log_softmax(dim=-1), weights)

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
        parts = [part.index_select(0, sentences) for part in self._memory]
        longest = _in_eights(int((~parts[-1]).sum(dim=1).max()))
        self._memory = SentenceMemory(*(part[:, :longest].contiguous() for part in parts))
        rows = sentences[:, None] * self._beam_size + torch.arange(self._beam_size, device=sentences.device)
        self._state = self._state.select(rows.flatten())


class _LstmParameters(NamedTuple):
    """One layer's weights as PyTorch keeps them, its two bias vectors summed."""

    inputs: Tensor  # [4H, input]
    recurrent: Tensor  # [4H, H]
    bias: Tensor  # [4H]


def _parameters(layer: nn.Module) -> _LstmParameters:
    """Reads a layer's weights, its gates put in the order input, forget, output, cell."""
    weights = dict(layer.named_parameters())
    inputs, recurrent, bias, more = (
        _three_gates_first(weights[name]) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    return _LstmParameters(inputs, recurrent, bias + more)


def _three_gates_first(weight: Tensor) -> Tensor:
    """PyTorch's order is input, forget, cell, output; with the sigmoids side by side one call does for all three."""
    enter, forget, candidate, leave = weight.chunk(4)
    return torch.cat([enter, forget, leave, candidate])


def lstm_cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One step of one layer.

    Args:
        gates: [N, 4H], in the order input, forget, output, cell, before their functions; written over.
        cell: [N, H].

    Returns:
        The next hidden and cell, each [N, H].
    """
    width = cell.shape[1]
    enter, forget, leave = gates[:, : 3 * width].sigmoid_().chunk(3, dim=1)
    cell = torch.addcmul(forget * cell, enter, gates[:, 3 * width :].tanh_())
    return leave * cell.tanh(), cell


def _join(first: SentenceMemory, second: SentenceMemory) -> SentenceMemory:
    """Puts sentences below one another, the shorter memory padded."""
    longest = max(first.keys.shape[1], second.keys.shape[1])
    return SentenceMemory(
        *(torch.cat([_lengthened(part, longest) for part in both]) for both in zip(first, second, strict=True))
    )


def _lengthened(part: Tensor, length: int) -> Tensor:
    """Pads one part of a memory, [B, S] or [B, S, any], to a length; padding is True or 0."""
    room = (0, 0) * (part.dim() - 2) + (0, length - part.shape[1])
    return nn.functional.pad(part, room, value=part.dtype == torch.bool)


def _in_eights(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP
