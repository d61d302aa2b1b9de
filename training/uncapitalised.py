"""How a sentence's first word is written inside of one: "Tom" and "Wasser" keep their capital, "Please" does not."""

from collections import Counter
from collections.abc import Iterable

from translator.text import words


class Uncapitalised:
    """Writes a sentence's first word as it would be written inside of one."""

    def __init__(self, sentences: Iterable[str]) -> None:
        """Counts how words that do not begin a sentence are written in `sentences`."""
        self._written: Counter[str] = Counter()
        for text in sentences:
            self._written.update(text[start:end] for start, end in words(text)[1:])

    def is_name(self, word: str) -> bool:
        """Whether a word with a capital has it inside of sentences, too, more often than not."""
        return self._written[word] > self._written[word[:1].lower() + word[1:]]

    def __call__(self, text: str) -> str:
        """Returns the text with its first letter small, if the word is rather written so elsewhere."""
        spans = words(text)
        if not spans or spans[0][0]:
            return text
        first = text[: spans[0][1]]
        small = first[0].lower() + first[1:]
        return small + text[len(first) :] if self._written[small] > self._written[first] else text
