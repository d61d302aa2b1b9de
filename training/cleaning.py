"""Which pairs are worth learning from, and what is done to a line before it is.

Each side is normalised as `translator.text.normalise` does for texts to be translated, so that the model meets in
service what it met in training; HTML entities, which some corpora hold by accident, are resolved first.
"""

import html
from collections import Counter
from dataclasses import dataclass, field

from training.records import check_range
from translator.text import normalise

RATIO_ALLOWANCE = 15


@dataclass(frozen=True, kw_only=True)
class CleaningConfig:
    """Which pairs are not worth learning from; each rule can be switched off with 0 (or false).

    Args:
        max_characters: Longest side kept.
        max_tokens: Longest side kept, in pieces.
        max_length_ratio: Longer side over shorter side, in characters, each counted with 15 added so that words and
            short sentences, whose ratios are wild, are not thrown out.
        drop_duplicates: Keep the first of equal pairs.
    """

    max_characters: int = 600
    max_tokens: int = 120
    max_length_ratio: float = 3.0
    drop_duplicates: bool = True

    def __post_init__(self) -> None:
        """Refuses negative limits."""
        check_range(self, "max_characters", "max_tokens", "max_length_ratio", least=0)


@dataclass
class CleaningReport:
    """How many pairs came, and how many left for which reason."""

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        """Pairs that stay."""
        return self.read - self.dropped.total()

    def __str__(self) -> str:
        """Returns one line for the log, the model card and people."""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.dropped.most_common())
        return f"{self.kept:,} of {self.read:,} pairs kept" + (f"; dropped: {reasons}" if reasons else "")


def clean_line(line: str) -> str:
    """Resolves HTML entities and normalises."""
    return normalise(html.unescape(line) if "&" in line else line).text


def fault(source: str, target: str, cleaning: CleaningConfig) -> str | None:
    """Returns why a pair of clean lines is not worth learning from, or None."""
    shorter, longer = sorted((len(source), len(target)))
    if not shorter:
        return "empty"
    if cleaning.max_characters and longer > cleaning.max_characters:
        return "too long"
    ratio = (longer + RATIO_ALLOWANCE) / (shorter + RATIO_ALLOWANCE)
    if cleaning.max_length_ratio and ratio > cleaning.max_length_ratio:
        return "lengths too unlike"
    return None
