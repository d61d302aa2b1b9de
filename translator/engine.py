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

What is left is one product for each layer, one for the query, one for the readout, one for the logits
(`translator.output`), which a shortlist makes small.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from translator.batch import PaddedIds, pad
from translator.beam_search import StepOutput
from translator.decoder import DecoderState
from translator.encoder import Encoder
from translator.lstm_cell import lstm_cell, parameters_of
from translator.model import TranslationModel
from translator.output import OutputLayer
from translator.products import ComputeType, Product, has_bfloat16, make_product
from translator.sentence_memory import KnownSentences, SentenceMemory, in_eights, lengthened
from translator.shortlist import Shortlist

LEAST_FULL = 0.75  # of the memory; when fewer of its sentences are live, it is cut down to them


class DecodingEngine:
    """A model made ready to decode.

    Args:
        model: Bridge and perhaps encoder are shared with it; it is put into evaluation mode and must not change
            afterwards.
        pad_id: What fills up shorter sources.
        compute_type: How products with packed weights are computed. Unless it is float32 the encoder's LSTM runs in
            bfloat16, as it did in training, where the processor has that. Logits of the whole vocabulary are never
            rounded to bfloat16, those of a shortlist are, unless this is float32.
        shortlist: What a sentence may be translated with; None is the whole vocabulary, always.
    """

    def __init__(
        self,
        model: TranslationModel,
        *,
        pad_id: int,
        compute_type: ComputeType = "float32",
        shortlist: Shortlist | None = None,
    ) -> None:
        """Packs the weights."""
        model.eval().requires_grad_(False)
        self.encoder, self.bridge = model.encoder, model.decoder.bridge
        self._encoded_as = torch.float32
        if compute_type != "float32" and has_bfloat16(model.output_bias.device):
            self._encoded_as = torch.bfloat16
            self.encoder = copy.deepcopy(model.encoder).to(self._encoded_as)
        self.pad_id, self.compute_type = pad_id, compute_type
        self.device = model.output_bias.device
        decoder, attention = model.decoder, model.decoder.attention
        self.heads = attention.heads
        first, *later = (parameters_of(layer) for layer in decoder.layers)
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
        self.output = OutputLayer(
            model.embedding.weight, model.output_bias, compute_type=compute_type, shortlist=shortlist
        )
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
        embedded = nn.functional.embedding(source.ids, self.embeddings)
        encoded = self.encoder(embedded.to(self._encoded_as), source)
        values = encoded.encoder_outputs.float().masked_fill(~source.mask[..., None], 0.0)
        batch, length, width = values.shape
        rows = values.view(batch * length, width)
        keys = self.keys(rows).view(batch, length, width)
        projected = torch.cat(
            [product(part) for product, part in zip(self.values, rows.chunk(self.heads, 1), strict=True)], 1
        )
        if self.lexical is not None:  # to the readout, which comes last, an even share through each head
            to_readout = projected.view(batch * length, self.heads, -1)[..., -self.context_widths[-1] :]
            to_readout += self.lexical(embedded.float().view(batch * length, -1))[:, None] / self.heads
        projected = projected.to(self._kept_as).view(batch, length, -1)
        memory = SentenceMemory(*(lengthened(part, in_eights(length)) for part in (keys, projected, ~source.mask)))
        return memory, self.bridge.initial_state(encoded.summary.float())

    def attend(self, queries: Tensor, memory: SentenceMemory) -> tuple[Tensor, Tensor]:
        """Asks the attention.

        Args:
            queries: [B, K, D], scaled.
            memory: Of the same B sources.

        Returns:
            context [B, K, M] float32, as the later layers and the readout add it up, and attention_weights [B, K, S],
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
            return contexts[:, 0], weights[:, 0]
        return contexts.sum(dim=1), weights.mean(dim=1)

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
        self._known: KnownSentences | None = None
        self._places: Tensor | None = None  # [B], where the live sentences lie in what is known; None: nobody left
        self._any_whole = False
        self._hidden: list[Tensor] = []  # of each layer [N, H]
        self._cell: list[Tensor] = []

    @torch.inference_mode()
    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        """Encodes `sources` and appends `beam_size` rows for each."""
        self._beam_size = beam_size
        memory, state = self._engine.encode(pad(sources, self._engine.pad_id).to(self._engine.device))
        known = KnownSentences(memory, self._engine.output.choose(sources, beam_size))
        rows = torch.arange(len(sources), device=self._engine.device).repeat_interleave(beam_size)
        hidden, cell = (list(part.index_select(1, rows)) for part in state)
        if self._known is not None:
            self._close_up()
            known = self._known.join(known)
            hidden, cell = (
                [torch.cat(both) for both in zip(old, new, strict=True)]
                for old, new in ((self._hidden, hidden), (self._cell, cell))
            )
        self._known, self._hidden, self._cell = known, hidden, cell
        self._ask_who_needs_all()

    @torch.inference_mode()
    def step(self, token_ids: Tensor) -> StepOutput:
        """Advances every row by its previous token.

        Args:
            token_ids: [N] int64.

        Returns:
            log_probs [N, C] and attention_weights [N, S]. The columns are the whole vocabulary, or with a shortlist
            what a sentence may be translated with.

        Raises:
            RuntimeError: No sentence was admitted.
        """
        if self._known is None or (choice := self._known.choice) is None:
            return StepOutput(*self.step_in_full(token_ids))
        readout, weights = self._read(token_ids, self._known.memory)
        readout = self._spread(readout.view(-1, self._beam_size, readout.shape[1]))
        found = self._engine.output.chosen_log_probs(readout, choice, any_whole=self._any_whole)
        log_probs, columns = (self._gathered(part).flatten(0, 1) for part in found)
        return StepOutput(log_probs, weights, columns)

    @torch.inference_mode()
    def step_in_full(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Advances as `step` does, and says log_probs of the whole vocabulary whatever the shortlist: [N, V], [N, S].

        Raises:
            RuntimeError: No sentence was admitted.
        """
        if self._known is None:
            raise RuntimeError("step() came before admit(); admit at least one source first.")
        readout, weights = self._read(token_ids, self._known.memory)
        return self._engine.output.log_probs(readout), weights

    def reorder(self, rows: Tensor) -> None:
        """Lets row i continue from old row `rows[i]`, which must be of the same sentence."""
        self._hidden, self._cell = (
            [part.index_select(0, rows) for part in all_of] for all_of in (self._hidden, self._cell)
        )

    def keep(self, sentences: Tensor) -> None:
        """Keeps the sentences at these positions; the rows of the others leave, and in time what was known of them."""
        if self._known is None:
            return
        if not len(sentences):
            self._known = self._places = None
            self._hidden, self._cell = [], []
            return
        rows = sentences[:, None] * self._beam_size + torch.arange(self._beam_size, device=sentences.device)
        self.reorder(rows.flatten())
        self._places = sentences if self._places is None else self._places.index_select(0, sentences)
        if len(self._places) < LEAST_FULL * len(self._known.memory.padding):
            self._close_up()
        self._ask_who_needs_all()

    def _close_up(self) -> None:
        if self._known is not None and self._places is not None:
            self._known, self._places = self._known.select(self._places), None

    def _ask_who_needs_all(self) -> None:
        if self._known is None or (choice := self._known.choice) is None:
            return
        if self._places is not None:  # who left needs nothing
            live = torch.zeros_like(choice.whole).index_fill_(0, self._places, True)
            choice = choice._replace(whole=choice.whole & live)
        self._known, self._any_whole = self._known._replace(choice=choice), bool(choice.whole.any())

    def _spread(self, parts: Tensor) -> Tensor:
        """Lays what there is of each live sentence, [B, ...], out to where the sentences lie."""
        if self._places is None or self._known is None:
            return parts
        spread = parts.new_zeros(len(self._known.memory.padding), *parts.shape[1:])
        return spread.index_copy_(0, self._places, parts)

    def _gathered(self, parts: Tensor) -> Tensor:
        """Takes of each place what is of a live sentence."""
        return parts if self._places is None else parts.index_select(0, self._places)

    def _read(self, token_ids: Tensor, memory: SentenceMemory) -> tuple[Tensor, Tensor]:
        """Takes every row's previous token in: readout [N, E] and attention_weights [N, S]."""
        engine = self._engine
        gates = engine.first(self._hidden[0]) + engine.first_gates.index_select(0, token_ids)
        outputs, cell = lstm_cell(gates, self._cell[0])  # [N, H]
        # The K rows of a sentence ask its memory together, as K queries: nothing is copied K times.
        queries = self._spread(engine.query(outputs).view(-1, self._beam_size, memory.keys.shape[-1]))
        context, weights = (self._gathered(part).flatten(0, 1) for part in engine.attend(queries, memory))
        *to_gates, to_readout = context.split(engine.context_widths, dim=1)
        hiddens, cells = [outputs], [cell]
        for depth, (product, from_context) in enumerate(zip(engine.later, to_gates, strict=True), start=1):
            gates = product(outputs, self._hidden[depth]).add_(from_context)
            above, cell = lstm_cell(gates, self._cell[depth])
            hiddens.append(above)
            cells.append(cell)
            outputs = outputs + above
        self._hidden, self._cell = hiddens, cells
        return torch.tanh(engine.readout(outputs).add_(to_readout)), weights
