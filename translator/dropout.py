"""Dropout that forgets the same units at every step of a sequence.

Source: Gal & Ghahramani 2016, section 4 ("variational"), on the inputs of layers, not on the recurrent connections.
One mask a sequence instead of one a step also draws T times fewer random numbers, which on a CPU is most of the cost.
"""

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
        kept = 1 - self.probability
        mask = torch.empty(len(inputs), 1, inputs.shape[-1], device=inputs.device).bernoulli_(kept).div_(kept)
        return inputs * mask.to(inputs.dtype)
