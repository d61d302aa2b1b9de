"""Tokenised examples: every direction of every corpus, as arrays of piece ids.

A corpus learned in both directions is held once; language token and eos are put on when a batch is made.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.links import NOWHERE, Guide
from translator.batch import SequencePair, pair_padded, rows_of
from translator.tokenizer import Tokenizer

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class DirectedCorpus:
    """Examples of one direction.

    Args:
        language_id: The token that asks for the target language.
        sources: Piece ids, without special tokens.
        targets: Aligned with `sources`.
        weight: Times an epoch reads them.
        epochs: Only the first so many read them; 0 is all.
        guides: Which source pieces each target should look at (`training.links`), aligned with `targets`; None tells
            nothing.
    """

    language_id: int
    sources: list[Ids]
    targets: list[Ids]
    weight: float = 1.0
    epochs: int = 0
    guides: list[Guide] | None = None


class Dataset:
    """All examples, numbered from 0 across directions.

    Their ids lie end to end in one row, on the device that trains: a batch is cut out of it by a few operations on
    whole arrays, with no loop over examples.
    """

    def __init__(self, corpora: Sequence[DirectedCorpus]) -> None:
        """Counts lengths (language token and eos on the source, eos on the target) and lays all ids end to end."""
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
        every, numbers = self._rows, self._on_device(examples)
        source, target = (
            rows_of(every.tokens, starts[numbers], lengths[numbers], width=int(width), pad_id=Tokenizer.pad_id)
            for starts, lengths, width in (
                (every.source_starts, every.source_lengths, self.source_lengths[examples].max()),
                (every.target_starts, every.target_lengths, self.target_lengths[examples].max()),
            )
        )
        source.ids[:, 0] = every.language_ids[numbers]
        return pair_padded(source, target, pad_id=Tokenizer.pad_id, bos_id=Tokenizer.bos_id)

    def guides(self, examples: NDArray[np.int64]) -> Tensor | None:
        """Returns where the targets of these examples should look: [B, T, 2], as `alignment_loss` wants it.

        None if no example of the dataset is told anything.
        """
        every = self._rows
        if not len(every.guides):
            return None
        numbers = self._on_device(examples)
        positions = torch.arange(int(self.target_lengths[examples].max()), device=numbers.device)
        guides = every.guides[(every.target_starts[numbers, None] + positions).clamp_(max=len(every.guides) - 1)]
        beyond = positions >= every.target_lengths[numbers, None] - 1  # eos is told nothing
        shifted = guides + (guides != NOWHERE)  # the language token stands before the pieces
        return shifted.masked_fill_((beyond | ~every.told[numbers, None])[..., None], NOWHERE)

    def _on_device(self, examples: NDArray[np.int64]) -> Tensor:
        numbers, device = torch.from_numpy(examples.copy()), self._rows.tokens.device
        return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers


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
        guides: [N, 2] int16, beside the tokens of what is a target; [0, 2] if there are none.
        told: [examples] bool, whether the guides beside a target are this example's too.
    """

    tokens: Tensor
    source_starts: Tensor
    source_lengths: Tensor
    target_starts: Tensor
    target_lengths: Tensor
    language_ids: Tensor
    guides: Tensor
    told: Tensor

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
                added = np.repeat(2 * np.arange(len(texts)) + 1, lengths)  # room and eos of the texts before
                part[np.arange(lengths.sum()) + added] = np.concatenate(texts)
                begins[id(texts)] = written + ends - lengths - 2
                parts.append(part)
                written += len(part)
        starts = [
            np.concatenate([np.empty(0, dtype=np.int64), *(begins[id(of(every))] for every in corpora if of(every))])
            for of in (_sources, _targets)
        ]
        sizes = [len(corpus.sources) for corpus in corpora]
        languages = np.repeat([corpus.language_id for corpus in corpora], sizes)
        return cls(
            torch.from_numpy(np.concatenate(parts)),
            torch.from_numpy(starts[0]),
            torch.from_numpy(source_lengths),
            torch.from_numpy(starts[1]) + 1,
            torch.from_numpy(target_lengths),
            torch.from_numpy(languages.astype(np.int64)),
            torch.from_numpy(_guides_beside(written, corpora, begins)),
            torch.from_numpy(np.repeat([bool(corpus.guides) for corpus in corpora], sizes)),
        )


def _guides_beside(
    tokens: int, corpora: Sequence[DirectedCorpus], begins: Mapping[int, NDArray[np.int64]]
) -> NDArray[np.int16]:
    """Lays guides beside the tokens they belong to; `begins` has, of each list of texts, where these begin."""
    if not any(corpus.guides for corpus in corpora):
        return np.empty((0, 2), dtype=np.int16)
    beside = np.full((tokens, 2), NOWHERE, dtype=np.int16)
    for corpus in corpora:
        if corpus.guides:
            lengths = _lengths([corpus.targets])
            ends = np.cumsum(lengths)
            within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
            places = np.repeat(begins[id(corpus.targets)] + 1, lengths) + within
            beside[places] = np.concatenate(corpus.guides)
    return beside


_sources, _targets = attrgetter("sources"), attrgetter("targets")


def _lengths(lists: Iterable[list[Ids]]) -> NDArray[np.int64]:
    return np.fromiter(map(len, chain.from_iterable(lists)), dtype=np.int64)


def source_ids(pieces: Sequence[int] | Ids, language_id: int) -> Ids:
    """Returns language token, pieces, eos: what the encoder reads."""
    return np.concatenate([[language_id], pieces, [Tokenizer.eos_id]]).astype(np.int32)
