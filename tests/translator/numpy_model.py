"""The whole model once more, for one sentence, in NumPy and float64: written from the equations, slow and obvious.

Source: Gers et al. 2000 for the LSTM cell with a forget gate; the rest from the docstrings of `translator`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from translator.model import TranslationModel
from translator.posterior import LEAST_PRIOR
from translator.tokenizer import Tokenizer

Array = NDArray[np.float64]


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().numpy().astype(np.float64)


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class Cell:
    """One LSTM cell: an input gate, a forget gate, an output gate, and the memory cell that they guard."""

    def __init__(self, layer: nn.Module) -> None:
        weights = {name: array(weight) for name, weight in layer.named_parameters()}
        # PyTorch lays the gates one below the other: input, forget, candidate, output.
        self.of_input = np.split(weights["weight_ih_l0"], 4)
        self.of_hidden = np.split(weights["weight_hh_l0"], 4)
        self.bias = np.split(weights["bias_ih_l0"] + weights["bias_hh_l0"], 4)
        self.size = len(self.bias[0])

    def step(self, x: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
        i, f, g, o = (w @ x + u @ hidden + b for w, u, b in zip(self.of_input, self.of_hidden, self.bias, strict=True))
        input_gate, forget_gate, output_gate = sigmoid(i), sigmoid(f), sigmoid(o)
        cell = forget_gate * cell + input_gate * np.tanh(g)
        return output_gate * np.tanh(cell), cell

    def read(self, inputs: Array, hidden: Array | None = None, cell: Array | None = None) -> tuple[Array, Array, Array]:
        """The outputs [T, H] of a sequence [T, I], and the state after it."""
        hidden = np.zeros(self.size) if hidden is None else hidden
        cell = np.zeros(self.size) if cell is None else cell
        outputs = []
        for x in inputs:
            hidden, cell = self.step(x, hidden, cell)
            outputs.append(hidden)
        return np.array(outputs), hidden, cell


def encode(model: TranslationModel, ids: Sequence[int]) -> tuple[Array, Array]:
    """The encoder outputs [S, D] of one sentence, and the summary [D]."""
    outputs = embed(model, ids)
    summary = outputs
    for depth, (ahead, back) in enumerate(zip(model.encoder.forwards, model.encoder.backwards, strict=True)):
        left_to_right, last, _ = Cell(ahead).read(outputs)
        right_to_left, first, _ = Cell(back).read(outputs[::-1])
        both = np.concatenate([left_to_right, right_to_left[::-1]], axis=1)
        outputs = both if depth == 0 else both + outputs
        summary = np.concatenate([last, first])
    return outputs, summary


def decode(model: TranslationModel, source: Sequence[int], target: Sequence[int]) -> tuple[Array, Array]:
    """What the model says after each token of `target`: log-probabilities [T, V], attention [T, S]."""
    outputs, context, attention, _ = run(model, source, target)
    return np.log(softmax(logits(model, outputs, context, attention @ embed(model, source)))), attention


def origins(model: TranslationModel, source: Sequence[int], target: Sequence[int]) -> Array:
    """By Bayes, a pair of positions at a time: where each token came from, [T, S]."""
    outputs, _, attention, encoder_outputs = run(model, source, [Tokenizer.bos_id, *target[:-1]])
    found = np.log(np.maximum(attention, LEAST_PRIOR))
    for step, token in enumerate(target):
        for position, piece in enumerate(source):
            alone = logits(model, outputs[step], encoder_outputs[position], embed(model, [piece])[0])
            found[step, position] += alone[token]
    return softmax(found)


def run(model: TranslationModel, source: Sequence[int], target: Sequence[int]) -> tuple[Array, Array, Array, Array]:
    """Outputs of the layers [T, H], context [T, D], attention [T, S], encoder outputs [S, D]."""
    encoder_outputs, summary = encode(model, source)
    decoder = model.decoder
    states = np.tanh(array(decoder.bridge.weight) @ summary + array(decoder.bridge.bias))
    state_of = states.reshape(len(decoder.layers), 2, -1)
    outputs, _, _ = Cell(decoder.layers[0]).read(embed(model, target), *state_of[0])
    context, attention = attend(model, outputs, encoder_outputs)
    for depth in range(1, len(decoder.layers)):
        inputs = np.concatenate([outputs, context], axis=1)
        outputs = outputs + Cell(decoder.layers[depth]).read(inputs, *state_of[depth])[0]
    return outputs, context, attention, encoder_outputs


def logits(model: TranslationModel, outputs: Array, context: Array, embedded: Array) -> Array:
    """Scores every piece, [..., V], where the context is this, and the attended source embeddings are these."""
    decoder = model.decoder
    seen = [outputs, context, embedded] if decoder.lexical_shortcut else [outputs, context]
    readout = np.tanh(np.concatenate(seen, axis=-1) @ array(decoder.readout.weight).T + array(decoder.readout.bias))
    return np.asarray(readout @ array(model.embedding.weight).T + array(model.output_bias))


def attend(model: TranslationModel, outputs: Array, encoder_outputs: Array) -> tuple[Array, Array]:
    """Context [T, D] and the mean over heads of the attention weights [T, S]."""
    attention = model.decoder.attention
    queries = np.split(outputs @ array(attention.query.weight).T, attention.heads, axis=1)
    keys = np.split(encoder_outputs @ array(attention.key.weight).T, attention.heads, axis=1)
    values = np.split(encoder_outputs, attention.heads, axis=1)
    weights = [softmax(q @ k.T / np.sqrt(q.shape[1])) for q, k in zip(queries, keys, strict=True)]
    contexts = [w @ v for w, v in zip(weights, values, strict=True)]
    return np.concatenate(contexts, axis=1), np.mean(weights, axis=0)


def embed(model: TranslationModel, ids: Sequence[int]) -> Array:
    table = array(model.embedding.weight)
    return np.asarray(table[list(ids)] * np.sqrt(table.shape[1]))
