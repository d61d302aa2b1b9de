"""Parallel text from files, cleaned: what is dropped, and why, is counted and told.

Each side is normalised as `translator.text.normalise` does for texts to be translated, so that the model meets in
service what it met in training; HTML entities, which some corpora hold by accident, are resolved first.
"""

import gzip
import html
import logging
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from training.config import CleaningConfig, CorpusConfig
from translator.errors import CorpusError
from translator.text import normalise

logger = logging.getLogger(__name__)

RATIO_ALLOWANCE = 15


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


@dataclass(frozen=True)
class ParallelText:
    """The clean pairs of one corpus.

    Args:
        config: Where they came from.
        pairs: (source, target), normalised.
        report: What was dropped.
    """

    config: CorpusConfig
    pairs: list[tuple[str, str]]
    report: CleaningReport


def read_lines(path: Path) -> Iterator[str]:
    """Reads lines of UTF-8 text, plain or .gz, without their line ends; only a line feed ends a line.

    Raises:
        CorpusError: The file is missing, unreadable, cut short or not UTF-8.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for raw in stream:
                number += 1
                yield raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except FileNotFoundError:
        raise CorpusError(f"There is no file {path}; give the path of a text file with one sentence a line.") from None
    except UnicodeDecodeError:
        raise CorpusError(f"Line {number} of {path} is not UTF-8; convert the file to UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} cannot be read after line {number}: {error}.") from None


def read_pairs(source_file: Path, target_file: Path) -> Iterator[tuple[str, str]]:
    """Reads two aligned files.

    Raises:
        CorpusError: They differ in length, or one cannot be read.
    """
    missing = object()
    sources, targets = read_lines(source_file), read_lines(target_file)
    for number, (source, target) in enumerate(zip_longest(sources, targets, fillvalue=missing)):
        if source is missing or target is missing:
            ended = source_file if source is missing else target_file
            longer = number + 1 + sum(1 for _ in (targets if source is missing else sources))
            raise CorpusError(
                f"{source_file} and {target_file} differ in length: {ended} ends after {number:,} lines, the other has "
                f"{longer:,}; line n of one must be the translation of line n of the other."
            )
        yield str(source), str(target)


def load_corpus(config: CorpusConfig, cleaning: CleaningConfig) -> ParallelText:
    """Reads, normalises and cleans one corpus.

    Raises:
        CorpusError: The files cannot be used, or nothing is left of them.
    """
    report, pairs, seen = CleaningReport(), [], set[tuple[str, str]]()
    for raw_source, raw_target in read_pairs(config.source_file, config.target_file):
        report.read += 1
        pair = clean_line(raw_source), clean_line(raw_target)
        reason = fault(*pair, cleaning)
        if reason is None and cleaning.drop_duplicates:
            reason = "duplicate" if pair in seen else None
            seen.add(pair)
        if reason is None:
            pairs.append(pair)
        else:
            report.dropped[reason] += 1
    logger.info("%s - %s: %s", config.source_file.name, config.target_file.name, report)
    if not pairs:
        raise CorpusError(f"Nothing is left of {config.source_file} and {config.target_file}: {report}.")
    return ParallelText(config, pairs, report)


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
