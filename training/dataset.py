"""Tokenised examples: every direction of every corpus, as arrays of piece ids.

A corpus learned in both directions is held once; language token and eos are put on when a batch is made.
"""

import hashlib
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augmentation import AugmentationConfig, Change, variants
from training.corpus import ParallelText
from training.resegmentation import Resegmenter
from translator.batch import SequencePair, rows_of, teach
from translator.errors import CorpusError
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

Ids = NDArray[np.int32]
PLAIN = AugmentationConfig()
DRAWS = 8  # segmentations a sentence that are held when text is resegmented
RUN_LENGTHS = (2, 3, 4, 5)  # pairs that are joined to one
EPOCHS_HELD = 6  # so many epochs' worth of a dress is held, and drawn from ever after


@dataclass(frozen=True)
class DirectedCorpus:
    """Examples of one direction.

    Args:
        language_id: The token that asks for the target language.
        sources: Piece ids, without special tokens.
        targets: Aligned with `sources`.
        weight: Times an epoch reads them.
        epochs: Only the first so many read them; 0 is all.
    """

    language_id: int
    sources: list[Ids]
    targets: list[Ids]
    weight: float = 1.0
    epochs: int = 0


class Dataset:
    """All examples, numbered from 0 across directions.

    Their ids lie end to end in one row, on the device that trains: a batch is cut out of it by a few operations on
    whole arrays, with no loop over examples.
    """

    def __init__(self, corpora: Sequence[DirectedCorpus]) -> None:
        """Counts lengths once: language token and eos on the source, eos on the target."""
        self.corpora = tuple(corpora)
        self.starts = np.cumsum([0] + [len(corpus.sources) for corpus in self.corpora])
        sources, targets = (_lengths(of(corpus) for corpus in self.corpora) for of in (_sources, _targets))
        self.source_lengths, self.target_lengths = sources + 2, targets + 1
        self._rows = _Rows.of(self.corpora, self.source_lengths, self.target_lengths)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return int(self.starts[-1])

    def to(self, device: torch.device) -> "Dataset":
        """Moves the ids that batches are made of, and returns the dataset."""
        self._rows = _Rows(*(part.to(device) for part in self._rows))
        return self

    def digest(self) -> bytes:
        """Hashes all that an epoch is drawn from: ids, where examples lie in them, how often each is read."""
        digest = hashlib.sha256()
        for part in self._rows:
            digest.update(part.cpu().numpy().tobytes())
        digest.update(repr([(each.weight, each.epochs, len(each.sources)) for each in self.corpora]).encode())
        return digest.digest()

    def usual_source_tokens(self, share: float = 0.99) -> int:
        """Pieces that so large a share of the sources an epoch reads do not exceed, special tokens not counted."""
        weights = np.repeat([corpus.weight for corpus in self.corpora], np.diff(self.starts))
        order = np.argsort(self.source_lengths)
        read = np.cumsum(weights[order])
        place = int(np.searchsorted(read, share * read[-1] * (1 - 1e-9)))
        return int(self.source_lengths[order[place]]) - 2

    def batch(self, examples: NDArray[np.int64]) -> SequencePair:
        """Lays the examples of these numbers side by side, where `to` has put them."""
        every, numbers = self._rows, torch.from_numpy(examples.copy())
        if every.tokens.is_cuda:
            numbers = numbers.pin_memory().to(every.tokens.device, non_blocking=True)  # waits for nothing
        source, target = (
            rows_of(every.tokens, starts[numbers], lengths[numbers], width=int(width), pad_id=Tokenizer.pad_id)
            for starts, lengths, width in (
                (every.source_starts, every.source_lengths, self.source_lengths[examples].max()),
                (every.target_starts, every.target_lengths, self.target_lengths[examples].max()),
            )
        )
        source.ids[:, 0] = every.language_ids[numbers]
        return teach(source, target, pad_id=Tokenizer.pad_id, bos_id=Tokenizer.bos_id)


class _Rows(NamedTuple):
    """All ids end to end, each text as [room for a language token, pieces, eos], and where the examples lie in them.

    A text that is the source of one example and the target of another lies there once.

    Args:
        tokens: [N] int32.
        source_starts: [examples] int64, where the room for the language token is; the others alike.
        source_lengths: Language token and eos included.
        target_starts: Where the first piece is.
        target_lengths: Eos included.
        language_ids: What belongs into the room.
    """

    tokens: Tensor
    source_starts: Tensor
    source_lengths: Tensor
    target_starts: Tensor
    target_lengths: Tensor
    language_ids: Tensor

    @classmethod
    def of(
        cls, corpora: Sequence[DirectedCorpus], source_lengths: NDArray[np.int64], target_lengths: NDArray[np.int64]
    ) -> "_Rows":
        """Writes the rows of `corpora`; those of the same list are written once."""
        begins, parts, written = dict[int, NDArray[np.int64]](), [np.empty(0, dtype=np.int32)], 0
        for corpus in corpora:
            for texts in (corpus.sources, corpus.targets):
                if id(texts) in begins or not texts:
                    continue
                lengths = _lengths([texts])
                part = np.zeros(lengths.sum() + 2 * len(texts), dtype=np.int32)
                ends = np.cumsum(lengths + 2)
                part[ends - 1] = Tokenizer.eos_id
                part[np.arange(lengths.sum()) + np.repeat(2 * np.arange(len(texts)) + 1, lengths)] = np.concatenate(
                    texts
                )
                begins[id(texts)] = written + ends - lengths - 2
                parts.append(part)
                written += len(part)
        starts = [
            np.concatenate([np.empty(0, dtype=np.int64), *(begins[id(of(every))] for every in corpora if of(every))])
            for of in (_sources, _targets)
        ]
        languages = np.repeat([corpus.language_id for corpus in corpora], [len(corpus.sources) for corpus in corpora])
        return cls(
            torch.from_numpy(np.concatenate(parts)),
            torch.from_numpy(starts[0]),
            torch.from_numpy(source_lengths),
            torch.from_numpy(starts[1]) + 1,
            torch.from_numpy(target_lengths),
            torch.from_numpy(languages.astype(np.int64)),
        )


_sources, _targets = attrgetter("sources"), attrgetter("targets")


def _lengths(lists: Iterable[list[Ids]]) -> NDArray[np.int64]:
    return np.fromiter(map(len, chain.from_iterable(lists)), dtype=np.int64)


def source_ids(pieces: Sequence[int] | Ids, language_id: int) -> Ids:
    """Returns language token, pieces, eos: what the encoder reads."""
    return np.concatenate([[language_id], pieces, [Tokenizer.eos_id]]).astype(np.int32)


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
        corpus = _tokenised(text.pairs, tokenizer).within(max_tokens)
        if len(corpus.pairs) < len(text.pairs):
            text.report.dropped["too many pieces"] += len(text.pairs) - len(corpus.pairs)
            logger.info("%s: %s", text.config.source_file.name, text.report)
        if not corpus.pairs:
            raise CorpusError(
                f"Every pair of {text.config.source_file} has a side over {max_tokens} pieces; raise max_tokens."
            )
        config = text.config
        ways = [(config.target, corpus), (config.source, corpus.turned())][: 1 + config.both_directions]
        for language, pieces in ways:
            for share, dressed in _dresses(pieces, augmentation, tokenizer):
                _, sources, targets = dressed.within(max_tokens)
                directed.append(
                    DirectedCorpus(
                        tokenizer.language_id(language), sources, targets, config.weight * share, config.epochs
                    )
                )
    dataset = Dataset(directed)
    weights = np.repeat([corpus.weight for corpus in directed], [len(corpus.sources) for corpus in directed])
    examples, tokens = weights.sum(), (weights * dataset.target_lengths).sum()
    logger.info("an epoch reads %s examples, %s target tokens", f"{examples:,.0f}", f"{tokens:,.0f}")
    return dataset


class _Pieces(NamedTuple):
    """Pairs as text and as piece ids, without special tokens."""

    pairs: list[tuple[str, str]]
    sources: list[Ids]
    targets: list[Ids]

    def turned(self) -> "_Pieces":
        """The same text in the other direction."""
        return _Pieces([(target, source) for source, target in self.pairs], self.targets, self.sources)

    def part(self, share: float) -> "_Pieces":
        """A random part of the pairs; the same one every time."""
        if share >= 1:
            return self
        chance = random.Random(0)
        rows = [row for row in range(len(self.pairs)) if chance.random() < share]
        pairs, sources, targets = ([every[row] for row in rows] for every in self)
        return _Pieces(pairs, sources, targets)

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
        order = iter(chance.sample(range(len(self.pairs)), len(self.pairs)))
        runs = list[list[int]]()
        while len(run := list(islice(order, chance.choice(RUN_LENGTHS)))) > 1:
            runs.append(run)
        texts = [[" ".join(self.pairs[row][side] for row in run) for run in runs] for side in (0, 1)]
        sources, targets = (
            [np.concatenate([ids[row] for row in run]) for run in runs] for ids in (self.sources, self.targets)
        )
        return _Pieces(list(zip(*texts, strict=True)), sources, targets)

    def within(self, max_tokens: int) -> "_Pieces":
        """Those whose sides have at most `max_tokens` pieces; 0 is no limit."""
        rows = [
            row
            for row in zip(self.pairs, self.sources, self.targets, strict=True)
            if not max_tokens or max(len(row[1]), len(row[2])) <= max_tokens
        ]
        return _Pieces(
            [pair for pair, _, _ in rows], [source for _, source, _ in rows], [target for *_, target in rows]
        )


def _dresses(plain: _Pieces, augmentation: AugmentationConfig, tokenizer: Tokenizer) -> Iterator[tuple[float, _Pieces]]:
    """Yields the text as it is and in every dress, each with the times that an epoch reads what it holds."""
    yield 1.0, plain
    for share, change in variants(augmentation):
        held = min(1.0, EPOCHS_HELD * share)
        yield share / held, plain.part(held).dressed(change, tokenizer)
    if augmentation.resegmented:
        resegmenter, chance = Resegmenter(tokenizer), random.Random(0)
        for _ in range(DRAWS):
            yield augmentation.resegmented / DRAWS, plain.resegmented(resegmenter, chance)
    if augmentation.joined:
        held = min(1.0, EPOCHS_HELD * augmentation.joined)
        yield augmentation.joined / held, plain.part(held).joined(random.Random(0))


def _tokenised(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> _Pieces:
    sources, targets = (_encoded([pair[side] for pair in pairs], tokenizer) for side in (0, 1))
    return _Pieces(pairs, sources, targets)


def _encoded(lines: list[str], tokenizer: Tokenizer) -> list[Ids]:
    return [np.array(ids, dtype=np.int32) for ids in tokenizer.encode_batch(lines)]
