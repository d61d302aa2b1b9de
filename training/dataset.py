"""Tokenised examples: every direction of every corpus, as arrays of piece ids.

A corpus learned in both directions is held once; language token and eos are put on when a batch is made.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.corpus import ParallelText
from translator.batch import SequencePair, pair
from translator.errors import CorpusError
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class DirectedCorpus:
    """Examples of one direction.

    Args:
        language_id: The token that asks for the target language.
        sources: Piece ids, without special tokens.
        targets: Aligned with `sources`.
        weight: Times an epoch reads them.
    """

    language_id: int
    sources: list[Ids]
    targets: list[Ids]
    weight: float = 1.0


class Dataset:
    """All examples, numbered from 0 across directions."""

    def __init__(self, corpora: Sequence[DirectedCorpus]) -> None:
        """Counts lengths once: language token and eos on the source, eos on the target."""
        self.corpora = tuple(corpora)
        self.starts = np.cumsum([0] + [len(corpus.sources) for corpus in self.corpora])
        self.source_lengths = np.array([len(ids) + 2 for corpus in self.corpora for ids in corpus.sources])
        self.target_lengths = np.array([len(ids) + 1 for corpus in self.corpora for ids in corpus.targets])

    def __len__(self) -> int:
        """Returns the number of examples."""
        return int(self.starts[-1])

    def batch(self, examples: NDArray[np.int64]) -> SequencePair:
        """Lays the examples of these numbers side by side."""
        which = np.searchsorted(self.starts, examples, side="right") - 1
        sources, targets = [], []
        for corpus_index, example in zip(which, examples, strict=True):
            corpus, row = self.corpora[corpus_index], example - self.starts[corpus_index]
            sources.append(source_ids(corpus.sources[row], corpus.language_id))
            targets.append(np.append(corpus.targets[row], Tokenizer.eos_id))
        return pair(sources, targets, pad_id=Tokenizer.pad_id, bos_id=Tokenizer.bos_id)


def source_ids(pieces: Sequence[int] | Ids, language_id: int) -> Ids:
    """Returns language token, pieces, eos: what the encoder reads."""
    return np.concatenate([[language_id], pieces, [Tokenizer.eos_id]]).astype(np.int32)


def build_dataset(texts: Sequence[ParallelText], tokenizer: Tokenizer, *, max_tokens: int) -> Dataset:
    """Tokenises clean text; pairs with a side over `max_tokens` pieces (0: no limit) are dropped and counted.

    Raises:
        CorpusError: Nothing is left.
    """
    directed = []
    for text in texts:
        sources = _encode([source for source, _ in text.pairs], tokenizer)
        targets = _encode([target for _, target in text.pairs], tokenizer)
        fits = [n for n in range(len(sources)) if not max_tokens or max(len(sources[n]), len(targets[n])) <= max_tokens]
        if len(fits) < len(sources):
            text.report.dropped["too many pieces"] += len(sources) - len(fits)
            logger.info("%s: %s", text.config.source_file.name, text.report)
        if not fits:
            raise CorpusError(
                f"Every pair of {text.config.source_file} has a side over {max_tokens} pieces; raise max_tokens."
            )
        sources, targets = [sources[n] for n in fits], [targets[n] for n in fits]
        config = text.config
        directed.append(DirectedCorpus(tokenizer.language_id(config.target), sources, targets, config.weight))
        if config.both_directions:
            directed.append(DirectedCorpus(tokenizer.language_id(config.source), targets, sources, config.weight))
    dataset = Dataset(directed)
    logger.info("%s examples, %s target tokens", f"{len(dataset):,}", f"{int(dataset.target_lengths.sum()):,}")
    return dataset


def _encode(sentences: list[str], tokenizer: Tokenizer) -> list[Ids]:
    return [np.array(ids, dtype=np.int32) for ids in tokenizer.encode_batch(sentences)]
