"""The decoder: LSTM layers that write the target, one token after another or, when it is known, all at once.

The first layer reads target embeddings alone, so it runs over a whole target as one fused kernel; its outputs ask the
attention, for all steps at once; the context goes to every later layer and to the readout. Nothing that depends on the
previous step's attention is fed back, so training has no loop over time. Attention is asked *after* the state took in
the token, which keeps it usable as alignment of the token that follows.

With the lexical shortcut the readout also sees the embeddings of the source, summed by the same attention: a word can
then be translated, or copied, by what it is, whatever the encoder made of it in its sentence.

Source: Wu et al. 2016, section 3 and Chen et al. 2018, section 4.1 (first-layer attention, context to all layers);
Nguyen & Chiang 2018, section 4, and Gehring et al. 2017, section 3.3 (embeddings beside the encoder's outputs).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.attention import Attention, Memory
from translator.dropout import SequenceDropout
from translator.lstm import LstmLayer


class DecoderState(NamedTuple):
    """The whole memory of the decoder between two steps, a row a hypothesis.

    Args:
        hidden: [L, B, H].
        cell: [L, B, H].
    """

    hidden: Tensor
    cell: Tensor

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Returns (hidden, cell) of one layer, each [1, B, H], as the fused kernel takes them."""
        return self.hidden[index : index + 1].contiguous(), self.cell[index : index + 1].contiguous()


class DecoderOutput(NamedTuple):
    """What the decoder says of every step.

    Args:
        readout: [B, T, E], to be multiplied with the embedding table.
        attention_weights: [B, T, S] float32.
        state: Of every layer after the last step.
    """

    readout: Tensor
    attention_weights: Tensor
    state: DecoderState


def state_of(projected: Tensor, layers: int) -> DecoderState:
    """Reads the state of L layers from the tanh of what the bridge made of a summary, [B, L * 2H]."""
    states = projected.float().view(len(projected), layers, 2, -1).permute(2, 1, 0, 3).contiguous()  # [2, L, B, H]
    return DecoderState(states[0], states[1])


class Bridge(nn.Linear):
    """From what the encoder understood to the decoder's first state.

    Args:
        memory_size: D, width of the summary.
        hidden_size: H, units of each decoder layer.
        layers: Decoder layers.
    """

    def __init__(self, *, memory_size: int, hidden_size: int, layers: int) -> None:
        """Makes the projection."""
        super().__init__(memory_size, layers * 2 * hidden_size)
        self.layers = layers

    def initial_state(self, summary: Tensor) -> DecoderState:
        """Builds the first state of every layer from the encoder's `summary` [B, D]."""
        return state_of(torch.tanh(self(summary)), self.layers)


class Decoder(nn.Module):
    """Writes target tokens from what the encoder remembered.

    Args:
        input_size: E, width of the embeddings and of the readout.
        hidden_size: H, units of each layer.
        memory_size: D, width of the encoder outputs.
        layers: LSTM layers, at least 1.
        heads: Attention heads.
        lexical_shortcut: Whether the readout sees the attended source embeddings.
        dropout: On every layer's input and on the readout while training; 0 is off.
    """

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        memory_size: int,
        layers: int,
        heads: int,
        dropout: float,
        lexical_shortcut: bool = False,
    ) -> None:
        """Makes bridge, layers, attention and readout."""
        super().__init__()
        self.bridge = Bridge(memory_size=memory_size, hidden_size=hidden_size, layers=layers)
        self.attention = Attention(query_size=hidden_size, memory_size=memory_size, heads=heads)
        widths = [input_size] + [hidden_size + memory_size] * (layers - 1)
        self.layers = nn.ModuleList(LstmLayer(width, hidden_size) for width in widths)
        self.lexical_shortcut = lexical_shortcut
        self.readout = nn.Linear(hidden_size + memory_size + lexical_shortcut * input_size, input_size)
        self.dropout = SequenceDropout(dropout)

    def forward(self, embedded: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Reads target embeddings and says what comes after each.

        With the whole target this is the teacher-forced pass of training; with T = 1 it is one decoding step.

        Args:
            embedded: [B, T, E], of the tokens before the ones to be said.
            state: Of B rows.
            memory: Of the same B rows.
        """
        outputs, first = self._run(0, self.dropout(embedded), state)  # [B, T, H]
        context, attention_weights = self.attention(outputs, memory)  # [B, T, D], [B, T, S]
        states = [first]
        for depth in range(1, len(self.layers)):
            inputs = self.dropout(torch.cat([outputs, context], dim=-1))
            above, after = self._run(depth, inputs, state)
            outputs = outputs + above
            states.append(after)
        seen = [outputs, context]
        if self.lexical_shortcut:
            seen.append(attention_weights.to(context.dtype) @ memory.embedded.to(context.dtype))  # [B, T, E]
        readout = torch.tanh(self.readout(self.dropout(torch.cat(seen, dim=-1))))
        hidden, cell = (torch.cat(parts) for parts in zip(*states, strict=True))
        return DecoderOutput(self.dropout(readout), attention_weights, DecoderState(hidden, cell))

    def _run(self, depth: int, inputs: Tensor, state: DecoderState) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, cell = state.layer(depth)
        outputs, after = self.layers[depth](inputs, (hidden.to(inputs.dtype), cell.to(inputs.dtype)))
        return outputs, after
