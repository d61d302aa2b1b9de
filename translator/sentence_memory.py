"""What is known of sentences before a step: what attention needs of them, and what they choose from."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.output import Choice

LENGTH_STEP = 8


class SentenceMemory(NamedTuple):
    """What the steps need of sources, computed once a sentence.

    Args:
        keys: [B, S, D].
        projected_values: [B, S, heads * M]: for each head, what a source position adds per unit of attention to the
            gates of the later layers and to the readout, one behind the other.
        padding: [B, S] bool, True where there is no token.

    S is a multiple of 8: oneDNN makes a kernel for each length and keeps so many.
    """

    keys: Tensor
    projected_values: Tensor
    padding: Tensor


class KnownSentences(NamedTuple):
    """All that is known of sentences before a step: what attention needs, and what they choose from.

    Sentences that left stay in it until enough have: to copy the others closer together costs more than their part of
    a step, as long as they are few.
    """

    memory: SentenceMemory
    choice: Choice | None

    def join(self, other: "KnownSentences") -> "KnownSentences":
        """Puts sentences below one another."""
        choice = self.choice and other.choice and self.choice.join(other.choice)
        return KnownSentences(_join(self.memory, other.memory), choice)

    def select(self, places: Tensor) -> "KnownSentences":
        """Returns what is known of the sentences at these places, without padding that none of them needs."""
        parts = [part.index_select(0, places) for part in self.memory]
        longest = in_eights(int((~parts[-1]).sum(dim=1).max()))
        memory = SentenceMemory(*(part[:, :longest].contiguous() for part in parts))
        return KnownSentences(memory, self.choice and self.choice.select(places))


def _join(first: SentenceMemory, second: SentenceMemory) -> SentenceMemory:
    """Puts sentences below one another, the shorter memory padded."""
    longest = max(first.keys.shape[1], second.keys.shape[1])
    return SentenceMemory(
        *(torch.cat([lengthened(part, longest) for part in both]) for both in zip(first, second, strict=True))
    )


def lengthened(part: Tensor, length: int) -> Tensor:
    """Pads one part of a memory, [B, S] or [B, S, any], to a length; padding is True or 0."""
    if length == part.shape[1]:
        return part
    room = (0, 0) * (part.dim() - 2) + (0, length - part.shape[1])
    return nn.functional.pad(part, room, value=part.dtype == torch.bool)


def in_eights(length: int) -> int:
    """Rounds a number of positions up to a multiple of 8."""
    return -(-length // LENGTH_STEP) * LENGTH_STEP
