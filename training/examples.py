"""From clean text to examples: pieces of both sides, plain and in every dress, for each direction that is learned.

What a dress does to text is decided in `training.augmentation` and `training.resegmentation`; how examples are held and
laid side by side, in `training.dataset`.
"""

import logging
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from training.augmentation import AugmentationConfig, Change, variants
from training.corpus import ParallelText
from training.dataset import Dataset, DirectedCorpus, Ids
from training.links import NOWHERE, Guide, guide, link_words, turned
from training.resegmentation import Resegmenter
from translator.errors import CorpusError
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

PLAIN = AugmentationConfig()
DRAWS = 8  # segmentations a sentence that are held when text is resegmented
RUN_LENGTHS = (2, 3, 4, 5)  # pairs that are joined to one
EPOCHS_HELD = 4  # so many epochs' worth of a dress, at weight 1, is held, and drawn from ever after


def build_dataset(
    texts: Sequence[ParallelText],
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    augmentation: AugmentationConfig = PLAIN,
) -> Dataset:
    """Tokenises clean text; pairs with a side over `max_tokens` pieces (0: no limit) are dropped and counted.

    Each dress of `augmentation` is a corpus of its own, of the pairs that it changes (or, where an epoch reads few of
    them, of a random part), whose weight is such that an epoch draws the dress's share of them. Pairs that are too long
    in a dress are left out of that one.

    Raises:
        CorpusError: Nothing is left.
    """
    directed: list[DirectedCorpus] = []
    for text in texts:
        corpus = _tokenised(text, tokenizer).within(max_tokens)
        if len(corpus.pairs) < len(text.pairs):
            text.report.dropped["too many pieces"] += len(text.pairs) - len(corpus.pairs)
            logger.info("%s: %s", text.config.source_file.name, text.report)
        if not corpus.pairs:
            raise CorpusError(
                f"Every pair of {text.config.source_file} has a side over {max_tokens} pieces; raise max_tokens."
            )
        config = text.config
        ways = [
            (config.target, corpus, config.weight),
            (config.source, corpus.turned(), config.weight_back or config.weight),
        ]
        for language, pieces, weight in ways[: 1 + config.both_directions]:
            for share, dressed in _dresses(pieces, augmentation, tokenizer):
                kept = dressed.within(max_tokens)
                directed.append(
                    DirectedCorpus(
                        tokenizer.language_id(language),
                        kept.sources,
                        kept.targets,
                        weight * share,
                        config.epochs,
                        kept.guides,
                    )
                )
    dataset = Dataset(directed)
    weights = np.repeat([corpus.weight for corpus in directed], [len(corpus.sources) for corpus in directed])
    examples, tokens = weights.sum(), (weights * dataset.target_lengths).sum()
    logger.info("an epoch reads %s examples, %s target tokens", f"{examples:,.0f}", f"{tokens:,.0f}")
    return dataset


class _Pieces(NamedTuple):
    """Pairs as text and as piece ids, without special tokens; and what targets and sources are told of each other."""

    pairs: list[tuple[str, str]]
    sources: list[Ids]
    targets: list[Ids]
    guides: list[Guide] | None = None
    guides_back: list[Guide] | None = None

    def turned(self) -> "_Pieces":
        """The same text in the other direction."""
        pairs = [(target, source) for source, target in self.pairs]
        return _Pieces(pairs, self.targets, self.sources, self.guides_back, self.guides)

    def part(self, share: float, seed: int) -> "_Pieces":
        """A random part of the pairs; the same one for the same seed."""
        if share >= 1:
            return self
        chance = random.Random(seed)
        return self._rows([row for row in range(len(self.pairs)) if chance.random() < share])

    def dressed(self, change: Change, tokenizer: Tokenizer) -> "_Pieces":
        """The pairs that `change` does something to, changed; the same ones every time."""
        chance = random.Random(0)
        changes = [(row, change(pair, chance)) for row, pair in enumerate(self.pairs)]
        changes = [(row, pair) for row, pair in changes if pair != self.pairs[row]]
        pairs = [pair for _, pair in changes]
        # Most changes leave the target as it is; then its pieces are held once.
        targets = [self.targets[row] for row, _ in changes]
        others = [place for place, (row, pair) in enumerate(changes) if pair[1] != self.pairs[row][1]]
        for place, ids in zip(others, _encoded([pairs[place][1] for place in others], tokenizer), strict=True):
            targets[place] = ids
        return _Pieces(pairs, _encoded([source for source, _ in pairs], tokenizer), targets)

    def resegmented(self, resegmenter: Resegmenter, chance: random.Random) -> "_Pieces":
        """All pairs, with a drawn segmentation of each source."""
        sources = [np.array(resegmenter.draw(source, chance), dtype=np.int32) for source, _ in self.pairs]
        return _Pieces(self.pairs, sources, self.targets)

    def joined(self, chance: random.Random) -> "_Pieces":
        """Pairs in random order, in runs of random length that are read as one pair; one that is left over is not."""
        return self._chained(self._runs(chance))

    def mixed(self, chance: random.Random) -> "_Pieces":
        """Such runs of which one pair is in the target's language on both sides."""
        untranslated = _Pieces(
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

    def _and(self, others: "_Pieces") -> "_Pieces":
        guides = None if self.guides is None or others.guides is None else self.guides + others.guides
        pairs, sources, targets = (
            self.pairs + others.pairs,
            self.sources + others.sources,
            self.targets + others.targets,
        )
        return _Pieces(pairs, sources, targets, guides)

    def _chained(self, runs: list[list[int]]) -> "_Pieces":
        texts = [[" ".join(self.pairs[row][side] for row in run) for run in runs] for side in (0, 1)]
        sources, targets = (
            [np.concatenate([ids[row] for row in run]) for run in runs] for ids in (self.sources, self.targets)
        )
        guides = self.guides and [self._joined_guides(run, self.guides) for run in runs]
        return _Pieces(list(zip(*texts, strict=True)), sources, targets, guides)

    def _joined_guides(self, run: list[int], guides: list[Guide]) -> Guide:
        parts, before = list[Guide](), 0
        for row in run:
            parts.append(np.where(guides[row] == NOWHERE, NOWHERE, guides[row] + before))
            before += len(self.sources[row])
        return np.concatenate(parts)

    def within(self, max_tokens: int) -> "_Pieces":
        """Those whose sides have at most `max_tokens` pieces; 0 is no limit."""
        longest = [max(len(source), len(target)) for source, target in zip(self.sources, self.targets, strict=True)]
        if not max_tokens or max(longest, default=0) <= max_tokens:
            return self
        return self._rows([row for row, length in enumerate(longest) if length <= max_tokens])

    def _rows(self, rows: list[int]) -> "_Pieces":
        def chosen(guides: list[Guide] | None) -> list[Guide] | None:
            return None if guides is None else [guides[row] for row in rows]

        return _Pieces(
            [self.pairs[row] for row in rows],
            [self.sources[row] for row in rows],
            [self.targets[row] for row in rows],
            chosen(self.guides),
            chosen(self.guides_back),
        )


def _dresses(plain: _Pieces, augmentation: AugmentationConfig, tokenizer: Tokenizer) -> Iterator[tuple[float, _Pieces]]:
    """Yields the text as it is and in every dress, each with the times that an epoch reads what it holds."""
    yield 1.0, plain
    for number, (share, change) in enumerate(variants(augmentation), start=1):
        held = min(1.0, EPOCHS_HELD * share)
        yield share / held, plain.part(held, number).dressed(change, tokenizer)
    if augmentation.resegmented:
        resegmenter, chance = Resegmenter(tokenizer), random.Random(0)
        for _ in range(DRAWS):
            yield augmentation.resegmented / DRAWS, plain.resegmented(resegmenter, chance)
    joins = ((augmentation.joined, _Pieces.joined), (augmentation.mixed, _Pieces.mixed))
    for number, (share, join) in enumerate(joins):
        if share:
            held = min(1.0, EPOCHS_HELD * share)
            seed = 1000 * number  # away from those of the dresses above
            yield share / held, join(plain.part(held, seed), random.Random(seed))


def _tokenised(text: ParallelText, tokenizer: Tokenizer) -> _Pieces:
    if text.links is None:
        sources, targets = (_encoded([pair[side] for pair in text.pairs], tokenizer) for side in (0, 1))
        return _Pieces(text.pairs, sources, targets)
    sources, targets, guides, guides_back = list[Ids](), list[Ids](), list[Guide](), list[Guide]()
    for (source, target), links in zip(text.pairs, text.links, strict=True):
        source_ids, source_spans = tokenizer.encode_with_spans(source)
        target_ids, target_spans = tokenizer.encode_with_spans(target)
        ahead, back = (link_words(source), source_spans), (link_words(target), target_spans)
        sources.append(np.array(source_ids, dtype=np.int32))
        targets.append(np.array(target_ids, dtype=np.int32))
        guides.append(guide(links, *ahead, *back))
        guides_back.append(guide(turned(links), *back, *ahead))
    return _Pieces(text.pairs, sources, targets, guides, guides_back)


def _encoded(lines: list[str], tokenizer: Tokenizer) -> list[Ids]:
    return [np.array(ids, dtype=np.int32) for ids in tokenizer.encode_batch(lines)]
