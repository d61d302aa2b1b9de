"""Which words belong together: the attention of the chosen hypothesis, read as a word alignment.

Attention speaks of subword pieces; people think in words. A word's share in another is the sum over the source word's
pieces of the mean over the target word's pieces:

    share[t, s] = mean over pieces j of word t of  (sum over pieces i of word s of attention[j, i])

Each target word is linked to the source word of the greatest share, if that is more than what rests on no word at all
(the language token, eos), and to any other above `SECOND_LINK`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SECOND_LINK = 0.35

Span = tuple[int, int]


@dataclass(frozen=True)
class AlignedWords:
    """A target word and a source word it was translated from.

    Args:
        source_start: Character offset into the source text.
        source_end: One past the source word's last character.
        target_start: Character offset into the translation.
        target_end: One past the target word's last character.
        weight: Share of the target word's attention, 0 to 1.
    """

    source_start: int
    source_end: int
    target_start: int
    target_end: int
    weight: float


@dataclass(frozen=True)
class Side:
    """Pieces and words of one side of a sentence.

    Args:
        pieces: Character span of each piece; empty for special tokens.
        words: Character span of each word, ascending.
    """

    pieces: Sequence[Span]
    words: Sequence[Span]

    def membership(self) -> Tensor:
        """Returns [pieces, words] float32: 1 where a piece and a word share a character."""
        pieces, words = torch.tensor(self.pieces).view(-1, 1, 2), torch.tensor(self.words).view(1, -1, 2)
        shared = torch.minimum(pieces[..., 1], words[..., 1]) - torch.maximum(pieces[..., 0], words[..., 0])
        return (shared > 0).float()


def align_words(attention_weights: Tensor, source: Side, target: Side) -> list[AlignedWords]:
    """Reads a word alignment off the attention of one sentence.

    Args:
        attention_weights: [T, S], a row for each piece of `target`, a column for each of `source`.
        source: Of S pieces, special tokens included.
        target: Of T pieces.

    Returns:
        Links sorted by target, then source position; target words that rest on no source word have none.
    """
    if not source.words or not target.words:
        return []
    target_pieces = target.membership()  # [T, target words]
    target_pieces = target_pieces / target_pieces.sum(dim=0).clamp(min=1.0)
    shares = target_pieces.t() @ attention_weights.float().cpu() @ source.membership()  # [target words, source words]
    links = []
    for target_word, row in zip(target.words, shares.tolist(), strict=True):
        best = max(row)
        unheard = 1.0 - sum(row)
        for source_word, weight in zip(source.words, row, strict=True):
            if weight > 0 and ((weight == best and best > unheard) or weight > SECOND_LINK):
                links.append(AlignedWords(*source_word, *target_word, round(min(weight, 1.0), 4)))
    return links
