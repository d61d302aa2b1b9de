"""Sentence pairs as pieces, and what the dresses make of them where text becomes pieces."""

import random
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np

from training.augmentation import Change
from training.compounds import compounds
from training.copying import Pair
from training.dataset import Ids
from training.emphasis import emphasised
from training.excerpts import excerpts
from training.insistence import insisted
from training.links import NOWHERE, Guide, turned
from training.resegmentation import Resegmenter
from training.uncapitalised import Uncapitalised
from translator.alignment import Link
from translator.tokenizer import Tokenizer

RUN_LENGTHS = (2, 3, 4, 5)  # pairs that are joined to one
LENGTHY = 12  # words; a sixteenth of everyday sentences has more


class Pieces(NamedTuple):
    """Pairs as text and as piece ids, without special tokens; and what targets and sources are told of each other."""

    pairs: list[tuple[str, str]]
    sources: list[Ids]
    targets: list[Ids]
    guides: list[Guide] | None = None
    guides_back: list[Guide] | None = None
    links: list[set[Link]] | None = None

    def turned(self) -> "Pieces":
        """The same text in the other direction."""
        pairs = [(target, source) for source, target in self.pairs]
        links = None if self.links is None else [turned(each) for each in self.links]
        return Pieces(pairs, self.targets, self.sources, self.guides_back, self.guides, links)

    def part(self, share: float, seed: int) -> "Pieces":
        """A random part of the pairs; the same one for the same seed."""
        if share >= 1:
            return self
        chance = random.Random(seed)
        return self._rows([row for row in range(len(self.pairs)) if chance.random() < share])

    def dressed(self, change: Change, tokenizer: Tokenizer) -> "Pieces":
        """The pairs that `change` does something to, changed; the same ones every time."""
        chance = random.Random(0)
        return self._changed((change(pair, chance) for pair in self.pairs), tokenizer)

    def emphasised(self, tokenizer: Tokenizer, chance: random.Random) -> "Pieces":
        """The pairs that have linked words, one of them said again."""
        linked = zip(self.pairs, self.links or [], strict=True)
        inner = Uncapitalised(source for source, _ in self.pairs), Uncapitalised(target for _, target in self.pairs)
        return self._changed((emphasised(pair, links, chance, inner=inner) for pair, links in linked), tokenizer)

    def _changed(self, changed: Iterable[Pair], tokenizer: Tokenizer) -> "Pieces":
        """What is not as it was of `changed`, which holds each pair."""
        changes = [(row, pair) for row, pair in enumerate(changed) if pair != self.pairs[row]]
        pairs = [pair for _, pair in changes]
        # Most changes leave the target as it is; then its pieces are held once.
        targets = [self.targets[row] for row, _ in changes]
        others = [place for place, (row, pair) in enumerate(changes) if pair[1] != self.pairs[row][1]]
        for place, ids in zip(others, encoded([pairs[place][1] for place in others], tokenizer), strict=True):
            targets[place] = ids
        return Pieces(pairs, encoded([source for source, _ in pairs], tokenizer), targets)

    def compounded(self, languages: tuple[str, str], tokenizer: Tokenizer, chance: random.Random) -> "Pieces":
        """Statements made one sentence."""
        return _of_text(compounds(self.pairs, languages, chance), tokenizer)

    def insisted(self, tokenizer: Tokenizer, chance: random.Random) -> "Pieces":
        """Short sentences said several times as one."""
        return _of_text(insisted(self.pairs, chance), tokenizer)

    def excerpted(self, languages: tuple[str, str], tokenizer: Tokenizer, chance: random.Random) -> "Pieces":
        """Parts of sentences, as far as words are linked, and words of a dictionary, as utterances."""
        return _of_text(excerpts(self.pairs, self.links or [], languages, chance), tokenizer)

    def lengthy(self) -> "Pieces":
        """The pairs of which a side has more than `LENGTHY` words, as they are."""
        return self._rows([row for row, pair in enumerate(self.pairs) if max(map(_count, pair)) > LENGTHY])

    def resegmented(self, resegmenter: Resegmenter, chance: random.Random) -> "Pieces":
        """All pairs, with a drawn segmentation of each source."""
        sources = [np.array(resegmenter.draw(source, chance), dtype=np.int32) for source, _ in self.pairs]
        return Pieces(self.pairs, sources, self.targets)

    def joined(self, chance: random.Random) -> "Pieces":
        """Pairs in random order, in runs of random length that are read as one pair; one that is left over is not."""
        return self._chained(self._runs(chance))

    def mixed(self, chance: random.Random) -> "Pieces":
        """Such runs of which one pair is in the target's language on both sides."""
        untranslated = Pieces(
            [(target, target) for _, target in self.pairs],
            self.targets,
            self.targets,
            self.guides and [np.repeat(np.arange(len(ids), dtype=np.int32), 2).reshape(-1, 2) for ids in self.targets],
        )
        runs = self._runs(chance)
        for run in runs:
            run[chance.randrange(len(run))] += len(self.pairs)
        return self._and(untranslated)._chained(runs)

    def _runs(self, chance: random.Random) -> list[list[int]]:
        order, runs = iter(chance.sample(range(len(self.pairs)), len(self.pairs))), list[list[int]]()
        while len(run := list(islice(order, chance.choice(RUN_LENGTHS)))) > 1:
            runs.append(run)
        return runs

    def _and(self, others: "Pieces") -> "Pieces":
        guides = None if self.guides is None or others.guides is None else self.guides + others.guides
        pairs, sources, targets = (
            self.pairs + others.pairs,
            self.sources + others.sources,
            self.targets + others.targets,
        )
        return Pieces(pairs, sources, targets, guides)

    def _chained(self, runs: list[list[int]]) -> "Pieces":
        texts = [[" ".join(self.pairs[row][side] for row in run) for run in runs] for side in (0, 1)]
        sources, targets = (
            [np.concatenate([ids[row] for row in run]) for run in runs] for ids in (self.sources, self.targets)
        )
        guides = self.guides and [self._joined_guides(run, self.guides) for run in runs]
        return Pieces(list(zip(*texts, strict=True)), sources, targets, guides)

    def _joined_guides(self, run: list[int], guides: list[Guide]) -> Guide:
        parts, before = list[Guide](), 0
        for row in run:
            parts.append(np.where(guides[row] == NOWHERE, NOWHERE, guides[row] + before))
            before += len(self.sources[row])
        return np.concatenate(parts)

    def within(self, max_tokens: int) -> "Pieces":
        """Those whose sides have at most `max_tokens` pieces; 0 is no limit."""
        longest = [max(len(source), len(target)) for source, target in zip(self.sources, self.targets, strict=True)]
        if not max_tokens or max(longest, default=0) <= max_tokens:
            return self
        return self._rows([row for row, length in enumerate(longest) if length <= max_tokens])

    def _rows(self, rows: list[int]) -> "Pieces":
        def chosen(guides: list[Guide] | None) -> list[Guide] | None:
            return None if guides is None else [guides[row] for row in rows]

        return Pieces(
            [self.pairs[row] for row in rows],
            [self.sources[row] for row in rows],
            [self.targets[row] for row in rows],
            chosen(self.guides),
            chosen(self.guides_back),
            None if self.links is None else [self.links[row] for row in rows],
        )


def encoded(lines: list[str], tokenizer: Tokenizer) -> list[Ids]:
    """Returns the ids of each line."""
    return [np.array(ids, dtype=np.int32) for ids in tokenizer.encode_batch(lines)]


def _of_text(pairs: list[Pair], tokenizer: Tokenizer) -> Pieces:
    sources, targets = (encoded([pair[side] for pair in pairs], tokenizer) for side in (0, 1))
    return Pieces(pairs, sources, targets)


def _count(text: str) -> int:
    return len(text.split())
