"""Dropout that forgets the same units at every step of a sequence.

Source: Gal & Ghahramani 2016, section 4 ("variational"), on the inputs of layers, not on the recurrent connections.
One mask a sequence instead of one a step also draws T times fewer random numbers, which on a CPU is most of the cost.
"""

import math

import torch
from torch import Tensor, nn


class SequenceDropout(nn.Module):
    """Drops whole features of each sequence while training.

    Args:
        probability: Of a feature being dropped; 0 is off. Kept features grow by 1 / (1 - probability).
    """

    def __init__(self, probability: float) -> None:
        """Remembers the probability."""
        super().__init__()
        self.probability = probability

    def forward(self, inputs: Tensor) -> Tensor:
        """Applies one mask [B, 1, F] to all steps of `inputs` [B, T, F]."""
        if not self.training or not self.probability:
            return inputs
        mask = dropout_mask((len(inputs), 1, inputs.shape[-1]), self.probability, device=inputs.device)
        return inputs * mask.to(inputs.dtype)


def dropout_mask(shape: tuple[int, ...], probability: float, *, device: torch.device) -> Tensor:
    """Draws what to multiply with: 0 as often as `probability` says, else 1 / (1 - probability); float32.

    On a CPU, where random numbers are drawn one by one, four are cut out of each draw of 64 bits; the probability is
    then a multiple of 1 / 65,536, at most 65,535 of them.
    """
    kept = 1 - probability
    if device.type != "cpu":
        return torch.empty(shape, device=device).bernoulli_(kept).div_(kept)
    size = math.prod(shape)
    bits = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(2**63), None)
    numbers = bits.view(torch.int16)[:size].view(shape)  # -32,768 to 32,767
    return (numbers >= min(round(probability * 2**16), 2**16 - 1) - 2**15).float().div_(kept)
