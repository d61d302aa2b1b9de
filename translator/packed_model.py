"""The model's weights arranged for one token at a time, for PyTorch: computed once a load and never written to again.

Of the model the encoder is kept; the rest lies packed in products, and may go. Any number of searches and
threads may share what is here.

What a step need not do again is done before it:

- once a load, the first layer's product with every embedding: a step looks up a row instead;
- once a sentence, the products of the encoder outputs with the weights that will meet them in a context. A context is a
  weighted sum of encoder outputs, and a product of a sum is the sum of the products:
  `(weights @ values) @ W = weights @ (values @ W)`. So no step multiplies with these weights, and no context is made.

What is left is one product for each layer, one for the query, one for the readout, one for the logits
(`translator.output`), which a shortlist makes small.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from translator.batch import PaddedIds
from translator.compute_type import ComputeType, has_bfloat16
from translator.decoder import DecoderState, state_of
from translator.encoder import Encoder, EncoderOutput
from translator.lstm_cell import parameters_of
from translator.model import TranslationModel
from translator.output import OutputLayer
from translator.packed_lstm import can_pack, pack_layers
from translator.products import Product, make_product
from translator.sentence_memory import SentenceMemory, in_eights, lengthened
from translator.shortlist import Shortlist


class PackedModel:
    """A model made ready to decode.

    Args:
        model: The encoder is perhaps shared with it; it is put into evaluation mode and must not change
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
        self.pad_id, self.compute_type = pad_id, compute_type
        self.device = model.output_bias.device
        self._longest = float(model.embedding.weight.abs().max()) * model.embedding_scale
        self._encoded_as, self.encoder = self._packed_encoder(model.encoder)
        bridge = model.decoder.bridge
        decoder, attention = model.decoder, model.decoder.attention
        self.heads = attention.heads
        first, *later = (parameters_of(layer) for layer in decoder.layers)
        width = len(first.recurrent[0])  # H
        # What is looked up or summed is rounded to bfloat16 where products are rounded anyway: half of the memory.
        self._kept_as = torch.float32 if compute_type == "float32" else torch.bfloat16
        self.embedding_scale = model.embedding_scale
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
            model.embedding.weight,
            model.output_bias,
            compute_type=compute_type,
            shortlist=shortlist,
        )
        self._layers = bridge.layers
        self.bridge = self._product(bridge.weight, bridge.bias, bound=1)
        self.keys = self._product(attention.key.weight, None, bound=len(model.encoder.forwards))
        to_context, to_embedded = readout.weight[:, width:].tensor_split([len(attention.key.weight)], dim=1)
        meeting_context = [layer.inputs[:, width:] for layer in later] + [to_context]
        self.context_widths = [len(weight) for weight in meeting_context]
        self.values = self._value_products(torch.cat(meeting_context), model.encoder)
        self.lexical = self._lexical_product(to_embedded) if decoder.lexical_shortcut else None

    def encode(self, source: PaddedIds) -> tuple[SentenceMemory, DecoderState]:
        """Reads B sources: what attention needs of them, and the decoder's first state, a row a sentence."""
        embedded = nn.functional.embedding(source.ids, self.embeddings)
        encoded = self.encoder(embedded.to(self._encoded_as), source)
        values = encoded.encoder_outputs.float().masked_fill(~source.mask[..., None], 0.0)
        batch, length, width = values.shape
        rows = values.view(batch * length, width)
        keys = self.keys(rows).view(batch, length, width)
        parts = [product(part) for product, part in zip(self.values, rows.chunk(self.heads, 1), strict=True)]
        projected = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        if self.lexical is not None:  # to the readout, which comes last, an even share through each head
            to_readout = projected.view(batch * length, self.heads, -1)[..., -self.context_widths[-1] :]
            to_readout += self.lexical(embedded.float().view(batch * length, -1))[:, None] / self.heads
        projected = projected.to(self._kept_as).view(batch, length, -1)
        memory = SentenceMemory(*(lengthened(part, in_eights(length)) for part in (keys, projected, ~source.mask)))
        return memory, state_of(torch.tanh(self.bridge(encoded.summary.float())), self._layers)

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

    def source_readouts(self, projected_values: Tensor, sentences: Tensor) -> Tensor:
        """What each source position adds to a readout that looks at it alone.

        Args:
            projected_values: Of B sentences, [B, S, heads * M].
            sentences: Positions of those that are wanted. [N] int64

        Returns:
            [N, S, E] float32.
        """
        parts: Tensor = projected_values.unflatten(2, (self.heads, -1))[..., -self.context_widths[-1] :]
        return parts.index_select(0, sentences).float().sum(dim=2)

    def written(self, token_ids: Tensor) -> Tensor:
        """Output embeddings of tokens, [..., E] float32: those of the input, unscaled, as the table is shared."""
        embedded: Tensor = nn.functional.embedding(token_ids, self.embeddings).float().div_(self.embedding_scale)
        return embedded

    def _product(self, weight: Tensor, bias: Tensor | None, *, bound: float) -> Product:
        return make_product(weight, bias, bound=bound, compute_type=self.compute_type)

    def _packed_encoder(self, encoder: Encoder) -> tuple[torch.dtype, Callable[[Tensor, PaddedIds], EncoderOutput]]:
        """The encoder as it reads quickest, and what it wants its embeddings in."""
        rounded = self.compute_type != "float32" and has_bfloat16(str(self.device))
        dtype = torch.bfloat16 if rounded else torch.float32
        if can_pack(self.device):
            return dtype, pack_layers(encoder, dtype)
        return dtype, copy.deepcopy(encoder).to(dtype) if rounded else encoder

    def _lexical_product(self, weight: Tensor) -> Product:
        """What a source position adds to the readout for being the piece it is."""
        return self._product(weight, None, bound=self._longest)

    def _value_products(self, weight: Tensor, encoder: Encoder) -> list[Product]:
        """One product for each head, which sees its slice of the encoder outputs."""
        return [self._product(part, None, bound=len(encoder.forwards)) for part in weight.chunk(self.heads, dim=1)]
