"""Dresses that teach copying: what stands on both sides becomes something else, on both sides the same.

What the vocabulary cannot spell (an emoji, a name in another script) is one unknown token; read where such a thing
stands on both sides, the model learns to write that token where its translation belongs, and `translator.sentence` puts
the source's characters there (Luong et al. 2015b, section 3.3).
"""

import random
import re
from collections import Counter
from collections.abc import Mapping

from training.names import another_name
from translator.text import words

Pair = tuple[str, str]

EMOJI = ("😀", "😂", "😍", "😢", "😡", "👍", "🙏", "🎉", "🔥", "🚀")
FOREIGN_NAMES = ("李明", "東京", "서울", "Ђорђе", "नेहा", "ธนา", "Նարե", "სანდრო", "יעל", "ليلى")

_NUMBER = re.compile(r"(?<![\w.,:])[1-9]\d+(?![.,:]?\d|[^\W\d_])")


def foreign(pair: Pair, chance: random.Random) -> Pair:
    """Writes every name of the pair in another script; a name is a capitalised word that stands once on both sides.

    Example:
        >>> foreign(("Anna ruft dich.", "Anna is calling you."), random.Random(0))
        ('Նարե ruft dich.', 'Նարե is calling you.')
    """
    shared = names_of(pair[0]) & names_of(pair[1])
    ordered = [pair[0][start:end] for start, end in words(pair[0]) if pair[0][start:end] in shared]
    disguises = dict(zip(ordered, chance.sample(FOREIGN_NAMES, len(FOREIGN_NAMES)), strict=False))
    return _replaced(pair[0], disguises), _replaced(pair[1], disguises)


def decorated(pair: Pair, chance: random.Random) -> Pair:
    """Puts an emoji on both sides: after them as a rule, sometimes before."""
    emoji, space = chance.choice(EMOJI), chance.choice(["", " "])
    if chance.random() < 0.2:
        return emoji + space + pair[0], emoji + space + pair[1]
    return pair[0] + space + emoji, pair[1] + space + emoji


def renamed(pair: Pair, chance: random.Random) -> Pair:
    """Gives everybody in the pair another name.

    Example:
        >>> renamed(("Anna ruft dich.", "Anna is calling you."), random.Random(2))
        ('Caketz ruft dich.', 'Caketz is calling you.')
    """
    shared = sorted(names_of(pair[0]) & names_of(pair[1]))
    others, taken = dict[str, str](), set(re.findall(r"\w+", " ".join(pair)))
    for name in shared:
        while (other := another_name(chance)) in taken:
            pass
        others[name] = other
        taken.add(other)
    return _replaced(pair[0], others), _replaced(pair[1], others)


def renumbered(pair: Pair, chance: random.Random) -> Pair:
    """Writes other digits for the numbers that stand as often on either side; from 10 on, and of as many digits.

    Example:
        >>> renumbered(("Zimmer 318, bitte.", "Room 318, please."), random.Random(0))
        ('Zimmer 964, bitte.', 'Room 964, please.')
    """
    counts = [Counter(_NUMBER.findall(side)) for side in pair]
    shared = sorted(number for number, times in counts[0].items() if counts[1][number] == times)
    others = {number: str(chance.randrange(10 ** (len(number) - 1), 10 ** len(number))) for number in shared}
    source, target = (_NUMBER.sub(lambda match: others.get(match[0], match[0]), side) for side in pair)
    return source, target


def names_of(text: str) -> set[str]:
    """The words of at least three letters that begin with a capital and stand once."""
    counts = Counter(text[start:end] for start, end in words(text))
    return {
        word for word, times in counts.items() if times == 1 and len(word) > 2 and word.isalpha() and word.istitle()
    }


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    for start, end in reversed(words(text)):
        text = text[:start] + replacements.get(text[start:end], text[start:end]) + text[end:]
    return text
