"""From translations to the body of `POST /translate`: the same fields for one text and, as arrays, for several."""

import asyncio
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from api.answer_models import DetectedLanguage, Scores, SentenceScores, Signature, TokenScores, WordLink
from api.detection import Detected
from api.schemas import TranslateRequest, TranslateResponse
from api.text_translator import ModelFacts, TextTranslator

if TYPE_CHECKING:
    from translator.inference import Translation

Signatures = Mapping[tuple[str, str], Sequence[Signature]]
"""By direction, what says which models translate, and how."""

SHORT_CHARACTERS = 2000
"""Of the texts of a request whose answer is written in a few milliseconds at most, all that is known of it included."""

MARKS = ("Po", "Ps", "Pe", "Pi", "Pf")  # all that Unicode calls punctuation but dashes: "-5" is not "5"


@dataclass(frozen=True)
class Answer:
    """What became of one text.

    Args:
        text: Its translation.
        translation: All that is known of it; None for a text that no model saw: it is blank, or in the language wanted.
        detected: Its language, where that was asked.
        direction: From which language into which; None for a text that no model saw.
    """

    text: str
    translation: "Translation | None" = None
    detected: Detected | None = None
    direction: tuple[str, str] | None = None


def blank_as_nothing(answer: Answer) -> Answer:
    """White space alone becomes nothing, as in LibreTranslate."""
    return answer if answer.text.strip() else replace(answer, text="")


async def written_aside(texts: Sequence[str], write: Callable[[], str]) -> str:
    """Returns the body that `write` makes of the answers to these texts, in a thread if that takes its time.

    The alignment and scores of a long text are a hundred thousand records; for a sentence a thread is the longer way.
    """
    if sum(map(len, texts)) <= SHORT_CHARACTERS:
        return write()
    return await asyncio.to_thread(write)


def respond(wanted: TranslateRequest, answers: Sequence[Answer], signatures: Signatures) -> TranslateResponse:
    """Makes the body, with nothing in it that was not asked for."""

    def shaped(values: Sequence[object]) -> object:
        return values[0] if isinstance(wanted.q, str) else values

    body: dict[str, object] = {"translatedText": shaped([answer.text for answer in answers])}
    if found := [_language(answer.detected) for answer in answers if answer.detected]:
        body["detectedLanguage"] = shaped(found)
    if wanted.alternatives > 0:
        body["alternatives"] = shaped([alternatives(answer, wanted.alternatives) for answer in answers])
    if wanted.alignment:
        body["alignment"] = shaped([links(answer) for answer in answers])
    if wanted.scores:
        body["scores"] = shaped([scores(answer) for answer in answers])
    if wanted.signature:
        had_part = [each for answer in answers if answer.direction for each in signatures[answer.direction]]
        body["signature"] = list({each.model: each for each in had_part}.values())
    return TranslateResponse.model_validate(body)


def sign(translator: TextTranslator, beam_size: int | None) -> Signatures:
    """Says of every direction what translates it, and how it searches; no `beam_size` is what each model recommends."""
    return {
        direction: [_sign(model, beam_size or model.decoding.beam_size) for model in translator.route(*direction)]
        for direction in translator.directions
    }


def _sign(model: ModelFacts, beam_size: int) -> Signature:
    options = asdict(model.decoding) | {"beam_size": beam_size}
    del options["n_best"]  # the request says how many; a search for several gives up fewer hypotheses
    return Signature(model=model.name, weights=model.weights_sha256, tokenizer=model.tokenizer_sha256, decoding=options)


def alternatives(answer: Answer, count: int) -> list[str]:
    """Returns up to `count` further translations that differ in more than marks and capitals, from each other too."""
    chosen: dict[str, str] = {}
    for text in answer.translation.alternatives if answer.translation else ():
        if (compared := _compared(text)) not in ("", _compared(answer.text)):
            chosen.setdefault(compared, text)
    return list(chosen.values())[:count]


def _compared(text: str) -> str:
    """Returns a text in small letters, without the marks at the edges of its words."""
    words = (_without_marks(word) for word in unicodedata.normalize("NFC", text).lower().split())
    return " ".join(filter(None, words))


def _without_marks(word: str) -> str:
    inside = [place for place, character in enumerate(word) if unicodedata.category(character) not in MARKS]
    return word[inside[0] : inside[-1] + 1] if inside else ""


def _language(detected: Detected) -> DetectedLanguage:
    return DetectedLanguage(confidence=detected.confidence, language=detected.language)


def links(answer: Answer) -> list[WordLink]:
    """Returns which words of a text and its translation belong together."""
    if answer.translation is None:
        return []
    return [
        WordLink(
            sourceStart=link.source_start,
            sourceEnd=link.source_end,
            targetStart=link.target_start,
            targetEnd=link.target_end,
            weight=link.weight,
        )
        for link in answer.translation.alignment
    ]


def scores(answer: Answer) -> Scores:
    """Returns how sure the model is of a text."""
    found = answer.translation
    if found is None:
        return Scores(score=0.0, confidence=None, sentences=[], tokens=[], warnings=[])
    sentences = [
        SentenceScores(
            sourceStart=each.source_start,
            sourceEnd=each.source_end,
            targetStart=each.target_start,
            targetEnd=each.target_end,
            score=each.score,
            confidence=each.confidence,
        )
        for each in found.sentences
    ]
    tokens = [
        TokenScores(text=each.text, start=each.start, end=each.end, logProb=each.log_prob) for each in found.tokens
    ]
    return Scores(
        score=found.score,
        confidence=found.confidence,
        sentences=sentences,
        tokens=tokens,
        warnings=list(found.warnings),
    )
