"""Attention: where each target token looks in the source. Stateless.

Scaled dot-product attention with optional heads: the query and the keys are projections of the decoder's first layer
and of the encoder outputs; the values are the encoder outputs themselves, a slice for each head. All target steps are
served by one batched product, and a decoding step is the case T = 1.

    weights[b, h, t, s] = softmax_s(query[b, t, h] . keys[b, s, h] / sqrt(D / heads))

Source: Luong et al. 2015, section 3.1 ("general" score, with one head); Vaswani et al. 2017, 3.2 (scaling, heads).
Departs from Luong in that keys are projected too, which is done once a sentence.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What attention needs of a source, computed once a sentence.

    Args:
        keys: [B, S, D].
        values: [B, S, D], the encoder outputs, zero on padding.
        embedded: [B, S, E], the embeddings of the source, zero on padding.
        mask: [B, S] bool, True for a real token.
    """

    keys: Tensor
    values: Tensor
    embedded: Tensor
    mask: Tensor


class Attention(nn.Module):
    """Scores queries against a source's keys.

    Args:
        query_size: H, width of the decoder outputs that ask.
        memory_size: D, width of the encoder outputs.
        heads: Distributions for each step; divides D.
    """

    def __init__(self, *, query_size: int, memory_size: int, heads: int) -> None:
        """Makes the two projections."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(query_size, memory_size, bias=False)
        self.key = nn.Linear(memory_size, memory_size, bias=False)
        self.scale = (memory_size // heads) ** -0.5

    def remember(self, encoder_outputs: Tensor, embedded: Tensor, mask: Tensor) -> Memory:
        """Projects the keys of `encoder_outputs` [B, S, D], which were read from `embedded` [B, S, E]."""
        values, embedded = (part.masked_fill(~mask[..., None], 0.0) for part in (encoder_outputs, embedded))
        return Memory(self.key(values), values, embedded, mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Looks up the source for every query.

        Args:
            queries: [B, T, H].
            memory: Of the same B sources.

        Returns:
            context [B, T, D] and attention_weights [B, T, S] float32, averaged over heads, exactly 0 on padding.
        """
        batch, steps, _ = queries.shape
        split = (batch, -1, self.heads, memory.keys.shape[-1] // self.heads)
        query = (self.query(queries) * self.scale).view(split).transpose(1, 2)  # [B, heads, T, D/heads]
        keys = memory.keys.view(split).permute(0, 2, 3, 1)  # [B, heads, D/heads, S]
        values = memory.values.view(split).transpose(1, 2)  # [B, heads, S, D/heads]
        scores = (query @ keys).float().masked_fill(~memory.mask[:, None, None], -torch.inf)
        weights = scores.softmax(dim=-1)  # [B, heads, T, S]
        context = (weights.to(values.dtype) @ values).transpose(1, 2).reshape(batch, steps, -1)  # [B, T, D]
        return context, weights.mean(dim=1)
