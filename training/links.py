"""Word links of a corpus, and what they tell the attention while it learns.

Links are kept in a file beside the corpus, a line a pair, as aligners write them: "0-0 1-2" says that the first words
belong together, and the second with the third. Words are those of `link_words`, counted from 0, of lines cleaned as
`training.cleaning` cleans them.

Attention speaks of pieces: each target piece of a word that is linked is told which source pieces are its word's, as
one stretch (a word linked to others that stand apart is told nothing).

Source: Chen et al. 2016, "Guided Alignment Training for Topic-Aware Neural Machine Translation", section 2.3.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from translator.alignment import Link, Span
from translator.text import words

Guide = NDArray[np.int32]
"""[pieces, 2]: the first and the last source piece that a target piece should look at, or -1, -1."""

NOWHERE = -1
_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
_LONGEST_ELISION = 2  # letters, as in "qu'"


def link_words(text: str) -> list[Span]:
    """Returns the spans that links speak of: words, cut in two where an apostrophe joins them.

    Example:
        >>> text = "J'aime qu'il n'ait don't"
        >>> [text[start:end] for start, end in link_words(text)]
        ["J'", 'aime', "qu'", 'il', "n'", 'ait', 'don', "'t"]
    """
    spans: list[Span] = []
    for start, end in words(text):
        inner = next((at for at in range(start + 1, end - 1) if text[at] in _APOSTROPHES), None)
        if inner is None:
            spans.append((start, end))
        else:
            cut = inner + (inner - start <= _LONGEST_ELISION)
            spans += [(start, cut), (cut, end)]
    return spans


def parse_links(line: str) -> set[Link]:
    """Reads the links of a pair.

    Raises:
        ValueError: They are written otherwise.

    Example:
        >>> sorted(parse_links("1-2 0-0"))
        [(0, 0), (1, 2)]
    """
    pairs = [written.split("-") for written in line.split()]
    return {(int(one), int(other)) for one, other in pairs}


def turned(links: set[Link]) -> set[Link]:
    """Returns the links of the other direction."""
    return {(target, source) for source, target in links}


def guide(
    links: set[Link],
    source_words: Sequence[Span],
    source_pieces: Sequence[Span],
    target_words: Sequence[Span],
    target_pieces: Sequence[Span],
) -> Guide:
    """Turns links of words into what each target piece is told.

    Args:
        links: (source word, target word).
        source_words: As `link_words` gives them.
        source_pieces: Spans that tile the source; a piece owns the space before it.
        target_words: Likewise of the target.
        target_pieces: Likewise.

    Raises:
        ValueError: A link names a word that is not there.
    """
    guides = np.full((len(target_pieces), 2), NOWHERE, dtype=np.int32)
    if not links:
        return guides
    if max(links)[0] >= len(source_words) or max(link[1] for link in links) >= len(target_words):
        raise ValueError(f"links reach beyond {len(source_words)} and {len(target_words)} words")
    reached = dict[int, list[int]]()
    for source, target in sorted(links):
        reached.setdefault(target, []).append(source)
    first, last = _stretches(source_words, source_pieces)
    word_of = _word_of(target_words, target_pieces)
    for piece, word in enumerate(word_of):
        linked = reached.get(word, [])
        if linked and linked[-1] - linked[0] == len(linked) - 1:
            guides[piece] = first[linked[0]], last[linked[-1]]
    return guides


def _word_of(of_words: Sequence[Span], pieces: Sequence[Span]) -> list[int]:
    """Returns the word in which each piece ends; a piece of mere space has none, -1."""
    found, word = [], 0
    for start, end in pieces:
        while word < len(of_words) - 1 and of_words[word][1] < end:
            word += 1
        begin, stop = of_words[word]
        found.append(word if start < stop and begin < end else -1)
    return found


def _stretches(of_words: Sequence[Span], pieces: Sequence[Span]) -> tuple[list[int], list[int]]:
    """Returns the first and the last piece that shares a character with each word."""
    first, last, piece = [], [], 0
    for start, end in of_words:
        while pieces[piece][1] <= start:
            piece += 1
        first.append(piece)
        stop = piece
        while stop < len(pieces) - 1 and pieces[stop][1] < end:
            stop += 1
        last.append(stop)
    return first, last


def symmetrise(one: set[Link], other: set[Link]) -> set[Link]:
    """Joins the links of two directions: those of both, grown by neighbours that either has.

    A link that only one of them has is added where it touches one that is in already, at a side or a corner, and where
    one of its words has none yet; then those whose two words have none.

    Source: Koehn et al. 2003, "Statistical Phrase-Based Translation", section 4.5 (grow-diag-final-and).
    """
    found, candidates = one & other, sorted(one | other)
    grown = True
    while grown:
        fresh = [link for link in candidates if link not in found and _is_free(link, found) and _touches(link, found)]
        grown = bool(fresh)
        for link in fresh:
            if _is_free(link, found):
                found.add(link)
    for link in candidates:
        if all(link[side] not in {each[side] for each in found} for side in (0, 1)):
            found.add(link)
    return found


def _is_free(link: Link, found: set[Link]) -> bool:
    """Whether one of the two words has no link yet."""
    return any(link[side] not in {each[side] for each in found} for side in (0, 1))


def _touches(link: Link, found: set[Link]) -> bool:
    steps = (-1, 0, 1)
    return any((link[0] + right, link[1] + down) in found for right in steps for down in steps if right or down)
