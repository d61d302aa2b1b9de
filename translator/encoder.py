"""The encoder: a stack of bidirectional LSTM layers that reads the whole source at once.

Each direction is one fused sequence kernel. A padded row is read backwards from its own last token, not from its
padding, so a sentence gets the same vectors alone and in any batch, without packing (which would leave the fused
path).

Source: Schuster & Paliwal 1997 (bidirectional); residual connections from the second layer on as in Wu et al. 2016,
3.1.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from translator.batch import PaddedIds
from translator.dropout import SequenceDropout
from translator.lstm import LstmLayer


class EncoderOutput(NamedTuple):
    """What the decoder sees of a source.

    Args:
        encoder_outputs: [B, S, D], meaningless where the mask is False.
        summary: [B, D], each direction's output after its last token.
    """

    encoder_outputs: Tensor
    summary: Tensor


class Encoder(nn.Module):
    """Reads embedded sources in both directions.

    Args:
        input_size: E, width of the embeddings.
        hidden_size: Units of each direction; outputs are D = 2 * hidden_size wide.
        layers: Bidirectional layers, each reading both directions of the one below.
        dropout: On every layer's input while training; 0 is off.
    """

    def __init__(self, *, input_size: int, hidden_size: int, layers: int, dropout: float) -> None:
        """Makes the layers; every LSTM starts with a forget gate that remembers."""
        super().__init__()
        widths = [input_size] + [2 * hidden_size] * (layers - 1)
        self.forwards = nn.ModuleList(LstmLayer(width, hidden_size) for width in widths)
        self.backwards = nn.ModuleList(LstmLayer(width, hidden_size) for width in widths)
        self.dropout = SequenceDropout(dropout)

    def forward(self, embedded: Tensor, source: PaddedIds) -> EncoderOutput:
        """Encodes `embedded` [B, S, E], the embeddings of `source`."""
        rows = torch.arange(len(source.lengths), device=embedded.device)
        backwards_order = reversal(source)
        outputs = embedded
        for depth, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            inputs = self.dropout(outputs)
            read_ahead = ahead(inputs)[0]  # [B, S, D/2]
            read_back = turn_round(back(turn_round(inputs, backwards_order))[0], backwards_order)
            both = torch.cat([read_ahead, read_back], dim=-1)  # [B, S, D]
            outputs = both if depth == 0 else both + outputs
            summary = torch.cat([read_ahead[rows, source.lengths - 1], read_back[:, 0]], dim=-1)  # [B, D]
        return EncoderOutput(outputs, summary)


def reversal(source: PaddedIds) -> Tensor:
    """Returns [B, S] positions that turn every row's own tokens round and leave its padding where it is."""
    positions = torch.arange(source.ids.shape[1], device=source.ids.device)
    return torch.where(source.mask, source.lengths[:, None] - 1 - positions, positions)


def turn_round(inputs: Tensor, order: Tensor) -> Tensor:
    """Puts `inputs` [B, S, F] in the order [B, S] of a `reversal`."""
    turned: Tensor = _TurnRound.apply(inputs, order)  # type: ignore[no-untyped-call]
    return turned


class _TurnRound(torch.autograd.Function):
    """A reversal undoes itself, so its gradient is one row lookup more; PyTorch's own would add up row by row."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return reorder_time(inputs, order)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return reorder_time(grad_output, order), None


def reorder_time(inputs: Tensor, positions: Tensor) -> Tensor:
    """Picks `positions` [B, S] along the time axis of `inputs` [B, S, F] by looking up rows."""
    batch, length, width = inputs.shape
    starts = torch.arange(batch, device=inputs.device)[:, None] * length
    return inputs.reshape(batch * length, width)[(starts + positions).flatten()].view(batch, length, width)
