"""What a translation is: the text, and all that can be said of where it came from and how sure it is."""

from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from translator.alignment import AlignedWords
from translator.confidence import Evidence


class TranslationRequest(NamedTuple):
    """One text and the direction it should take.

    Args:
        text: Of any length.
        source: Language code.
        target: Language code.
        detailed: Whether the tokens and the word links of its translation are wanted too, which take their time.
    """

    text: str
    source: str
    target: str
    detailed: bool = True

    @property
    def direction(self) -> tuple[str, str]:
        """Source and target."""
        return self.source, self.target


class TokenScore(NamedTuple):
    """One piece of the translation.

    Args:
        text: Its characters.
        start: Character offset into the translation.
        end: One past its last character; equal to `start` for the end of a sentence.
        log_prob: Natural logarithm of the probability the model gave it.
    """

    text: str
    start: int
    end: int
    log_prob: float


@dataclass(frozen=True)
class SentenceScore:
    """One sentence of the text and how sure its translation is.

    Args:
        source_start: Character offset into the source text.
        source_end: One past its last character there.
        target_start: Character offset into the translation.
        target_end: One past its last character there.
        score: Length-normalised log-probability, at most 0; 0 for a sentence that was copied, as nothing was found.
        evidence: What speaks for and against it; None for a sentence that was copied.
        confidence: Of a hundred translations with such evidence so many hundredths are right, 0 if it was copied; None
            for a model that was never calibrated.
        token_count: So many tokens the model wrote, the end of the sentence one of them; 0 if it was copied.
    """

    source_start: int
    source_end: int
    target_start: int
    target_end: int
    score: float
    evidence: Evidence | None
    confidence: float | None
    token_count: int = 0


@dataclass(frozen=True)
class Translation:
    """A translated text.

    Args:
        text: The translation, paragraphs and white space as in the source.
        source: Language code.
        target: Language code.
        source_text: As it came.
        score: Mean over sentences of the length-normalised log-probability (Wu et al. 2016, eq. 14), at most 0;
            0 when nothing had to be translated.
        sentences: Every sentence that was translated, with its score and confidence.
        tokens: Every piece with its log-probability. Of what is said several times in a row the model wrote one; the
            pieces of the others are its again, and what joins them has none. Empty if the request was not `detailed`.
        alignment: Word links with character offsets into `source_text` and `text`; likewise.
        alternatives: Further translations of the whole text, when n_best asked for them, best first.
        warnings: What could not be done, each a sentence for people; empty when all went well.
    """

    text: str
    source: str
    target: str
    source_text: str
    score: float = 0.0
    sentences: tuple[SentenceScore, ...] = field(default=(), repr=False)
    tokens: tuple[TokenScore, ...] = field(default=(), repr=False)
    alignment: tuple[AlignedWords, ...] = field(default=(), repr=False)
    alternatives: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def confidence(self) -> float | None:
        """Share of the sentences that may be expected to be right, 0 to 1.

        None when nothing had to be translated, by a model without calibration, or with another search than it was
        fitted with.
        """
        found = [each.confidence for each in self.sentences if each.confidence is not None]
        return sum(found) / len(found) if found and len(found) == len(self.sentences) else None

    def to_json(self) -> dict[str, object]:
        """Returns plain lists, dicts, strings and numbers."""
        table = asdict(replace(self, tokens=(), alignment=())) | {"confidence": self.confidence}
        table["tokens"] = [each._asdict() for each in self.tokens]
        table["alignment"] = [each._asdict() for each in self.alignment]
        for sentence in table["sentences"]:
            if sentence["evidence"] is not None:
                sentence["evidence"] = sentence["evidence"]._asdict()
        return {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
