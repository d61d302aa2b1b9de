"""A model made ready for the kernels: every product packed in int8, and what is looked up in bfloat16.

What `translator.packed_model` says of what is computed once a load and once a sentence holds here, too; here it is done
with NumPy and the kernels, and PyTorch is not loaded. Any number of searches and threads may share what is here.

Letters: B sentences · S source length · D width of the encoder outputs · H width of a decoder layer · L decoder layers
· E width of embeddings and readout · M numbers of a context · V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from translator import kernels
from translator.arrays import Array, Bfloat16, aligned, side_by_side
from translator.kernels import Int8Product, Int8Reader
from translator.shortlist import Shortlist
from translator.weights import Weights

ROWS_AT_ONCE = 1024
"""Of the table of gates: all of it in float32 would be the most that loading needs."""
NOTHING_ELSE = np.zeros(0, dtype=np.int64)
WHOLE_VOCABULARY = -1  # in the place of a list


class LstmWeights(NamedTuple):
    """One layer's weights, its two bias vectors summed, its gates in the order input, forget, output, cell."""

    inputs: Array  # [4H, any]
    recurrent: Array  # [4H, H]
    bias: Array  # [4H]


def lstm_weights(weights: Weights, name: str) -> LstmWeights:
    """Reads the weights of the layer of that name, whose gates PyTorch keeps as input, forget, cell, output."""

    def part(kind: str) -> Array:
        enter, forget, candidate, leave = np.split(weights[f"{name}.{kind}_l0"], 4)
        return np.concatenate([enter, forget, leave, candidate])

    return LstmWeights(part("weight_ih"), part("weight_hh"), part("bias_ih") + part("bias_hh"))


class ReadSentences(NamedTuple):
    """All that the steps need of B sources, and the decoder's first state.

    Args:
        keys: [B, S, D].
        values: [B, S, heads * M]: for each head, what a source position adds per unit of attention to the gates of the
            later layers and to the readout, one behind the other.
        hidden: [L, B, H].
        cell: [L, B, H].
    """

    keys: Array
    values: Bfloat16
    hidden: Array
    cell: Array


class List(NamedTuple):
    """What every sentence of a language may use: their product, which tokens its outputs are, and the language's."""

    product: Int8Product
    token_ids: NDArray[np.int64]
    language: int


class KernelEncoder:
    """The encoder: a call a layer.

    Args:
        weights: Of an `Encoder` alone.
        bound: Largest magnitude in an embedding.
    """

    def __init__(self, weights: Weights, *, bound: float) -> None:
        """Packs the weights."""
        self.layers = _layers_in(weights, "forwards.")
        self._readers = []
        for depth in range(self.layers):
            # An output is within 1, and from the second layer on what was read is added to it.
            within = depth or bound
            both = (lstm_weights(weights, f"{side}.{depth}") for side in ("forwards", "backwards"))
            self._readers.append(
                Int8Reader(
                    [
                        (Int8Product(each.inputs, each.bias, bound=within), Int8Product(each.recurrent, None, bound=1))
                        for each in both
                    ]
                )
            )

    def __call__(self, embedded: Array, lengths: NDArray[np.int64]) -> tuple[Array, Array]:
        """Encodes `embedded` [B, S, E]: the outputs [B, S, D], 0 behind a sentence, and the summary [B, D]."""
        outputs, summary = embedded, embedded[:, 0]
        for depth, read in enumerate(self._readers):
            outputs, summary = read(outputs, lengths, residual=depth > 0)
        return outputs, summary


class KernelModel:
    """The weights, packed.

    Args:
        weights: As `translator.weights.expected_shapes` has them; not needed afterwards.
        pad_id: What fills up shorter sources.
        heads: Attention heads.
        shortlist: What a sentence may be translated with; None is the whole vocabulary, always.

    Raises:
        RuntimeError: The kernels are not available.
    """

    def __init__(self, weights: Weights, *, pad_id: int, heads: int, shortlist: Shortlist | None = None) -> None:
        """Packs the weights."""
        self.pad_id, self.heads, self._shortlist = pad_id, heads, shortlist
        table = weights["embedding.weight"]
        self.embedding_scale = float(table.shape[1] ** 0.5)
        embeddings = table * np.float32(self.embedding_scale)
        longest = float(np.abs(embeddings).max())
        self.embeddings = _rounded(embeddings)  # [V, E]
        self.encoder = KernelEncoder(_within(weights, "encoder."), bound=longest)
        decoder = _within(weights, "decoder.")
        self.layers = _layers_in(decoder, "layers.")
        first, *later = (lstm_weights(decoder, f"layers.{depth}") for depth in range(self.layers))
        self.width = first.recurrent.shape[1]  # H
        self.first_gates = _tabulated(embeddings, first)  # [V, 4H]
        self.first = Int8Product(first.recurrent, None, bound=1)
        key = decoder["attention.key.weight"]
        key_width = len(key) // heads
        self.query = Int8Product(decoder["attention.query.weight"] * np.float32(key_width**-0.5), None, bound=1)
        # Each later layer reads the sum of the layers below it, each within -1 and 1, beside its own last output.
        width = self.width
        self.later = [
            Int8Product(np.concatenate([layer.inputs[:, :width], layer.recurrent], axis=1), layer.bias, bound=depth)
            for depth, layer in enumerate(later, start=1)
        ]
        readout = decoder["readout.weight"]
        self.readout = Int8Product(readout[:, :width], decoder["readout.bias"], bound=self.layers)
        self.output = Int8Product(table, weights["output_bias"], bound=1)
        self.lists = self._listed(table, weights["output_bias"])
        self._bridge = Int8Product(decoder["bridge.weight"], decoder["bridge.bias"], bound=1)
        self._keys = Int8Product(key, None, bound=self.encoder.layers)
        to_context, to_embedded = np.split(readout[:, width:], [len(key)], axis=1)
        meeting_context = np.concatenate([*(layer.inputs[:, width:] for layer in later), to_context])
        self.value_width = len(meeting_context)  # M
        self._values = [
            Int8Product(part, None, bound=self.encoder.layers) for part in np.split(meeting_context, heads, axis=1)
        ]
        self._lexical = Int8Product(to_embedded, None, bound=longest) if to_embedded.size else None

    def read(self, sources: Sequence[Sequence[int]]) -> ReadSentences:
        """Reads B sources, ids with language token and eos.

        Raises:
            ValueError: There is none, one is empty, or an id is not of the vocabulary.
        """
        ids, lengths = side_by_side(sources, self.pad_id)
        self.check_ids(ids)
        embedded = kernels.embed(ids, self.embeddings)
        outputs, summary = self.encoder(embedded, lengths)
        batch, length, width = outputs.shape
        rows = outputs.reshape(batch * length, width)
        parts = [product(part) for product, part in zip(self._values, np.split(rows, self.heads, axis=1), strict=True)]
        own = None if self._lexical is None else self._lexical(embedded.reshape(batch * length, -1))
        joined = kernels.join_values(parts, self.value_width, own, self.readout.out)
        states = kernels.tanh(self._bridge(summary))[:, : self._bridge.out]
        hidden, cell = states.reshape(batch, self.layers, 2, self.width).transpose(2, 1, 0, 3)
        return ReadSentences(
            np.ascontiguousarray(self._keys(rows)[:, : self._keys.out]).reshape(batch, length, width),
            joined.reshape(batch, length, -1),
            np.ascontiguousarray(hidden),
            np.ascontiguousarray(cell),
        )

    def check_ids(self, ids: NDArray[np.int64]) -> None:
        """Refuses what the kernels would look up beyond their tables.

        Raises:
            ValueError: An id is not of the vocabulary.
        """
        if ids.min() < 0 or ids.max() >= self.output.out:
            raise ValueError(f"ids are {ids.min()} to {ids.max()}, wanted 0 to {self.output.out - 1}.")

    def list_of(self, source: Sequence[int]) -> tuple[int, NDArray[np.int64]]:
        """Which of the `lists` a sentence chooses from, or WHOLE_VOCABULARY, and what else it may use."""
        if self._shortlist is None or (own := self._shortlist.beside(source)) is None:
            return WHOLE_VOCABULARY, NOTHING_ELSE
        return next(place for place, each in enumerate(self.lists) if each.language == source[0]), own

    def _listed(self, weight: Array, bias: Array) -> list[List]:
        """Packs what every sentence of a language may use."""
        if self._shortlist is None:
            return []
        frequent = {language: self._shortlist.frequent(language) for language in self._shortlist.languages}
        return [
            List(Int8Product(weight[token_ids], bias[token_ids], bound=1), token_ids, language)
            for language, token_ids in frequent.items()
        ]


def _within(weights: Weights, prefix: str) -> Weights:
    """Those of a part of the model, by the names that the part gives them."""
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def _layers_in(weights: Weights, prefix: str) -> int:
    return sum(name.startswith(prefix) and name.endswith("weight_hh_l0") for name in weights)


def _rounded(numbers: Array) -> Bfloat16:
    room = aligned(numbers.shape, np.uint16)
    kernels.round_into(room, numbers)
    return room


def _tabulated(embeddings: Array, layer: LstmWeights) -> Bfloat16:
    """What each piece adds to the gates of the first layer, [V, 4H]."""
    table = aligned((len(embeddings), len(layer.bias)), np.uint16)
    inputs = np.ascontiguousarray(layer.inputs.T)
    for start in range(0, len(table), ROWS_AT_ONCE):
        gates = embeddings[start : start + ROWS_AT_ONCE] @ inputs
        gates += layer.bias
        kernels.round_into(table[start : start + ROWS_AT_ONCE], gates)
    return table
