"""What a text says several times in a row is translated once, and said as often: "No, no, no!", "Please, please help".

A model that counts badly loses one of three, or says four, or takes a word that stands alone three times for a name. So
it reads what is said again once; the translation of that is said again, with the same commas or spaces between. It is
found by the alignment, and left as it is, with a warning, where that names no one stretch.

Not all that stands twice is said twice: "der, der das sagt", "nous nous voyons", "he sees dogs, dogs see him". So a
word must begin or end the text, or be all of it, or stand three times.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from translator.alignment import AlignedWords
from translator.text import words
from translator.translation import TokenScore

Span = tuple[int, int]

COMMA, SPACE = ", ", " "
CERTAIN = 3  # so many times in a row is never grammar
LEAST_WEIGHT = 0.5  # of the links that tell where an echo is translated

_LETTERS = r"[^\W\d_]"
_WORD = rf"{_LETTERS}+(?:['\u2019-]{_LETTERS}+)*"
_RUN = re.compile(
    rf"""
    (?<![\w'\u2019-])
    (?P<said>{_LETTERS}{_WORD} | {_WORD}(?:[ ]{_WORD}){{1,3}}?)
    (?P<joint>,?[ ]) (?P=said)
    (?:(?P=joint)(?P=said))*
    (?![\w'\u2019-])
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What may stand twice, with a comma between, because a clause begins with it.
_RELATIVE = frozenset("der die das dem den des dessen deren was wer wen wo qui que quien that who which".split())  # noqa: SIM905


class Echo(NamedTuple):
    """A stretch that is said several times in a row.

    Args:
        start: Where it stands first.
        end: One past that.
        copies: Where it stands again.
        joint: What is between: `COMMA` or `SPACE`.
        whole: Nothing else is said.
        began: It has a capital that its copies lack: that of the sentence it begins.
    """

    start: int
    end: int
    copies: tuple[Span, ...]
    joint: str
    whole: bool
    began: bool


class Abridged(NamedTuple):
    """A text in which all is said once.

    Args:
        text: Without the copies.
        offsets: For each of its characters, and its end, the offset in the text as it was.
        echoes: In the text as it was.
    """

    text: str
    offsets: tuple[int, ...]
    echoes: tuple[Echo, ...]

    def in_full(self, spans: Sequence[Span]) -> list[Span]:
        """Leads spans back to the text as it was; what ends where copies stood ends before them."""
        return [
            (self.offsets[start], self.offsets[end - 1] + 1 if end > start else self.offsets[end])
            for start, end in spans
        ]


class Written(NamedTuple):
    """A translation: its text, its pieces, its words' links with offsets into both texts."""

    text: str
    tokens: tuple[TokenScore, ...]
    links: tuple[AlignedWords, ...]


def abridge(text: str) -> Abridged:
    """Leaves out what is said again.

    Example:
        >>> abridge("No, no, no!").text, abridge("Der, der das sagt").text
        ('No!', 'Der, der das sagt')
    """
    echoes = tuple(_echoes(text))
    kept = list(range(len(text) + 1))
    for echo in reversed(echoes):
        del kept[echo.end : echo.copies[-1][1]]
    return Abridged("".join(text[place] for place in kept[:-1]), tuple(kept), echoes)


def _echoes(text: str) -> list[Echo]:
    found = []
    for match in _RUN.finditer(text):
        start, end = match.span("said")
        stride = end - start + len(match["joint"])
        if (match.end() - start + len(match["joint"])) % stride:
            continue  # letters whose other case is longer
        copies = tuple((place, place + end - start) for place in range(start + stride, match.end(), stride))
        before, after = (any(map(str.isalnum, part)) for part in (text[:start], text[match.end() :]))
        began = text[start].isupper() and text[copies[0][0]].islower()
        echo = Echo(start, end, copies, match["joint"], whole=not before and not after, began=began)
        one_word, called = " " not in match["said"], not before and text[match.end() :].startswith(",")
        if echo.whole or len(copies) + 1 >= CERTAIN or (called and one_word):
            certain = echo.joint == COMMA or one_word
        else:
            certain = echo.joint == COMMA and not (before and after) and match["said"].lower() not in _RELATIVE
        if certain:
            found.append(echo)
    return found


def say_again(
    written: Written, echoes: Sequence[Echo], *, small: Callable[[str], str]
) -> tuple[Written, tuple[Echo, ...]]:
    """Says as often in a translation what the source says several times.

    Args:
        written: The translation of an abridged text; links have offsets into the text as it was.
        echoes: Of that text.
        small: Writes a word that begins the translation as it is written inside.

    Returns:
        The translation, and the echoes of which it was not clear what to say again.
    """
    stretches = [(_stretch(written, echo), echo) for echo in echoes]
    lost = tuple(echo for stretch, echo in stretches if stretch is None)
    clear = [(stretch, echo) for stretch, echo in stretches if stretch is not None]
    for stretch, echo in sorted(clear, key=lambda each: each[0], reverse=True):
        written = _inserted(written, stretch, echo, small)
    return written, lost


def _stretch(written: Written, echo: Echo) -> Span | None:
    """Where the translation says it: all of it, or the words in a row that rest most on what is said again."""
    spans = words(written.text)
    spoken = [span for span in spans if any(map(str.isalnum, written.text[slice(*span)]))]
    if echo.whole:
        return (spoken[0][0], spoken[-1][1]) if spoken else None
    shares = {span: [0.0, 0.0] for span in spoken}  # of other words, of the echo
    for link in written.links:
        if (span := (link.target_start, link.target_end)) in shares:
            shares[span][_lies_in(echo, link)] += link.weight
    runs: list[list[Span]] = [[]]
    for span in spans:
        other, own = shares.get(span, (1.0, 0.0))  # punctuation parts what belongs to an echo
        if own > other or (own == other and runs[-1]):  # what rests on nothing goes with its neighbours
            runs[-1].append(span)
        else:
            runs.append([])
    weights = [sum(shares[span][1] for span in run) for run in runs]
    if max(weights) < LEAST_WEIGHT:
        return None
    best = runs[weights.index(max(weights))]
    while not shares[best[-1]][1]:
        best.pop()
    return best[0][0], best[-1][1]


def _inserted(written: Written, stretch: Span, echo: Echo, small: Callable[[str], str]) -> Written:
    start, end = stretch
    said = again = written.text[start:end]
    if echo.began and not any(map(str.isalnum, written.text[:start])) and len(small(said)) == len(said):
        again = small(said)
    stride = len(echo.joint) + len(said)
    shift = stride * len(echo.copies)
    text = written.text[:end] + (echo.joint + again) * len(echo.copies) + written.text[end:]

    def token(old: TokenScore, by: int, and_end_by: int) -> TokenScore:
        begin, stop = old.start + by, old.end + and_end_by
        return TokenScore(text[begin:stop], begin, stop, old.log_prob)

    tokens = [token(old, 0, shift if old.end > end else 0) for old in written.tokens if old.start < end]
    links = [link for link in written.links if link.target_start < end]
    copied = [old for old in written.tokens if start <= old.start < old.end <= end]
    linked = [link for link in links if start <= link.target_start and _lies_in(echo, link)]
    for number, (copy, _) in enumerate(echo.copies, start=1):
        tokens += [token(old, stride * number, stride * number) for old in copied]
        links += [_moved(link, copy - echo.start, stride * number) for link in linked]
    tokens += [token(old, shift, shift) for old in written.tokens if old.start >= end]
    links += [_moved(link, 0, shift) for link in written.links if link.target_start >= end]
    return Written(text, tuple(tokens), tuple(links))


def _lies_in(echo: Echo, link: AlignedWords) -> bool:
    return echo.start <= link.source_start and link.source_end <= echo.end


def _moved(link: AlignedWords, in_source: int, in_target: int) -> AlignedWords:
    return AlignedWords(
        link.source_start + in_source,
        link.source_end + in_source,
        link.target_start + in_target,
        link.target_end + in_target,
        link.weight,
    )
