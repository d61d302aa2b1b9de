"""Text before it becomes ids: its normal form, and the words that an alignment speaks of.

Pure functions on `str`, whatever it holds: lone surrogates, controls and broken emoji are input like any
other. Where sentences begin and end is the business of `translator.segmentation`, whose names are offered
here too.

Source: Unicode Standard Annex 15 for NFC; Annex 29, section 4, of which `words` is a simple cousin.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from translator.segmentation import Segment, join_lines, segments

__all__ = ["NormalisedText", "Segment", "join_lines", "normalise", "plain_quotes", "segments", "words"]

# What cannot be seen: controls that are not white space, soft hyphen, grapheme joiner, bidi marks, zero-width
# characters, invisible operators, interlinear marks, tags, lone surrogates. U+200D has a rule of its own.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)
_SPACE_MARK = re.compile("\u2581")
# Each of these is its own NFC and takes part in no composition, so what stays now stays in a second pass.
_EMOJI = "[\u2194\u2195\u2600-\u27bf\u2b1b\ufe0f\U0001f300-\U0001faff]"
_LOOSE_JOINER = re.compile(f"(?<!{_EMOJI})\u200d|\u200d(?!{_EMOJI})")
_SPACE_RUN = re.compile(r"[^\S ]\s*| \s+")
_OUTER_SPACE = re.compile(r"\A | \Z")
_UNTIDY = re.compile(rf"{_INVISIBLE.pattern}|[\u2581\u200d]|[^\S ]|  |\A | \Z")  # what one of the steps looks for
_STEPS = (
    (_INVISIBLE, ""),
    (_SPACE_MARK, "_"),
    (_LOOSE_JOINER, ""),
    (_SPACE_RUN, " "),
    (_OUTER_SPACE, ""),
)

_WORD_JOINERS = frozenset("'\u2019-\u2010\u2011")
_NUMBER_JOINERS = frozenset(".,:")
# Han and kana are written without spaces; each character is taken as a word.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")
_LETTERS = re.compile(rf"[^\W_{_IDEOGRAPHS}]+")  # and digits
# European text without marks that combine, for which one pattern says what `_spans` says of any.
_EUROPEAN = re.compile("[\t-\r -~\xa1\xab\xbb\xbf-\u024f\u2013\u2014\u2018-\u201e\u2026\u20ac]*")
_EUROPEAN_WORD = re.compile(r"[^\W_]+(?:(?:['\u2019-]|(?<=\d)[.,:](?=\d))[^\W_]+)*|\S")


_SINGLE_QUOTES = str.maketrans("\u2018\u201b", "''")
_QUOTES = str.maketrans("\u2018\u201b\u201c\u201d\u201f", '\'\'"""')


class NormalisedText(NamedTuple):
    """A text in normal form, and where it came from.

    `origins` has `len(text) + 1` entries that never decrease: `original[origins[a]:origins[b]]` became
    `text[a:b]`, give or take what was dropped at the seam.
    """

    text: str
    origins: tuple[int, ...]


def normalise(text: str) -> NormalisedText:
    r"""Return the text in the one form that the tokenizer is trained on.

    Unicode NFC; every run of white space is one space, and none stands at either end; what cannot be seen is
    gone (controls, soft hyphens, zero-width and bidi marks, lone surrogates; the joiner stays inside an
    emoji, but not inside a Persian or Indic word); U+2581, the space mark of SentencePiece, is an underscore.

    Idempotent: the normal form of a normal form is itself.

    Example:
        >>> normalise("  Ca\u00adfe\u0301\n ok ")
        NormalisedText(text='Café ok', origins=(2, 3, 5, 6, 8, 10, 11, 12))
    """
    result = NormalisedText(text, tuple(range(len(text) + 1)))
    for pattern, replacement in _STEPS if _UNTIDY.search(text) else ():
        spans = [match.span() for match in pattern.finditer(result.text)]
        result = _replace(result, spans, [replacement] * len(spans))
    if unicodedata.is_normalized("NFC", result.text):
        return result
    spans = _composition_spans(result.text)
    composed = [unicodedata.normalize("NFC", result.text[start:end]) for start, end in spans]
    return _replace(result, spans, composed)


def plain_quotes(text: str) -> str:
    r"""Return the text with the quotation marks of a typewriter; every character stays in its place.

    Corpora have those; what phones and word processors make of them is rare there. German ones, which begin low, are
    left: corpora have those too.

    Example:
        >>> plain_quotes("\u2018Come,\u2019 she said, \u201chere\u201d.")
        '\'Come,\u2019 she said, "here".'
    """
    return text.translate(_SINGLE_QUOTES if "\u201e" in text else _QUOTES)


def words(text: str) -> list[tuple[int, int]]:
    """Return the spans of words and of single other characters, for word alignment.

    Every character that is not white space lies in exactly one span. Apostrophes and hyphens belong to the
    word around them, points and commas to the number around them, combining marks to what they sit on.

    Example:
        >>> text = "Don't pay 3.50, Tom!"
        >>> [text[start:end] for start, end in words(text)]
        ["Don't", 'pay', '3.50', ',', 'Tom', '!']
    """
    return list(_words(text))


@lru_cache(maxsize=256)  # a sentence is asked for once to align it, and again to see whether it repeats itself
def _words(text: str) -> tuple[tuple[int, int], ...]:
    if _EUROPEAN.fullmatch(text):
        return tuple([match.span() for match in _EUROPEAN_WORD.finditer(text)])
    return _spans(text)


def _spans(text: str) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    position = 0
    while position < len(text):
        run = _LETTERS.match(text, position)  # what is one word in any case, at once
        end = run.end() if run else position + 1
        if spans and spans[-1][1] == position and _continues(text, spans[-1][0], position):
            spans[-1] = (spans[-1][0], end)
        elif run or not text[position].isspace():
            spans.append((position, end))
        position = end
    return tuple(spans)


def _continues(text: str, start: int, position: int) -> bool:
    """Whether the character at `position` belongs to the word that began at `start` and reaches up to it."""
    previous, character, following = text[position - 1], text[position], text[position + 1 : position + 2]
    if _is_mark(character):
        return True
    if not text[start].isalnum() or _IDEOGRAPH.match(text[start]) or _IDEOGRAPH.match(character):
        return False
    if character.isalnum():
        return True
    if character in _NUMBER_JOINERS:
        return previous.isdigit() and following.isdigit()
    return character in _WORD_JOINERS and (previous.isalnum() or _is_mark(previous)) and following.isalnum()


def _is_mark(character: str) -> bool:
    """Whether a character only changes the one before it: combining marks, joiners and the like."""
    return not character.isascii() and unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}


def _replace(
    current: NormalisedText,
    spans: Sequence[tuple[int, int]],
    replacements: Sequence[str],
) -> NormalisedText:
    """Put each replacement where its span is; the spans ascend and do not overlap."""
    if not spans:
        return current
    pieces: list[str] = []
    origins: list[int] = []
    position = 0
    for (start, end), replacement in zip(spans, replacements, strict=True):
        pieces += current.text[position:start], replacement
        origins += current.origins[position:start]
        origins += (current.origins[min(start + offset, end - 1)] for offset in range(len(replacement)))
        position = end
    ends_in_nothing = position == len(current.text) and not replacements[-1]
    pieces.append(current.text[position:])
    origins += current.origins[position:-1]
    origins.append(current.origins[spans[-1][0]] if ends_in_nothing else current.origins[-1])
    return NormalisedText("".join(pieces), tuple(origins))


def _composition_spans(text: str) -> list[tuple[int, int]]:
    """Cut a text where no normal form reaches across, so that each piece can be composed by itself."""
    starts = [0] + [i for i in range(1, len(text)) if not _composes(text[i - 1], text[i])]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _composes(previous: str, character: str) -> bool:
    """Whether NFC may join or reorder a character with what stands before it."""
    if character < "\u0300":
        return False
    if unicodedata.category(character).startswith("M") or "\u1100" <= character <= "\u11ff":
        return True  # Hangul jamo: a final consonant joins what its vowel has become, not the vowel
    return unicodedata.normalize("NFC", previous + character) != (
        unicodedata.normalize("NFC", previous) + unicodedata.normalize("NFC", character)
    )
