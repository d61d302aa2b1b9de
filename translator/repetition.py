"""Repetition: what a decoder that has lost its way does, and what a warning is due for.

Words are compared in small letters and without punctuation, so "no, no" counts as two; numbers, which may be written in
groups of zeros, are no words. What a search compares are tokens.
"""

import re
from collections import Counter
from collections.abc import Sequence
from operator import eq

from translator.text import words

FIRST_IDEOGRAPH = "\u2e80"  # from here on what is written together need not be one word
_LETTERS = re.compile(r"[^\W\d_]+")

LOOP_LENGTH, LOOP_TIMES = 4, 3
"""A loop is a stretch of at most so many words that stands at least so many times in a row."""


def has_loop(text: str, source: str) -> bool:
    """Whether `text` says something three times or more in a row, and more often than `source` repeats anything.

    Example:
        >>> has_loop("Salat Salat Salat", "salad"), has_loop("Nein, nein, nein!", "No, no, no!")
        (True, False)
    """
    if text.isascii() or max(text) < FIRST_IDEOGRAPH:
        said = Counter(map(str.lower, _LETTERS.findall(text)))
        if max(said.values(), default=0) < LOOP_TIMES:
            return False  # no word stands there so many times, which is soon seen
    times = most_repeats(text)
    return times >= LOOP_TIMES and times > most_repeats(source)


def most_repeats(text: str) -> int:
    """Counts how many times in a row the same one to four words stand in a text, at most; 1 is no repetition."""
    tokens = [text[start:end].lower() for start, end in words(text) if text[start].isalpha()]
    most = min(1, len(tokens))
    for length in range(1, LOOP_LENGTH + 1):
        run = 0
        same = list(map(eq, tokens[length:], tokens))
        for again in same if any(same) else ():
            run = run + 1 if again else 0
            most = max(most, 1 + run // length)
    return most


def repeats_itself(source: Sequence[int], size: int) -> bool:
    """Whether a source says `size` - 1 tokens in a row twice; `size` is at least 2."""
    stretches = list(zip(*(source[start:] for start in range(size - 1)), strict=False))
    return len(set(stretches)) < len(stretches)
