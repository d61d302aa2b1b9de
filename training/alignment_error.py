"""How good an alignment is, beside one that people made.

People mark links that are sure, S, and links that are possible, P (which the sure ones are too). For the links A:

    precision = |A & P| / |A|,  recall = |A & S| / |S|,  error rate = 1 - (|A & S| + |A & P|) / (|A| + |S|)

Source: Och & Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models", section 5.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.corpus import read_lines
from translator.alignment import Link
from translator.errors import CorpusError

_GOLD_LINK = re.compile(r"(\d+)([-p])(\d+)")


@dataclass(frozen=True)
class GoldAlignment:
    """Links of one sentence that people made, (source word, target word), counted from 0.

    Args:
        sure: They agreed on.
        possible: They allow; the sure ones among them.
    """

    sure: frozenset[Link]
    possible: frozenset[Link]


@dataclass(frozen=True)
class AlignmentScore:
    """Of a whole test set; each from 0 to 1."""

    error_rate: float
    precision: float
    recall: float


def read_gold(file: Path) -> list[GoldAlignment]:
    """Reads alignments, a sentence a line, words counted from 1: "1-1 2p3" is a sure and a possible link.

    Raises:
        CorpusError: The file cannot be read, or a link is written otherwise.
    """
    found = []
    for number, line in enumerate(read_lines(file), start=1):
        sure, possible = set(), set()
        for written in line.split():
            match = _GOLD_LINK.fullmatch(written)
            if match is None or "0" in (match[1], match[3]):
                raise CorpusError(
                    f"Line {number} of {file} has {written!r}; wanted links such as 1-2 (sure) or 1p2 (possible), "
                    "words counted from 1."
                )
            link = int(match[1]) - 1, int(match[3]) - 1
            possible.add(link)
            if match[2] == "-":
                sure.add(link)
        found.append(GoldAlignment(frozenset(sure), frozenset(possible)))
    return found


def score_alignment(found: Sequence[set[Link]], gold: Sequence[GoldAlignment]) -> AlignmentScore:
    """Compares all links of a test set with those people made.

    Raises:
        CorpusError: The two differ in number, or neither holds a link.
    """
    if len(found) != len(gold):
        raise CorpusError(f"{len(found):,} sentences were aligned, and the gold file has {len(gold):,} lines.")
    links, sure = sum(map(len, found)), sum(len(each.sure) for each in gold)
    if not links or not sure:
        raise CorpusError(f"There is nothing to compare: {links} links were found, {sure} are sure in the gold file.")
    right_sure = sum(len(one & other.sure) for one, other in zip(found, gold, strict=True))
    right = sum(len(one & other.possible) for one, other in zip(found, gold, strict=True))
    return AlignmentScore(1 - (right_sure + right) / (links + sure), right / links, right_sure / sure)
