"""Parallel text from files, cleaned: what is dropped, and why, is counted and told.

What is cleaned away is decided in `training.cleaning`.
"""

import gzip
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat, zip_longest
from pathlib import Path

from training.cleaning import CleaningConfig, CleaningReport, clean_line, fault
from training.config import CorpusConfig
from training.links import link_words, parse_links
from translator.alignment import Link
from translator.errors import CorpusError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ParallelText:
    """The clean pairs of one corpus.

    Args:
        config: Where they came from.
        pairs: (source, target), normalised.
        report: What was dropped.
        links: Of the words of each pair, if the corpus comes with links.
    """

    config: CorpusConfig
    pairs: list[tuple[str, str]]
    report: CleaningReport
    links: list[set[Link]] | None = None


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
    report, pairs, links, seen = CleaningReport(), [], list[set[Link]](), set[tuple[str, str]]()
    if config.links_file is not None and not config.links_file.is_file():
        raise _links_fault(config, "is not there")
    given = repeat("") if config.links_file is None else read_lines(config.links_file)
    for raw_source, raw_target in read_pairs(config.source_file, config.target_file):
        report.read += 1
        pair, written = (clean_line(raw_source), clean_line(raw_target)), next(given, None)
        if written is None:
            raise _links_fault(config, f"ends after {report.read - 1:,} lines, and the corpus goes on")
        reason = fault(*pair, cleaning)
        if reason is None and cleaning.drop_duplicates:
            reason = "duplicate" if pair in seen else None
            seen.add(pair)
        if reason is None:
            pairs.append(pair)
            if config.links_file is not None:
                links.append(_links(written, pair, config, report.read))
        else:
            report.dropped[reason] += 1
    if config.links_file is not None and next(given, None) is not None:
        raise _links_fault(config, "has more lines than the corpus")
    logger.info("%s - %s: %s", config.source_file.name, config.target_file.name, report)
    if not pairs:
        raise CorpusError(f"Nothing is left of {config.source_file} and {config.target_file}: {report}.")
    return ParallelText(config, pairs, report, None if config.links_file is None else links)


def _links(written: str, pair: tuple[str, str], config: CorpusConfig, number: int) -> set[Link]:
    try:
        links = parse_links(written)
    except ValueError:
        raise _links_fault(config, f"has {written[:60]!r} in line {number:,}, wanted links such as 0-0 1-2") from None
    if not links:
        return links
    sizes = [len(link_words(text)) for text in pair]
    if any(not 0 <= word < size for link in links for word, size in zip(link, sizes, strict=True)):
        raise _links_fault(config, f"links words in line {number:,} that are not there ({sizes[0]} and {sizes[1]} are)")
    return links


def _links_fault(config: CorpusConfig, what: str) -> CorpusError:
    return CorpusError(f"{config.links_file} {what}; make it of this very corpus, with carousel link.")
