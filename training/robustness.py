"""How translation holds up when the text is not as tidy as a corpus: chrF by kind of text, loops, empty answers.

The text lies in files of one kind each (`tests/robustness`), every line in every language. Five kinds more are the
clean lines in other dress, made here, so that only the dress tells them from the clean ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sacrebleu.metrics.chrf import CHRF

from training.augmentation import without_accents
from training.corpus import read_lines
from translator.casing import raised
from translator.errors import CorpusError
from translator.inference import Translator
from translator.repetition import has_loop

CLEAN, TYPED = "clean", "typos"


class Line(NamedTuple):
    """A text and what it should become."""

    source: str
    reference: str


@dataclass(frozen=True)
class KindReport:
    """What became of one kind of text in one direction.

    Args:
        kind: Its name.
        sentences: Count.
        chrf: Of the corpus, 0 to 100.
        loops: Translations that repeat themselves where the source does not.
        empty: Translations without text.
        answers: The translations, in the order of the lines.
    """

    kind: str
    sentences: int
    chrf: float
    loops: int
    empty: int
    answers: list[str]


def read_kinds(folder: Path, *, source: str, target: str) -> dict[str, list[Line]]:
    """Reads all kinds of text for one direction; `clean` comes first.

    Raises:
        CorpusError: A file lacks a language or a cell, or typos and clean lines differ in number.
    """
    tables = {file.stem: _read_table(file) for file in sorted(folder.glob("*.tsv"))}
    if CLEAN not in tables:
        raise CorpusError(f"There is no {CLEAN}.tsv in {folder}; name the folder that holds the kinds of text.")
    for kind, table in tables.items():
        if missing := sorted({source, target} - table.keys()):
            raise CorpusError(f"{folder / kind}.tsv has no column {', '.join(missing)}; it has {', '.join(table)}.")
    if TYPED in tables:
        if len(tables[TYPED][source]) != len(tables[CLEAN][source]):
            raise CorpusError(f"{TYPED}.tsv and {CLEAN}.tsv in {folder} differ in length; line n is typed from line n.")
        tables[TYPED] = tables[TYPED] | {target: tables[CLEAN][target]}
    read = {
        kind: [Line(*cells) for cells in zip(table[source], table[target], strict=True)]
        for kind, table in tables.items()
    }
    clean = read.pop(CLEAN)
    return {CLEAN: clean, **_dressed(clean), **{kind.replace("_", " "): lines for kind, lines in read.items()}}


def assess(translator: Translator, kinds: dict[str, list[Line]], *, source: str, target: str) -> list[KindReport]:
    """Translates every line and reports each kind, `clean` first."""
    lines = [line for kind in kinds.values() for line in kind]
    answers = translator.translate([line.source for line in lines], source=source, target=target)
    texts = iter([answer.text for answer in answers])
    reports = []
    for kind, members in kinds.items():
        found = [next(texts) for _ in members]
        chrf = CHRF().corpus_score(found, [[line.reference for line in members]]).score
        loops = sum(has_loop(text, line.source) for text, line in zip(found, members, strict=True))
        reports.append(KindReport(kind, len(members), chrf, loops, sum(not text.strip() for text in found), found))
    return reports


def _dressed(clean: Sequence[Line]) -> dict[str, list[Line]]:
    """The clean lines in every dress that changes them; the others would only raise the figure of its kind."""
    found = {
        kind: [Line(dress(line.source), wanted(line.reference)) for line in clean if dress(line.source) != line.source]
        for kind, (dress, wanted) in DRESSES.items()
    }
    return {kind: lines for kind, lines in found.items() if lines}


def _same(text: str) -> str:
    return text


DRESSES: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "capitals": (str.upper, raised),
    "lower case": (str.lower, _same),
    "no final stop": (lambda text: text.rstrip(".?! "), lambda text: text.rstrip(".")),
    "no accents": (without_accents, _same),
    "spaces astray": (lambda text: "  " + text.replace(" ", "   ") + "\t", _same),
}
"""What happens to the source, and what should then come out; a question is heard without its mark."""


def _read_table(file: Path) -> dict[str, list[str]]:
    """Reads a table with a language a column: tab-separated, language codes in the first line."""
    rows = [line.split("\t") for line in read_lines(file)]
    header: Sequence[str] = rows[0] if rows else ()
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            cells = f"{len(row)} cell" + "s" * (len(row) > 1)
            raise CorpusError(f"Line {number} of {file} has {cells}, its head {len(header)}; cells end with a tab.")
        if not all(cell.strip() for cell in row):
            raise CorpusError(f"Line {number} of {file} has an empty cell; every line is wanted in every language.")
    return {language: [row[column] for row in rows[1:]] for column, language in enumerate(header)}
