"""Which words of a corpus belong together, found by eflomal from the corpus alone, and kept beside it.

eflomal is an extra of its own (`pip install -e '.[align]'`), as it is compiled where it is installed.
Links of either direction are joined as `training.links.symmetrise` says.

Source: Östling & Tiedemann 2016, "Efficient Word Alignment with Markov Chain Monte Carlo".
"""

import gzip
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from training.cleaning import clean_line
from training.config import ExperimentConfig
from training.corpus import read_lines, read_pairs
from training.links import link_words, parse_links, symmetrise
from translator.alignment import Link
from translator.errors import CarouselError, ConfigError, CorpusError

logger = logging.getLogger(__name__)

Words = Sequence[str]
Aligner = Callable[[Path, Path, Path, Path], None]
"""Aligns two files of words parted by spaces, and writes the links of either direction into two others."""


def link_corpora(config: ExperimentConfig, aligner: Aligner | None = None) -> list[tuple[Path, int]]:
    """Writes the `links_file` of every corpus that names one; returns each with the number of its links.

    Raises:
        ConfigError: No corpus names one, or what is named is not a file of its own.
        CorpusError: A corpus cannot be read, or a file cannot be written; what was there before is as it was.
        CarouselError: eflomal is not there, or fails.
    """
    wanted = [(corpus, corpus.links_file) for corpus in config.corpora if corpus.links_file is not None]
    if not wanted:
        raise ConfigError("No corpus has a links_file; name the file its links shall be written to.")
    files = [file for _, file in wanted]
    for file in files:
        if file.is_dir() or files.count(file) > 1:
            reason = "is a folder" if file.is_dir() else "is the links_file of two corpora"
            raise ConfigError(f"{file} {reason}; name a file of its own for the links of each corpus.")
    written = list[tuple[Path, int]]()
    for corpus, file in wanted:
        pairs = [
            (_linkable(clean_line(source)), _linkable(clean_line(target)))
            for source, target in read_pairs(corpus.source_file, corpus.target_file)
        ]
        logger.info("%s - %s: %s pairs", corpus.source_file.name, corpus.target_file.name, f"{len(pairs):,}")
        links = find_links(pairs, aligner or eflomal_aligner)
        lines = "".join(" ".join(f"{one}-{other}" for one, other in sorted(found)) + "\n" for found in links)
        try:
            _replace(file, lines.encode())
        except OSError as error:
            raise CorpusError(f"{file} could not be written ({error}); make room, try again.") from None
        written.append((file, sum(map(len, links))))
    return written


def find_links(pairs: Sequence[tuple[Words, Words]], aligner: Aligner) -> list[set[Link]]:
    """Links the words of every pair; a pair with an empty side has no links."""
    asked = [number for number, pair in enumerate(pairs) if all(pair)]
    links = [set[Link]() for _ in pairs]
    if not asked:
        return links
    with tempfile.TemporaryDirectory() as name:
        source, target, forward, backward = (Path(name, part) for part in ("source", "target", "forward", "backward"))
        for file, side in ((source, 0), (target, 1)):
            file.write_text("".join(" ".join(pairs[number][side]) + "\n" for number in asked), encoding="utf-8")
        aligner(source, target, forward, backward)
        if not (forward.is_file() and backward.is_file()):
            raise CarouselError("The aligner wrote no links; it may have run out of memory: give it less text at once.")
        found = [[parse_links(line) for line in read_lines(file)] for file in (forward, backward)]
    if not len(found[0]) == len(found[1]) == len(asked):
        raise CarouselError(
            f"The aligner was given {len(asked):,} pairs and answered {len(found[0]):,} and {len(found[1]):,} lines."
        )
    for number, one, other in zip(asked, *found, strict=True):
        links[number] = symmetrise(one, other)
    return links


def eflomal_aligner(source: Path, target: Path, forward: Path, backward: Path) -> None:
    """Aligns by eflomal.

    Raises:
        CarouselError: It is not installed.

    It says nothing if it fails, and then leaves no links.
    """
    try:
        from eflomal import Aligner as Eflomal
    except ImportError:
        raise CarouselError(
            "Links are found by eflomal, which is not installed: pip install eflomal, into the environment of carousel "
            "(it is compiled there, so a C compiler is needed)."
        ) from None
    with source.open(encoding="utf-8") as one, target.open(encoding="utf-8") as other:
        Eflomal().align(one, other, links_filename_fwd=str(forward), links_filename_rev=str(backward), quiet=True)


def _replace(file: Path, content: bytes) -> None:
    """Writes a file that is there whole or not at all; compressed, if it is to end in .gz."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _linkable(text: str) -> Words:
    """Words in lower case, as capitals would only make them rarer."""
    return [text[start:end].lower() for start, end in link_words(text)]
