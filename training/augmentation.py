"""Sentences in another dress: what people type is not what corpora hold.

A share of the text is read once more with its source changed as people change it: all in lower case, without accents,
with a slip of the finger; or with both sides left without their final stop. The translation stays what it was, so the
model learns to understand the careless and to write with care.

Two dresses teach copying. What the vocabulary cannot spell (an emoji, a name in another script) is one unknown token;
read where such a thing stands on both sides, the model learns to write that token where its translation belongs, and
`translator.sentence` puts the source's characters there (Luong et al. 2015b, section 3.3).
"""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from training.records import check_range
from translator.text import words

Pair = tuple[str, str]
Change = Callable[[Pair, random.Random], Pair]

STOPS = (".", "。")
EMOJI = ("😀", "😂", "😍", "😢", "😡", "👍", "🙏", "🎉", "🔥", "🚀")
FOREIGN_NAMES = ("李明", "東京", "서울", "Ђорђе", "नेहा", "ธนา", "Նարե", "სანდრო", "יעל", "ليلى")


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Shares of each direction's pairs that an epoch reads in each dress besides the plain one; 0 is off.

    Args:
        lower_case: The source in lower case.
        unaccented: The source without accents and umlauts.
        misspelled: The source with one slip: a letter left out, doubled, or changed places with the next.
        unfinished: Both sides without their final stop.
        foreign: A name that stands on both sides, on both in another script.
        decorated: Both sides with the same emoji.
    """

    lower_case: float = 0.0
    unaccented: float = 0.0
    misspelled: float = 0.0
    unfinished: float = 0.0
    foreign: float = 0.0
    decorated: float = 0.0

    def __post_init__(self) -> None:
        """Refuses shares that cannot be."""
        check_range(self, *(entry.name for entry in fields(self)), least=0, below=1000)


class Variant(NamedTuple):
    """One dress and how often it is worn."""

    share: float
    change: Change


def variants(config: AugmentationConfig) -> Iterator[Variant]:
    """Yields the dresses that are worn at all; a change that returns its pair as it was does not apply to it."""
    changes: dict[str, Change] = {
        "lower_case": lower_case,
        "unaccented": unaccented,
        "misspelled": misspelled,
        "unfinished": unfinished,
        "foreign": foreign,
        "decorated": decorated,
    }
    for name, change in changes.items():
        if share := float(getattr(config, name)):
            yield Variant(share, change)


def lower_case(pair: Pair, chance: random.Random) -> Pair:
    """Puts the source in lower case.

    Example:
        >>> lower_case(("Wo ist Anna?", "Where is Anna?"), random.Random(0))
        ('wo ist anna?', 'Where is Anna?')
    """
    return pair[0].lower(), pair[1]


def unaccented(pair: Pair, chance: random.Random) -> Pair:
    """Takes accents and umlauts off the source, as on a keyboard that has none.

    Example:
        >>> unaccented(("Où est l'été ?", "Where is summer?"), random.Random(0))
        ("Ou est l'ete ?", 'Where is summer?')
    """
    return without_accents(pair[0]), pair[1]


def misspelled(pair: Pair, chance: random.Random) -> Pair:
    """Makes one slip within a word of the source; words of fewer than four letters are spared."""
    words = pair[0].split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not long:
        return pair
    place = chance.choice(long)
    word = words[place]
    at = chance.randrange(1, len(word) - 1)
    words[place] = chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        ]
    )
    return " ".join(words), pair[1]


def unfinished(pair: Pair, chance: random.Random) -> Pair:
    """Takes the final stop off both sides, if both have one.

    Example:
        >>> unfinished(("Es regnet.", "It is raining."), random.Random(0))
        ('Es regnet', 'It is raining')
    """
    if not all(side.endswith(STOPS) and not side.endswith("..") for side in pair):
        return pair
    source, target = (side[:-1].rstrip() for side in pair)
    return (source, target) if source and target else pair


def foreign(pair: Pair, chance: random.Random) -> Pair:
    """Writes every name of the pair in another script; a name is a capitalised word that stands once on both sides.

    Example:
        >>> foreign(("Anna ruft dich.", "Anna is calling you."), random.Random(0))
        ('ธนา ruft dich.', 'ธนา is calling you.')
    """
    shared = _names(pair[0]) & _names(pair[1])
    ordered = [pair[0][start:end] for start, end in words(pair[0]) if pair[0][start:end] in shared]
    disguises = dict(zip(ordered, chance.sample(FOREIGN_NAMES, len(FOREIGN_NAMES)), strict=False))
    return _replaced(pair[0], disguises), _replaced(pair[1], disguises)


def decorated(pair: Pair, chance: random.Random) -> Pair:
    """Puts an emoji on both sides: after them as a rule, sometimes before."""
    emoji, space = chance.choice(EMOJI), chance.choice(["", " "])
    if chance.random() < 0.2:
        return emoji + space + pair[0], emoji + space + pair[1]
    return pair[0] + space + emoji, pair[1] + space + emoji


def without_accents(text: str) -> str:
    """Returns the text with every letter's accents and umlauts taken off."""
    return "".join(each for each in unicodedata.normalize("NFD", text) if unicodedata.category(each) != "Mn")


def _names(text: str) -> set[str]:
    """The words of at least three letters that begin with a capital and stand once."""
    counts = Counter(text[start:end] for start, end in words(text))
    return {
        word for word, times in counts.items() if times == 1 and len(word) > 2 and word.isalpha() and word.istitle()
    }


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    for start, end in reversed(words(text)):
        text = text[:start] + replacements.get(text[start:end], text[start:end]) + text[end:]
    return text
