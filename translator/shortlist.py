"""The pieces that a sentence may be translated with: a few hundred, not the whole vocabulary.

To score every piece of the vocabulary at every step is more than half of the multiplications of a small model, and most
of what it reads from memory. Of almost all pieces it is known beforehand that a sentence will not need them:

    pieces(source) = the most frequent of the target language
                     + those seen beside each source piece in training
                     + the source pieces themselves, which names and numbers are copied with

A source with a piece that training saw too rarely to know is translated with the whole vocabulary. What a sentence may
be translated with depends on nothing but the sentence. How it is learned is in `training.shortlist`.

Source: Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation", section 3.3; L'Hostis
et al. 2016, "Vocabulary Selection Strategies for Neural Machine Translation", section 3.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from translator.errors import CheckpointError
from translator.tokenizer import Tokenizer

Pieces = NDArray[np.int64]


class LanguageShortlist(NamedTuple):
    """What is known of one target language.

    Args:
        frequent: Pieces that every sentence may use, end of sentence and unknown among them.
        starts: [V + 1], where in `beside` the pieces of each source piece begin; an empty stretch is a piece unknown.
        beside: Pieces that translate source pieces, those of one after those of another.
    """

    frequent: Pieces
    starts: Pieces
    beside: Pieces


class Shortlist:
    """Knows for every target language which pieces a source may become.

    Args:
        languages: By the id of the language token.
        forbidden_ids: Pieces that are never produced; they are in no list.
    """

    def __init__(self, languages: Mapping[int, LanguageShortlist], *, forbidden_ids: Sequence[int]) -> None:
        """Keeps what it is given."""
        self.languages, self.forbidden_ids = dict(languages), tuple(forbidden_ids)
        self._besides = {name: self._flags(language) for name, language in self.languages.items()}

    def _flags(self, language: LanguageShortlist) -> NDArray[np.bool_]:
        """Of each piece whether it may be chosen and is not in the list of a language."""
        found = np.ones(len(language.starts) - 1, dtype=np.bool_)
        found[[*language.frequent, *self.forbidden_ids]] = False
        return found

    def frequent(self, language: int) -> Pieces:
        """Returns the pieces that every sentence of a language may use, ascending."""
        found = np.unique(self.languages[language].frequent)
        return found[~np.isin(found, self.forbidden_ids)]

    def beside(self, source: Sequence[int]) -> Pieces | None:
        """Returns the pieces that a source may be translated with besides those of its language, ascending.

        Args:
            source: Language token, pieces, eos.

        Returns:
            None if it needs the whole vocabulary.
        """
        language = self.languages.get(source[0])
        if language is None:
            return None
        own = np.array(list(set(source[1:-1])), dtype=np.int64)
        first, behind = language.starts[own], language.starts[own + 1]
        if not (behind > first).all():
            return None
        beside = (language.beside[start:end] for start, end in zip(first, behind, strict=True))
        wanted = np.zeros_like(self._besides[source[0]])
        wanted[np.concatenate([own, *beside])] = True
        found: Pieces = np.flatnonzero(wanted & self._besides[source[0]])
        return found

    def pieces(self, source: Sequence[int]) -> Pieces | None:
        """Returns all pieces that a source may be translated with, ascending; None if it needs the whole vocabulary."""
        beside = self.beside(source)
        return None if beside is None else np.union1d(self.frequent(source[0]), beside)

    def to_bytes(self) -> bytes:
        """Returns the content of a file, two bytes a piece."""
        tensors = {"forbidden_ids": np.asarray(self.forbidden_ids, dtype=np.uint16)}
        for token_id, language in self.languages.items():
            tensors[f"{token_id}.frequent"] = language.frequent.astype(np.uint16)
            tensors[f"{token_id}.counts"] = np.diff(language.starts).astype(np.uint16)
            tensors[f"{token_id}.beside"] = language.beside.astype(np.uint16)
        return save(tensors)

    @classmethod
    def from_bytes(cls, content: bytes, *, vocab_size: int) -> "Shortlist":
        """Reads what `to_bytes` wrote.

        Raises:
            CheckpointError: It is something else, or of another vocabulary.
        """
        try:
            tensors = {name: _numbers(tensor) for name, tensor in load(content).items()}
            forbidden = tensors.pop("forbidden_ids")
            names = {int(name.partition(".")[0]) for name in tensors}
            languages = {name: _language(tensors, name) for name in sorted(names)}
        except (SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(f"The shortlist is none ({error}); copy the checkpoint again.") from None
        for language in languages.values():
            sizes = len(language.starts) - 1, language.starts[-1]
            every = np.concatenate([forbidden, language.frequent, language.beside])
            if sizes != (vocab_size, len(language.beside)) or every.max(initial=0) >= vocab_size:
                raise CheckpointError("The shortlist is of another vocabulary; copy the checkpoint again.")
            if Tokenizer.eos_id not in language.frequent or Tokenizer.eos_id in forbidden:
                raise CheckpointError("With the shortlist no sentence could end; copy the checkpoint again.")
        return cls(languages, forbidden_ids=forbidden.tolist())


def _numbers(tensor: NDArray[np.generic]) -> Pieces:
    if tensor.dtype != np.uint16 or tensor.ndim != 1:
        raise ValueError(f"numbers are {tensor.dtype} in {tensor.ndim} dimensions, wanted uint16 in one")
    return tensor.astype(np.int64)


def _language(tensors: Mapping[str, Pieces], token_id: int) -> LanguageShortlist:
    frequent, counts, beside = (tensors[f"{token_id}.{part}"] for part in ("frequent", "counts", "beside"))
    return LanguageShortlist(frequent, np.concatenate([[0], np.cumsum(counts)]), beside)
