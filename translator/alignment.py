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
Link = tuple[int, int]
"""A source word and a target word that belong together, each counted from 0."""


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


def spans_of(words: Sequence[str]) -> list[Span]:
    """Returns where each of the words stands once they are joined by single spaces.

    Example:
        >>> spans_of(["the", "cat"])
        [(0, 3), (4, 7)]
    """
    spans, start = [], 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return spans


def word_shares(attention_weights: Tensor, source: Side, target: Side) -> Tensor:
    """Returns [target words, source words] float32: how much of each target word's attention is on each source word.

    Args:
        attention_weights: [T, S], a row for each piece of `target`, a column for each of `source`.
        source: Of S pieces, special tokens included.
        target: Of T pieces.
    """
    if not source.words or not target.words:
        return torch.zeros(len(target.words), len(source.words))
    target_pieces = target.membership()  # [T, target words]
    target_pieces = target_pieces / target_pieces.sum(dim=0).clamp(min=1.0)
    return target_pieces.t() @ attention_weights.float().cpu() @ source.membership()


def align_words(attention_weights: Tensor, source: Side, target: Side) -> list[AlignedWords]:
    """Reads a word alignment off the attention of one sentence.

    Args:
        attention_weights: [T, S], as in `word_shares`.
        source: Of S pieces, special tokens included.
        target: Of T pieces.

    Returns:
        Links sorted by target, then source position; target words that rest on no source word have none.
    """
    links = []
    for target_word, row in zip(target.words, word_shares(attention_weights, source, target).tolist(), strict=True):
        best = max(row, default=0.0)
        unheard = 1.0 - sum(row)
        for source_word, weight in zip(source.words, row, strict=True):
            if weight > 0 and ((weight == best and best > unheard) or weight > SECOND_LINK):
                links.append(AlignedWords(*source_word, *target_word, round(min(weight, 1.0), 4)))
    return links


def best_links(shares: Tensor) -> set[Link]:
    """Links every target word to the source word it looked at most, if that is more than what rests on no word.

    Args:
        shares: [target words, source words], as `word_shares` gives them.

    Returns:
        (source word, target word) pairs, counted from 0.
    """
    if not shares.numel():
        return set()
    best, where = shares.max(dim=1)
    heard = best > 1.0 - shares.sum(dim=1)
    return {(int(where[target]), target) for target in range(len(shares)) if heard[target]}


def symmetrise(one: set[Link], other: set[Link]) -> set[Link]:
    """Joins the links of two directions: those of both, grown by neighbours that either has.

    A link that only one of them has is added where it touches one that is in already, at a side or a corner, and where
    one of its words has none yet; then those whose two words have none.

    Source: Koehn et al. 2003, "Statistical Phrase-Based Translation", section 4.5 (grow-diag-final-and).
    """
    found, candidates = one & other, sorted(one | other)
    grown = True
    while grown:
        fresh = [link for link in candidates if link not in found and _is_free(link, found) and _touches(link, found)]
        grown = bool(fresh)
        for link in fresh:
            if _is_free(link, found):
                found.add(link)
    for link in candidates:
        if all(link[side] not in {each[side] for each in found} for side in (0, 1)):
            found.add(link)
    return found


def _is_free(link: Link, found: set[Link]) -> bool:
    """Whether one of the two words has no link yet."""
    return any(link[side] not in {each[side] for each in found} for side in (0, 1))


def _touches(link: Link, found: set[Link]) -> bool:
    steps = (-1, 0, 1)
    return any((link[0] + right, link[1] + down) in found for right in steps for down in steps if right or down)
