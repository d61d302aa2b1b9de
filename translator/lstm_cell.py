"""One step of an LSTM layer, and its weights in the order that a step wants them in.

Source: Gers et al. 2000, the cell with a forget gate.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class LstmParameters(NamedTuple):
    """One layer's weights as PyTorch keeps them, its two bias vectors summed."""

    inputs: Tensor  # [4H, input]
    recurrent: Tensor  # [4H, H]
    bias: Tensor  # [4H]


def parameters_of(layer: nn.Module) -> LstmParameters:
    """Reads a layer's weights, its gates put in the order input, forget, output, cell."""
    weights = dict(layer.named_parameters())
    inputs, recurrent, bias, more = (
        _three_gates_first(weights[name]) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    return LstmParameters(inputs, recurrent, bias + more)


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
