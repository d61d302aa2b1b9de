"""Learns the subword model that `translator.tokenizer` loads.

The model sees text as it is (identity normalisation); cleaning is the work of `translator.text.normalise`.

Source: Kudo & Richardson 2018, "SentencePiece"; for the unigram model, Kudo 2018, "Subword regularization",
section 3.2; for BPE, Sennrich et al. 2016, "Neural machine translation of rare words with subword units",
section 3.2.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from sentencepiece import SentencePieceTrainer

from translator.errors import ConfigError, CorpusError, LanguageError
from translator.tokenizer import LANGUAGE_TOKEN, Tokenizer

_LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_TOO_LARGE = re.compile(r"value <= (\d+)")
_TOO_SMALL = re.compile(r"required_chars\. \d+ vs (\d+)")
_LOG_ERRORS_ONLY = 2


def learn_tokenizer(
    sentences: Iterable[str],
    *,
    vocab_size: int,
    languages: Sequence[str],
    model_type: Literal["unigram", "bpe"] = "unigram",
    character_coverage: float = 0.9998,
    threads: int = 2,
) -> bytes:
    """Learn a subword vocabulary; the same input and number of threads give the same model.

    Digits are pieces of their own, so that a number is copied digit by digit and never guessed whole.

    Args:
        sentences: Normalised text of all languages together, one sentence an item; read once. Empty ones are
            skipped, and so are those longer than 4,192 bytes.
        vocab_size: Number of ids, the four special ones and the language tokens included.
        languages: Target languages, each of which gets a control symbol such as "<2de>".
        model_type: The algorithm; "unigram" allows subword regularisation by sampling.
        character_coverage: Share of the characters of the text, above 0 and up to 1, that the vocabulary must
            hold; the rest, which are the rarest, become unk.
        threads: Number of threads.

    Returns:
        The serialised model, for `Tokenizer.from_bytes`. No file is written.

    Raises:
        ConfigError: A number is out of range.
        CorpusError: There is no text, or `vocab_size` is too large or too small for it; the message says what
            would work.
        LanguageError: A language code is malformed or comes twice.
    """
    _check_languages(languages)
    _check_numbers(vocab_size=vocab_size, character_coverage=character_coverage, threads=threads)
    model, failures = io.BytesIO(), list[BaseException]()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=_to_utf8(sentences, failures),
            model_writer=model,
            vocab_size=vocab_size,
            model_type=model_type,
            character_coverage=character_coverage,
            num_threads=threads,
            control_symbols=[LANGUAGE_TOKEN.format(language) for language in languages],
            pad_id=Tokenizer.pad_id,
            unk_id=Tokenizer.unk_id,
            bos_id=Tokenizer.bos_id,
            eos_id=Tokenizer.eos_id,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            split_digits=True,
            byte_fallback=False,
            minloglevel=_LOG_ERRORS_ONLY,
        )
    except RuntimeError as error:
        if failures:
            raise failures[0] from None
        raise CorpusError(_explain(str(error), vocab_size)) from error
    return model.getvalue()


def with_characters(model: bytes, characters: str) -> bytes:
    """Returns a serialised model with a piece more for each of these characters, which must be new; ids stay.

    A new piece is the last resort, as the unknown one was: any other way to spell a text is preferred.
    """
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # made at import

    proto = ModelProto.FromString(model)
    last = min(piece.score for piece in proto.pieces) - 1
    for character in characters:
        proto.pieces.add(piece=character, score=last)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return bytes(proto.SerializeToString())


def _to_utf8(sentences: Iterable[str], failures: list[BaseException]) -> Iterator[bytes]:
    """Yield sentences as bytes; note what goes wrong, which the trainer would report as a RuntimeError."""
    try:
        for number, sentence in enumerate(sentences, start=1):
            try:
                yield sentence.encode("utf-8")
            except UnicodeEncodeError:
                message = f"Training sentence {number} holds a lone surrogate; call normalise on each first."
                raise CorpusError(message) from None
    except BaseException as error:
        failures.append(error)
        raise


def _check_languages(languages: Sequence[str]) -> None:
    for position, language in enumerate(languages):
        if not _LANGUAGE_CODE.fullmatch(language):
            raise LanguageError(f"{language!r} is not a language code; give one such as 'de' or 'pt-BR'.")
        if language in languages[:position]:
            raise LanguageError(f"The language {language!r} came twice; give each language once.")


def _check_numbers(*, vocab_size: int, character_coverage: float, threads: int) -> None:
    if vocab_size < 1:
        raise ConfigError(f"vocab_size is {vocab_size}, but must be positive; 8000 suits a small corpus.")
    if not 0.0 < character_coverage <= 1.0:
        raise ConfigError(f"character_coverage is {character_coverage}, but must be above 0 and at most 1.")
    if threads < 1:
        raise ConfigError(f"threads is {threads}, but must be at least 1.")


def _explain(message: str, vocab_size: int) -> str:
    """Put what the SentencePiece trainer says into a sentence that names a size that works."""
    if match := _TOO_LARGE.search(message):
        return (
            f"The text is too small for a vocabulary of {vocab_size}; set vocab_size to at most "
            f"{match.group(1)} or add text."
        )
    if match := _TOO_SMALL.search(message):
        return (
            f"A vocabulary of {vocab_size} cannot hold the characters of the text; set vocab_size to at "
            f"least {match.group(1)} or lower character_coverage."
        )
    if "sentences_.empty()" in message:
        return "No text came to learn a tokenizer from; give at least one sentence that is not empty."
    return f"The tokenizer could not be learnt from this text: {message}"
