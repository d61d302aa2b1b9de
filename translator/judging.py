"""Judging: sentences and translations that somebody else made, read together.

`forced_decoding` works on ids; here texts become ids, and what the model says of them becomes a record or word links.
"""

from collections.abc import Sequence
from typing import NamedTuple

from translator.alignment import Shares, Side, spans_of, word_shares
from translator.engine import DecodingEngine
from translator.errors import InputError
from translator.forced_decoding import score_all
from translator.scoring import Hypothesis
from translator.sentence import GivenTarget, SourceSentence, judge_sentence, read_sentence, read_target
from translator.tokenizer import Tokenizer
from translator.translation import SentenceScore, Translation


class GivenPair(NamedTuple):
    """A sentence, its translation, and what the model says of it."""

    source: SourceSentence
    target: GivenTarget
    hypothesis: Hypothesis


def read_pairs(
    engine: DecodingEngine,
    tokenizer: Tokenizer,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    target_language: str,
    alpha: float,
) -> list[GivenPair]:
    """Reads each target as the translation of its source, both one sentence.

    Args:
        engine: The model.
        tokenizer: Of the model.
        sources: Texts as they came.
        targets: As many.
        target_language: Code of `targets`.
        alpha: Of the length penalty.

    Raises:
        InputError: The two differ in number.
    """
    if isinstance(sources, str) or isinstance(targets, str):
        raise TypeError("score() takes lists of texts; put the one text of each side into a list: [text].")
    if len(sources) != len(targets):
        raise InputError(f"{len(sources)} sources came with {len(targets)} targets; give one for each.")
    sentences = [read_sentence(text, 0, tokenizer=tokenizer, target=target_language, in_full=True) for text in sources]
    given = [read_target(text, each, tokenizer=tokenizer) for text, each in zip(targets, sentences, strict=True)]
    pairs = [(sentence.ids, wanted.ids) for sentence, wanted in zip(sentences, given, strict=True)]
    return list(map(GivenPair, sentences, given, score_all(engine, pairs, alpha=alpha)))


def judge(pair: GivenPair, text: str, *, source: str, target: str) -> Translation:
    """Makes the record that a translation of `text` by the model would have.

    There is no confidence in it: a calibration speaks of the model's own answers.
    """
    answer = judge_sentence(*pair)
    return Translation(
        answer.text,
        source,
        target,
        text,
        score=answer.score,
        sentences=(SentenceScore(0, len(text), 0, len(answer.text), answer.score, answer.evidence, None),),
        tokens=answer.tokens,
        alignment=answer.alignment,
    )


def shares_of(pair: GivenPair, source_words: Sequence[str], target_words: Sequence[str]) -> Shares:
    """Says how much of each target word came from each source word: [target words, source words].

    Args:
        pair: Read from the words of each side, joined by spaces.
        source_words: Of its source.
        target_words: Of its target.
    """
    origins = pair.source.origins
    pieces = [(origins[start], origins[end]) for start, end in pair.source.spans]
    sides = Side(pieces, spans_of(source_words)), Side(pair.target.tokens, spans_of(target_words))
    return word_shares(pair.hypothesis.posterior_weights, *sides)
