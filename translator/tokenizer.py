"""Text to subword ids and back: the tokenizer box.

A thin layer over a SentencePiece model that was learnt with identity normalisation, so nothing is lost:
`decode(encode(text)).text == text` for text of known characters. It expects text that `normalise` of
`translator.text` has seen, but does not call it; how a model is learnt is the business of
`training.tokenizer`.

Source: Kudo & Richardson 2018, "SentencePiece", section 3.1 (lossless tokenisation).
"""

import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from sentencepiece import SentencePieceProcessor

from translator.errors import CheckpointError, InputError, LanguageError

LANGUAGE_TOKEN = "<2{}>"
UNKNOWN_SURFACE = "\u2047"
_LANGUAGE_TOKEN_PATTERN = re.compile(r"<2(.+)>")
_SPACE_MARK = "\u2581"
# Any normalisation other than identity (NFKC, folding of spaces, no dummy prefix) changes this text.
_IDENTITY_PROBE = "\uff21  \ufb01"


class Encoded(NamedTuple):
    """Ids, and for each of them the characters it stands for, as `(start, end)` offsets into the text."""

    ids: list[int]
    spans: list[tuple[int, int]]


class Decoded(NamedTuple):
    """Text, and for each id the characters it became, as `(start, end)` offsets into the text."""

    text: str
    spans: list[tuple[int, int]]


class Tokenizer:
    """A SentencePiece model with fixed special ids and one control symbol `<2xx>` for each target language.

    Safe to share between threads: nothing is kept between calls.
    """

    pad_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    bos_id: ClassVar[int] = 2
    eos_id: ClassVar[int] = 3

    def __init__(self, processor: SentencePieceProcessor) -> None:
        """Wrap a loaded model; `from_bytes` is the usual way in.

        Raises:
            CheckpointError: The model has other special ids, or normalises text by itself.
        """
        _check(processor)
        self._processor = processor
        ids = range(processor.get_piece_size())
        pieces = [processor.id_to_piece(index) for index in ids]
        controls = [index for index in ids if processor.is_control(index)]
        self._pieces = tuple(pieces)
        self._ids = {pieces[index]: index for index in set(ids).difference(controls)}
        self._surfaces = [piece.replace(_SPACE_MARK, " ") for piece in pieces]
        for index in controls:
            self._surfaces[index] = ""
        self._letters = frozenset(surface for surface in self._surfaces if len(surface) == 1)
        matches = ((index, _LANGUAGE_TOKEN_PATTERN.fullmatch(pieces[index])) for index in controls)
        self._language_ids = {match.group(1): index for index, match in matches if match}

    @classmethod
    def from_bytes(cls, model: bytes) -> "Tokenizer":
        """Load a serialised model, as `to_bytes` and `training.tokenizer.learn_tokenizer` return it.

        Raises:
            CheckpointError: The bytes are not such a model.
        """
        processor = SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(bytes(model))
        except RuntimeError as error:
            raise CheckpointError(
                f"The tokenizer ({len(model)} bytes) is not a SentencePiece model, or was cut short or "
                "altered; copy the checkpoint again or learn a new tokenizer."
            ) from error
        return cls(processor)

    def to_bytes(self) -> bytes:
        """Return the serialised model, the content of `tokenizer.model`."""
        return bytes(self._processor.serialized_model_proto())

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        return len(self._surfaces)

    @property
    def pieces(self) -> tuple[str, ...]:
        """Every piece by id, as SentencePiece spells it: special ones included, U+2581 for a space."""
        return self._pieces

    @property
    def letters(self) -> frozenset[str]:
        """Characters that have a piece of their own: what has none cannot be spelt."""
        return self._letters

    @property
    def languages(self) -> tuple[str, ...]:
        """Target languages that have a token, in the order of their ids."""
        return tuple(self._language_ids)

    def language_id(self, language: str) -> int:
        """Return the id of the token that asks for a target language (Johnson et al. 2017, section 3).

        Raises:
            LanguageError: There is no such token.
        """
        try:
            return self._language_ids[language]
        except KeyError:
            known = ", ".join(self.languages) or "none"
            message = f"{language!r} is not a language of this tokenizer; choose from: {known}."
            raise LanguageError(message) from None

    def encode(self, text: str) -> list[int]:
        """Return the ids of a normalised text, without bos, eos or language token.

        Control symbols in the text ("<s>", "<2de>") are characters like any others.

        Raises:
            InputError: The text holds a lone surrogate.
        """
        ids: list[int] = self._processor.encode(_to_utf8(text), out_type=int)
        return ids

    def encode_batch(self, texts: Sequence[str], *, threads: int = 1) -> list[list[int]]:
        """Return `[encode(text) for text in texts]`, on so many threads.

        Raises:
            InputError: A text holds a lone surrogate.
        """
        data = [_to_utf8(text) for text in texts]
        ids: list[list[int]] = self._processor.encode(data, out_type=int, num_threads=threads)
        return ids

    def encode_with_spans(self, text: str) -> Encoded:
        """Return the ids of a normalised text and the span of each.

        The spans are monotone and tile the text: a piece owns the space before it. The space SentencePiece
        puts before the first word is not in the text, so a first piece that is nothing else gets the empty
        span (0, 0). Characters that the vocabulary lacks share one unk id as long as they follow each other.

        Raises:
            InputError: The text holds a lone surrogate.
        """
        pieces: list[str] = self._processor.encode(_to_utf8(text), out_type=str)
        spans, start, written = [], 0, -1
        for piece in pieces:
            written += len(piece)
            spans.append((start, written))
            start = written
        known, unk_id = self._ids.get, self.unk_id
        return Encoded([known(piece, unk_id) for piece in pieces], spans)

    def segmentations(self, text: str, count: int) -> list[tuple[list[int], float]]:
        """Return the likeliest ways to cut a text, best first: ids as of `encode`, and their log-probability in nats.

        Args:
            text: Normalised text; a word is usual, as the number of ways grows exponentially with the length.
            count: At most so many; a BPE model knows only one way.

        Raises:
            InputError: The text holds a lone surrogate.

        Source: Kudo 2018, "Subword regularization", sections 3.2 and 3.3.
        """
        try:
            ways: list[list[int]] = self._processor.nbest_encode(_to_utf8(text), nbest_size=count, out_type=int)
        except RuntimeError:  # a model type that keeps no lattice
            ways = []
        ways = ways or [self.encode(text)]
        return [(ids, sum(self._processor.get_score(index) for index in ids)) for ids in ways]

    def decode(self, ids: Sequence[int], *, unknown: Sequence[str] | None = None) -> Decoded:
        """Return the text of ids, with the span that each id became.

        Spaces that a model may produce at either end, or twice in a row, are left out, so that the text is as
        tidy as a normalised one.

        Args:
            ids: Any ids; pad, bos, eos and language tokens become nothing and get empty spans.
            unknown: One entry an id; where the id is unk, its entry is the text to put there (a copied source
                word). Without it, an unk becomes U+2047.

        Raises:
            InputError: `unknown` has another length than `ids`, or an id is outside the vocabulary.
        """
        if unknown is not None and len(unknown) != len(ids):
            raise InputError(f"{len(unknown)} replacements came for {len(ids)} ids; give one entry an id.")
        text, spans = "", []
        for position, index in enumerate(ids):
            surface = self._surface(index)
            if index == self.unk_id:
                surface = UNKNOWN_SURFACE if unknown is None else unknown[position]
            if surface.startswith(" ") and (not text or text.endswith(" ")):
                surface = surface[1:]
            spans.append((len(text), len(text) + len(surface)))
            text += surface
        length = len(text.rstrip(" "))
        return Decoded(text[:length], [(min(start, length), min(end, length)) for start, end in spans])

    def _surface(self, index: int) -> str:
        if not 0 <= index < len(self._surfaces):
            raise InputError(f"Id {index} is not in the vocabulary; give 0 to {self.vocab_size - 1}.")
        return self._surfaces[index]


def _check(processor: SentencePieceProcessor) -> None:
    """Refuse a model whose ids or normalisation are not those of this program."""
    wanted = (Tokenizer.pad_id, Tokenizer.unk_id, Tokenizer.bos_id, Tokenizer.eos_id)
    found = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
    if found != wanted:
        raise CheckpointError(
            f"The tokenizer has pad, unk, bos and eos at {found}, where {wanted} is wanted; "
            "learn one with training.tokenizer.learn_tokenizer."
        )
    pieces: list[str] = processor.encode(_IDENTITY_PROBE, out_type=str)
    if "".join(pieces) != _SPACE_MARK + _IDENTITY_PROBE.replace(" ", _SPACE_MARK):
        raise CheckpointError(
            "The tokenizer normalises text by itself, where identity normalisation is wanted; "
            "learn one with training.tokenizer.learn_tokenizer."
        )


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        message = "The text holds a lone surrogate, which is no character; call normalise first."
        raise InputError(message) from error
