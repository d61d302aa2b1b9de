"""What a text says several times in a row is translated once and said as often: "No, no, no!", "I know, I know.".

A model that counts badly loses one of three, or says four, or takes a word that stands alone three times for a name. So
it reads what is said again once; the translation of that is said again, with the same commas or spaces between. It is
found by the alignment, and left as it is, with a warning, where that names no one stretch.

Not all that stands twice is said twice: "der, der das sagt", "No, no es verdad", "whatever will be, will be". So two
must have a clause to themselves, between commas or the ends of the text; three may stand anywhere, hardly ever being
grammar, and with spaces between it must be three.
"""

import re
import unicodedata
from collections.abc import Sequence
from operator import eq
from typing import NamedTuple

from translator.alignment import AlignedWords
from translator.text import words
from translator.tokenizer import Tokenizer
from translator.translation import TokenScore

Span = tuple[int, int]

SPACE = " "
MOST_WORDS = 4  # of what is said again
CERTAIN = 3  # so many times in a row is hardly ever grammar
LEAST_WEIGHT = 0.5  # of the links that tell where an echo is translated
GERMAN = "de"  # whose nouns have capitals

_LETTERS = r"[^\W\d_]"
_WORD = rf"{_LETTERS}+(?:['\u2019-]{_LETTERS}+)*"
_RUN = re.compile(
    rf"""
    (?<![\w'\u2019-])
    (?P<said>{_LETTERS}{_WORD} | {_WORD}(?:[ ]{_WORD}){{1,{MOST_WORDS - 1}}}?)
    (?P<joint>,?[ ]) (?P=said)
    (?:(?P=joint)(?P=said))*
    (?![\w'\u2019-])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SPOKEN = re.compile(r"\w+")
_CLAUSE_BEGINS = re.compile(r"(?:^|[,;:.!?\u2026\"\u00ab\u201e\u201c(-])[ ]?[\u00a1\u00bf]?$")
_CLAUSE_ENDS = re.compile(r"\s?(?:$|[,;:.!?\u2026\"\u00bb\u201c\u201d)])")
_ENGLISH_I = re.compile(r"I\b")  # a capital everywhere


class Echo(NamedTuple):
    """A stretch that is said several times in a row.

    Args:
        start: Where it stands first.
        end: One past that.
        copies: Where it stands again.
        joint: What is between: a comma and a space, or `SPACE`.
        whole: Nothing else is said.
        began: Its capital is that of the sentence it begins.
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
        if not self.echoes:
            return list(spans)
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
    echoes = tuple(_echoes(text)) if _may_repeat(text) else ()  # most sentences say nothing twice
    if not echoes:
        return unabridged(text)
    kept = list(range(len(text) + 1))
    for echo in reversed(echoes):
        del kept[echo.end : echo.copies[-1][1]]
    return Abridged("".join(text[place] for place in kept[:-1]), tuple(kept), echoes)


def unabridged(text: str) -> Abridged:
    """The text as it is, whatever it says again."""
    return Abridged(text, tuple(range(len(text) + 1)), ())


def _may_repeat(text: str) -> bool:
    """Whether a text says a word again so soon that it may be an echo, which is quickly told of most."""
    said = [word.lower() for word in _SPOKEN.findall(text)]  # of a whole text lower() may make other letters
    if len(set(said)) == len(said):
        return False
    joined = any(joint in text for joint in "'\u2019-")  # then a word may be several of these
    return joined or any(any(map(eq, said, said[apart:])) for apart in range(1, MOST_WORDS + 1))


def _echoes(text: str) -> list[Echo]:
    found = []
    for match in _RUN.finditer(text):
        start, end = match.span("said")
        stride = end - start + len(match["joint"])
        copies = tuple((place, place + end - start) for place in range(start + stride, match.end(), stride))
        before, after = text[:start], text[match.end() :]
        whole = not any(map(str.isalnum, before + after))
        began = text[start].isupper() and (text[copies[0][0]].islower() or bool(_ENGLISH_I.match(match["said"])))
        echo = Echo(start, end, copies, match["joint"], whole=whole, began=began)
        if _is_the_same(text, echo) and _stands_alone(text, echo) and _is_certain(text, echo):
            found.append(echo)
    return found


def _is_the_same(text: str, echo: Echo) -> bool:
    """Whether nothing but the capital of the text's first word tells the first from its copies."""
    first, *others = (text[start:end] for start, end in ((echo.start, echo.end), *echo.copies))
    small = first if any(map(str.isalnum, text[: echo.start])) else first[:1].lower() + first[1:]
    return len(set(others)) == 1 and others[0] in (first, small)


def _stands_alone(text: str, echo: Echo) -> bool:
    """Whether neither a combining mark belongs to it, nor more of the same, with another joint, is beside it."""
    before, after = text[: echo.start], text[echo.copies[-1][1] :]
    if any(unicodedata.category(each).startswith("M") for each in (*before[-1:], *after[:1])):
        return False
    said = text[echo.start : echo.end].lower()
    return not (after.lstrip(", ").lower().startswith(said) or before.rstrip(", ").lower().endswith(said))


def _is_certain(text: str, echo: Echo) -> bool:
    times, one_word = len(echo.copies) + 1, " " not in text[echo.start : echo.end]
    if echo.joint == SPACE:
        return times >= CERTAIN and one_word
    before, after = text[: echo.start], text[echo.copies[-1][1] :]
    return times >= CERTAIN or bool(_CLAUSE_BEGINS.search(before) and _CLAUSE_ENDS.match(after))


def say_again(
    written: Written, echoes: Sequence[Echo], *, tokenizer: Tokenizer, target: str, shouted: bool = False
) -> tuple[Written, tuple[Echo, ...]]:
    """Says as often in a translation what the source says several times.

    Args:
        written: The translation of an abridged text; links have offsets into the text as it was.
        echoes: Of that text.
        tokenizer: Tells how a German word is rather written, see `_small`.
        target: Language of the translation.
        shouted: All of it is in capitals.

    Returns:
        The translation, and the echoes of which it was not clear what to say again.
    """
    stretches = [(_stretch(written, echo), echo) for echo in echoes]
    lost = tuple(echo for stretch, echo in stretches if stretch is None)
    clear = [(stretch, echo) for stretch, echo in stretches if stretch is not None]
    for stretch, echo in sorted(clear, key=lambda each: each[0], reverse=True):
        said = written.text[slice(*stretch)]
        begins = echo.began and not any(map(str.isalnum, written.text[: stretch[0]]))
        again = _small(said, tokenizer, target) if begins and not shouted else said
        written = _inserted(written, stretch, echo, again)
    return written, lost


def _small(said: str, tokenizer: Tokenizer, target: str) -> str:
    """Writes what began a sentence as it is written inside of one: small, but for the English "I".

    A German word that takes more pieces when it is small stays as it is: it may be a noun.
    """
    small = said[:1].lower() + said[1:]
    if _ENGLISH_I.match(said) or len(small) != len(said):
        return said
    return said if target == GERMAN and len(tokenizer.encode(small)) > len(tokenizer.encode(said)) else small


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


def _inserted(written: Written, stretch: Span, echo: Echo, again: str) -> Written:
    """Puts copies of a stretch behind it, with their pieces and links; what stood there moves on."""
    start, end = stretch
    stride = len(echo.joint) + len(again)
    shift = stride * len(echo.copies)
    text = written.text[:end] + (echo.joint + again) * len(echo.copies) + written.text[end:]
    tokens = [
        token if token.end <= end else _token(text, token, 0, shift) for token in written.tokens if token.start < end
    ]
    links = [link for link in written.links if link.target_start < end]
    copied = [token for token in written.tokens if start < token.end <= end and token.start < token.end]
    linked = [link for link in links if start <= link.target_start and _lies_in(echo, link)]
    for number, (copy, _) in enumerate(echo.copies, start=1):
        # The space before a word belongs to its first piece; that of a copy belongs to the joint.
        tokens += [
            _token(text, token, stride * number + max(0, start - token.start), stride * number) for token in copied
        ]
        links += [_moved(link, copy - echo.start, stride * number) for link in linked]
    tokens += [_token(text, token, shift, shift) for token in written.tokens if token.start >= end]
    links += [_moved(link, 0, shift) for link in written.links if link.target_start >= end]
    return Written(text, tuple(tokens), tuple(links))


def _token(text: str, token: TokenScore, by: int, end_by: int) -> TokenScore:
    start, end = token.start + by, token.end + end_by
    return TokenScore(text[start:end], start, end, token.log_prob)


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
