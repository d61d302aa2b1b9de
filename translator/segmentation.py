"""Finds the sentences of a text, and remembers everything between them.

The text is cut into segments that cover it exactly: sentences to translate, and verbatim stretches (white
space, line breaks, lines of numbers or emoji) to copy, so the structure of a document survives its
translation. `sentencex` decides where a sentence ends; this module keeps it within one line, within bounded
time, and from crashing.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple

import sentencex

from translator.errors import ConfigError

# All that str.splitlines takes for the end of a line, and the tab, which parts the cells of a table.
_LINE = re.compile("[^\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_WHITE_SPACE = re.compile(r"\s")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLAUSE_END = re.compile(r"[,;:)\]\u2013\u2014](?=\s)|[\u3001\uff0c\uff1a\uff1b]")
# A line of text, with the break behind it: what begins it decides whether the break can be one of a paragraph.
_WRAPPED = re.compile(r"(?<=\S)[ \t]*(?:\r\n|\n|\r)(?=\S)")
_STAYS_BEFORE = re.compile(r"(?:[-*+>#|\u2022\u2013\u2014]|\d{1,3}[.)])(?:\s|\Z)|[|>#]")
_STAYS_BEHIND = re.compile(r"\s*[|>#]")
_LOOKAHEAD = 1000
# Emoji and dingbats, with what joins and varies them, parted from the words by white space.
_SYMBOL = "[\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]"
_SYMBOLS_FIRST = re.compile(rf"{_SYMBOL}+\s+")
_SYMBOLS_LAST = re.compile(rf"\s+{_SYMBOL}+\Z")
_MAX_CLUSTER = 16


class Segment(NamedTuple):
    """A stretch `text[start:end]`: a sentence to translate, or something to copy as it is."""

    start: int
    end: int
    kind: Literal["sentence", "verbatim"]


def segments(text: str, language: str, *, max_characters: int = 1000) -> list[Segment]:
    r"""Cut a text into sentences and what lies between them.

    The segments are contiguous, none is empty, and together they are the text. A sentence neither begins nor
    ends with white space, holds no line break or tab, and has at least one letter; everything else is
    verbatim. Time is linear in the length of the text.

    Args:
        text: Any text, normalised or not.
        language: Its language code; of one that `sentencex` does not know, or of "pt-BR", the nearest rules
            are taken.
        max_characters: The longest sentence. A longer one is cut after the last clause punctuation in the
            second half of that length, else at the last white space, else at the limit.

    Raises:
        ConfigError: `max_characters` is below 1.

    Example:
        >>> segments("Hi there! How are you?\n\n42", "en")  # doctest: +NORMALIZE_WHITESPACE
        [Segment(start=0, end=9, kind='sentence'), Segment(start=9, end=10, kind='verbatim'),
         Segment(start=10, end=22, kind='sentence'), Segment(start=22, end=26, kind='verbatim')]
    """
    if max_characters < 1:
        raise ConfigError(f"max_characters is {max_characters}, but must be at least 1; 1000 is usual.")
    found: list[Segment] = []
    position = 0
    for start, end in _sentence_spans(text, language, max_characters):
        if not any(map(str.isalpha, text[start:end])):
            continue
        if start > position:
            found.append(Segment(position, start, "verbatim"))
        found.append(Segment(start, end, "sentence"))
        position = end
    if position < len(text):
        found.append(Segment(position, len(text), "verbatim"))
    return found


def join_lines(text: str) -> str:
    r"""Joins the lines of a paragraph that somebody wrapped, each character in its place.

    A line break between two lines of text becomes a space. It stays beside a blank line, before an indented line,
    before one that begins with the mark of a list, and beside one with that of a heading, a quotation or a table.
    Linear in the length of the text.

    Example:
        >>> join_lines("Where is\nthe station?\n\n- here\n- there")
        'Where is the station?\n\n- here\n- there'
    """
    joined, position, line = list[str](), 0, 0
    for found in _WRAPPED.finditer(text):
        # The last break before this one may have been no place to join, such as one of an indented line.
        line = max(line, text.rfind("\n", line, found.start()) + 1, text.rfind("\r", line, found.start()) + 1)
        stays = _STAYS_BEHIND.match(text, line) or _STAYS_BEFORE.match(text, found.end())
        joined += text[position : found.start()], found[0] if stays else " " * len(found[0])
        position = line = found.end()
    return "".join([*joined, text[position:]])


def _sentence_spans(text: str, language: str, max_characters: int) -> Iterator[tuple[int, int]]:
    """Yield stripped, non-empty spans of at most `max_characters`, line by line."""
    seen = _WHITE_SPACE.sub(" ", _SURROGATE.sub("\ufffd", text))
    for line in _LINE.finditer(text):
        for start, end in _split_line(seen, line.start(), line.end(), language, max_characters):
            yield from _cut(text, *_strip_symbols(text, *_strip(text, start, end)), max_characters)


def _split_line(
    text: str,
    start: int,
    end: int,
    language: str,
    max_characters: int,
) -> Iterator[tuple[int, int]]:
    """Yield the sentences of one line, which sentencex sees through a window.

    Sentencex takes time that grows with the square of some texts. A window is larger than the longest
    sentence allowed; the last sentence in it, which may go on, is looked at again from its start, unless it
    fills the window.
    """
    window = max_characters + _LOOKAHEAD
    while start < end:
        limit = min(start + window, end)
        lengths = _sentence_lengths(text[start:limit], language)
        if limit < end and len(lengths) > 1:
            lengths.pop()
        for length in lengths:
            yield start, start + length
            start += length


def _sentence_lengths(text: str, language: str) -> list[int]:
    """Ask sentencex; take the text for one sentence when the answer cannot be used."""
    code = re.split("[-_]", language)[0].lower()
    try:
        sentences = sentencex.segment(code if code.isascii() else "en", text)
    except BaseException as error:
        # A panic in Rust is not an Exception and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return [len(text)]
    return [len(sentence) for sentence in sentences] if "".join(sentences) == text else [len(text)]


def _cut(text: str, start: int, end: int, max_characters: int) -> Iterator[tuple[int, int]]:
    """Yield a span as it is, or in pieces if it is too long."""
    while end - start > max_characters:
        middle = _cut_position(text, start, start + max_characters)
        yield _strip(text, start, middle)
        start, end = _strip(text, middle, end)
    if start < end:
        yield start, end


def _cut_position(text: str, start: int, limit: int) -> int:
    """Return the best place to end a piece of a sentence that goes on beyond `limit`."""
    half = (start + limit) // 2
    for clause in reversed(list(_CLAUSE_END.finditer(text, half, limit + 1))):
        if clause.end() <= limit:
            return clause.end()
    for position in range(limit, start, -1):
        if text[position].isspace():
            return position
    return _cluster_start(text, start, limit)


def _cluster_start(text: str, start: int, limit: int) -> int:
    """Move a hard cut left so that no combining mark or joined emoji loses its base."""
    for position in range(limit, max(start, limit - _MAX_CLUSTER), -1):
        follows = unicodedata.category(text[position]) in {"Mn", "Mc", "Me", "Cf"}
        if not follows and text[position - 1] != "\u200d":
            return position
    return limit


def _strip_symbols(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the emoji and other symbols that stand apart at its ends: they need no translation."""
    while (first := _SYMBOLS_FIRST.match(text, start, end)) and first.end() != end:
        start = first.end()
    while (last := _SYMBOLS_LAST.search(text, max(start, end - _MAX_CLUSTER), end)) and last.start() > start:
        end = last.start()
    return start, end


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
