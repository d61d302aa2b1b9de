"""The records that an answer may hold besides the text."""

from pydantic import BaseModel, Field


class DetectedLanguage(BaseModel):
    """What language a text was taken to be in."""

    confidence: int = Field(description="0 to 100; a whole number, which every client reads.", examples=[96])
    language: str = Field(examples=["en"])


class WordLink(BaseModel):
    """Two words that belong together; offsets count characters (Unicode code points) from 0."""

    sourceStart: int = Field(description="First character of the word in q.")
    sourceEnd: int = Field(description="One past its last.")
    targetStart: int = Field(description="First character of the word in the translation.")
    targetEnd: int = Field(description="One past its last.")
    weight: float = Field(description="Share of the target word that came from it, 0 to 1.")


class SentenceScores(BaseModel):
    """How sure the model is of one sentence; offsets as in `WordLink`."""

    sourceStart: int
    sourceEnd: int
    targetStart: int
    targetEnd: int
    score: float = Field(description="Log-probability by length penalty, at most 0.")
    confidence: float | None = Field(description="0 to 1: so many of a hundred such sentences are right, or unknown.")


class TokenScores(BaseModel):
    """One piece of the translation; `start` equals `end` where the sentence ended."""

    text: str
    start: int
    end: int
    logProb: float = Field(description="Natural logarithm of its probability.")


class Scores(BaseModel):
    """How sure the model is of a text."""

    score: float = Field(description="Mean over sentences, at most 0; 0 where nothing had to be translated.")
    confidence: float | None = Field(description="Share of the sentences that may be expected to be right, or unknown.")
    sentences: list[SentenceScores]
    tokens: list[TokenScores]
    warnings: list[str] = Field(description="What could not be done, each a sentence for people.")


class Signature(BaseModel):
    """What an answer can be had again with."""

    model: str = Field(description="Its name.", examples=["everyday"])
    weights: str = Field(description="SHA-256 of its weights.")
    tokenizer: str = Field(description="SHA-256 of its tokenizer.")
    decoding: dict[str, int | float] = Field(description="The options of the search.")
