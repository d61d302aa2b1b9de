"""Parallel text from files, cleaned: what is dropped, and why, is counted and told.

What is cleaned away is decided in `training.cleaning`.
"""

import gzip
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from training.cleaning import CleaningConfig, CleaningReport, clean_line, fault
from training.config import CorpusConfig
from translator.errors import CorpusError

logger = logging.getLogger(__name__)


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
