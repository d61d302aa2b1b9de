"""Which words belong together: where the pieces of the chosen hypothesis came from, read as a word alignment.

`translator.posterior` speaks of subword pieces; people think in words. A word's share in another is the sum over the
source word's pieces of the mean over the target word's pieces, which count by their characters ("l" and "'" of
"l'avion" are not two thirds of it):

    share[t, s] = mean over characters of word t, each in a piece j, of  (sum over pieces i of word s of weights[j, i])

In a translation each target word is linked to the source word of the greatest share, if that is more than what rests
on no word at all (the language token, eos), and to any other above `SECOND_LINK`: most words of a text that is hovered
over, or marked up, shall have one. Links of two given texts have no weight to be judged by: there one must be strong.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from translator.arrays import Array

SECOND_LINK = 0.35
LEAST_SHARE, LEAST_MEAN_SHARE = 0.5, 0.4
"""Of a link that is given without a weight: seen from one side, from both. Chosen on every other line of the 447
sentences of docs/results.md; the others agree."""

Shares = NDArray[np.float32]
Span = tuple[int, int]
Link = tuple[int, int]
"""A source word and a target word that belong together, each counted from 0."""


class AlignedWords(NamedTuple):
    """A target word and a source word it was translated from.

    Args:
        source_start: Character offset into the source text.
        source_end: One past the source word's last character.
        target_start: Character offset into the translation.
        target_end: One past the target word's last character.
        weight: Share of the target word that came from it, 0 to 1.
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
        words: Character span of each word, ascending and apart.
    """

    pieces: Sequence[Span]
    words: Sequence[Span]

    def overlaps(self) -> Shares:
        """Returns [pieces, words]: how many characters a piece and a word share."""
        shared: Shares = np.zeros((len(self.pieces), len(self.words)), dtype=np.float32)
        ends = [end for _, end in self.words]
        for piece, (start, end) in enumerate(self.pieces):
            for word in range(bisect_right(ends, start), len(ends)):
                first, last = self.words[word]
                if first >= end:
                    break
                shared[piece, word] = min(end, last) - max(start, first)
        return shared


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


def word_shares(weights: Array, source: Side, target: Side) -> Shares:
    """Returns [target words, source words]: how much of each target word came from each source word.

    Args:
        weights: [T, S], a row for each piece of `target`, a column for each of `source`.
        source: Of S pieces, special tokens included.
        target: Of T pieces.
    """
    of_target = target.overlaps()  # [T, target words]
    of_target /= np.maximum(of_target.sum(axis=0), 1)
    of_source = (source.overlaps() > 0).astype(np.float32)  # [S, source words]
    shares: Shares = np.matmul(of_target.T @ weights, of_source, dtype=np.float32)
    return shares


def align_words(weights: Array, source: Side, target: Side) -> list[AlignedWords]:
    """Reads a word alignment off the pieces of one sentence.

    Args:
        weights: [T, S], as in `word_shares`.
        source: Of S pieces, special tokens included.
        target: Of T pieces.

    Returns:
        Links sorted by target, then source position; target words that rest on no source word have none.
    """
    shares = word_shares(weights, source, target)
    if not shares.size:
        return []
    best, unheard = shares.max(axis=1, keepdims=True), 1 - shares.sum(axis=1, keepdims=True)
    linked = ((shares == best) & (best > unheard)) | (shares > SECOND_LINK)
    target_words, source_words = (place.tolist() for place in np.nonzero(linked & (shares > 0)))
    return [
        AlignedWords(*source.words[from_word], *target.words[word], round(min(float(shares[word, from_word]), 1.0), 4))
        for word, from_word in zip(target_words, source_words, strict=True)
    ]


def choose_links(ahead: Shares, back: Shares | None = None) -> set[Link]:
    """Links the words of a sentence and its translation.

    Args:
        ahead: How much of each target word came from each source word, as `word_shares` gives it. [target, source]
        back: Asked the other way round, if the model knows it: a link must then be seen from both sides, by the
            geometric mean of the two shares. [source, target]

    Returns:
        (source word, target word) pairs, counted from 0.
    """
    shares, least = (ahead, LEAST_SHARE) if back is None else (np.sqrt(ahead * back.T), LEAST_MEAN_SHARE)
    return {(int(source), int(target)) for target, source in np.argwhere(shares > least)}
