"""Text cut into other pieces than the likeliest, drawn by chance: subword regularisation.

A small corpus shows each word in one spelling only, and a rare one hardly at all. Read in other pieces now and then,
its parts are learned as well. The draws are ours, from a generator that is given, because SentencePiece's own differ
from process to process whatever the seed, and a resumed run must equal one that was never interrupted. A piece never
reaches over a space, so a sentence's segmentations are those of its words, each drawn for itself.

Source: Kudo 2018, "Subword regularization", section 3.3 (l best segmentations, sharpness alpha).
"""

import math
import random
from itertools import accumulate
from typing import NamedTuple

from translator.tokenizer import Tokenizer

BEST = 8
SHARPNESS = 0.2  # 0: every way of a word is as likely as any other; the paper takes 0.1 to 0.5


class _Ways(NamedTuple):
    """The ways to cut one word, and the summed weights that they are drawn with."""

    ids: list[list[int]]
    cumulative: list[float]


class Resegmenter:
    """Draws segmentations; the ways of a word are looked for once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Keeps `tokenizer` and knows no word yet."""
        self._tokenizer = tokenizer
        self._known: dict[str, _Ways] = {}

    def draw(self, text: str, chance: random.Random) -> list[int]:
        """Returns the ids of one segmentation of a normalised text; the same for the same state of `chance`."""
        ids: list[int] = []
        for word in text.split():
            ways = self._ways(word)
            ids += chance.choices(ways.ids, cum_weights=ways.cumulative)[0]
        return ids

    def _ways(self, word: str) -> _Ways:
        if word not in self._known:
            found = self._tokenizer.segmentations(word, BEST)
            best = found[0][1]
            weights = (math.exp(SHARPNESS * (score - best)) for _, score in found)
            self._known[word] = _Ways([ids for ids, _ in found], list(accumulate(weights)))
        return self._known[word]
