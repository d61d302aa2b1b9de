"""What is the same in every language: web and mail addresses, handles, file names, paths, long numbers.

A model spells such a thing piece by piece and gets it wrong. To the encoder it is one character that no vocabulary has,
so it becomes the unknown piece, which the model has learned to write where its translation belongs; then the characters
of the source are put there (`translator.sentence`). So it goes with a name that has a letter which no piece spells, as
"Łódź".
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

Span = tuple[int, int]

MASK = "\ue000"  # a private character: no text means anything by it
_ENDINGS = (
    "com|org|net|edu|gov|int|info|io|app|dev|eu|uk|us|de|at|ch|fr|be|es|mx|it|nl|"
    "pdf|txt|docx?|xlsx?|pptx?|odt|csv|json|xml|html?|md|py|js|jpe?g|png|gif|svg|mp[34]|wav|zip|gz|exe"
)
_TAIL = r"[^\s<>\"]*[\w/=#&%+~-]"  # to the last character that is no punctuation of the sentence
_VERBATIM = re.compile(
    rf"""(?<![\w@.])(?:
        [a-z][a-z0-9+.-]*://{_TAIL}             # https://example.org/help
      | www\.{_TAIL}
      | [\w.+-]*[\w+-]@\w[\w-]*(?:\.\w[\w-]*)+  # anna.berg@example.org
      | @\w+                                    # @maria_lopez
      | [a-z]:[\\/]{_TAIL}                      # C:/photos/summer
      | [\w-]{{2,}}(?:\.[\w-]+)*\.(?:{_ENDINGS})\b(?:[/:?]{_TAIL})?  # example.org/map, report-2024.pdf
      | \+?\d(?:[\d /-]{{4,}})\d(?![\d.,:]*\d)  # 030 1234567
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_HINT = re.compile(r"[@\\/:\d]|\.\S")  # no verbatim stretch is without one of these
_WORD = re.compile(r"\w(?:[\w'\u2019-]*\w)?")


class Masked(NamedTuple):
    """A text with one character for each verbatim stretch.

    Args:
        text: Masked.
        offsets: For each of its characters, and its end, the offset in the text as it was.
    """

    text: str
    offsets: tuple[int, ...]

    def unmasked(self, spans: Sequence[Span]) -> list[Span]:
        """Leads spans of the masked text back to the text as it was."""
        if len(self.offsets) == self.offsets[-1] + 1:
            return list(spans)  # every character kept its place
        return [(self.offsets[start], self.offsets[end]) for start, end in spans]


def mask(text: str, letters: frozenset[str] | None = None) -> Masked:
    r"""Puts `MASK` where something stands that is the same in every language.

    Args:
        text: Normalised.
        letters: Those that the model has pieces for: a word with another letter is a name, and one piece of it guessed
            would spoil it. A capital counts as known if its small letter is. None is all.

    Example:
        >>> mask("Write to a.b@example.org.")
        Masked(text='Write to \ue000.', offsets=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 24, 25))
    """
    pieces, offsets, position = list[str](), list[int](), 0
    spans = [match.span() for match in _VERBATIM.finditer(text)] if _HINT.search(text) else []
    if letters is not None and not letters.issuperset(text):
        strange = [
            match.span() for match in _WORD.finditer(text) if not all(_is_known(each, letters) for each in match[0])
        ]
        spans = sorted([*spans, *(span for span in strange if not any(_touch(span, other) for other in spans))])
    for start, end in spans:
        pieces += text[position:start], MASK
        offsets += [*range(position, start), start]
        position = end
    return Masked("".join([*pieces, text[position:]]), (*offsets, *range(position, len(text) + 1)))


def _is_known(character: str, letters: frozenset[str]) -> bool:
    return not character.isalpha() or character in letters or letters.issuperset(character.lower())


def _touch(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
