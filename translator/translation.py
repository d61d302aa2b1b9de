"""What a translation is: the text, and all that can be said of where it came from and how sure it is."""

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from translator.alignment import AlignedWords


class TranslationRequest(NamedTuple):
    """One text and the direction it should take."""

    text: str
    source: str
    target: str


@dataclass(frozen=True)
class TokenScore:
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
class Translation:
    """A translated text.

    Args:
        text: The translation, paragraphs and white space as in the source.
        source: Language code.
        target: Language code.
        source_text: As it came.
        score: Mean over sentences of the length-normalised log-probability (Wu et al. 2016, eq. 14), at most 0;
            0 when nothing had to be translated.
        tokens: Every piece with its log-probability.
        alignment: Word links with character offsets into `source_text` and `text`.
        alternatives: Further translations of the whole text, when n_best asked for them, best first.
        warnings: What could not be done, each a sentence for people; empty when all went well.
    """

    text: str
    source: str
    target: str
    source_text: str
    score: float = 0.0
    tokens: tuple[TokenScore, ...] = field(default=(), repr=False)
    alignment: tuple[AlignedWords, ...] = field(default=(), repr=False)
    alternatives: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Returns plain lists, dicts, strings and numbers."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
