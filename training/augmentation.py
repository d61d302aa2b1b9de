"""Sentences in another dress: what people type is not what corpora hold.

A share of the text is read once more with its source changed as people change it: all in lower case, without accents,
with a slip of the finger; or with both sides left without their final stop. The translation stays what it was, so the
model learns to understand the careless and to write with care.

Some dresses teach copying. What the vocabulary cannot spell (an emoji, a name in another script) is one unknown token;
read where such a thing stands on both sides, the model learns to write that token where its translation belongs, and
`translator.sentence` puts the source's characters there (Luong et al. 2015b, section 3.3).

Three dresses are made where text becomes pieces: the same text in other pieces; pairs joined to a long one, because a
model that has read short sentences alone loses its way in a long one; and such of which one pair needs no translating.
"""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from training.names import another_name
from training.records import check_range
from translator.text import words

Pair = tuple[str, str]
Change = Callable[[Pair, random.Random], Pair]

STOPS = (".", "。")
EMOJI = ("😀", "😂", "😍", "😢", "😡", "👍", "🙏", "🎉", "🔥", "🚀")
DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
FOREIGN_NAMES = ("李明", "東京", "서울", "Ђорђе", "नेहा", "ธนา", "Նարե", "სანდრო", "יעל", "ليلى")

SLIPS = (1, 1, 1, 2)  # in a sentence
KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in KEY_ROWS for at, key in enumerate(row)}

_NUMBER = re.compile(r"(?<![\w.,:])[1-9]\d+(?![.,:]?\d|[^\W\d_])")
_UTTERANCE = re.compile(r"[¡¿]?\w+(?: \w+)?(?: ?[.!?])?")
_LONG_WORD = re.compile(r"(?<!\S)[^\w\s]*([^\W\d_]{4,})[^\w\s]*(?!\S)")  # between spaces, but for punctuation


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Of the pairs that a dress changes, the share that an epoch reads in it besides the plain one; 0 is off.

    Args:
        lower_case: The source in lower case.
        unaccented: The source without accents; umlauts and sharp s now and then as two letters.
        misspelled: The source with a slip or two: a letter left out, doubled, hit beside, or changed places with the
            next.
        unfinished: Both sides without their final stop.
        foreign: A name that stands on both sides, on both in another script.
        decorated: Both sides with the same emoji.
        renamed: A name that stands on both sides, on both another one, or one that nobody has.
        renumbered: Numbers that stand on both sides, on both others.
        repeated: Both sides, if they are of few words, said several times.
        resegmented: The source in other pieces than the likeliest (`training.resegmentation`).
        joined: Runs of two to five pairs, read as one long one.
        mixed: Such runs of which one pair is in the target language already, and stays as it is.
    """

    lower_case: float = 0.0
    unaccented: float = 0.0
    misspelled: float = 0.0
    unfinished: float = 0.0
    foreign: float = 0.0
    decorated: float = 0.0
    renamed: float = 0.0
    renumbered: float = 0.0
    repeated: float = 0.0
    resegmented: float = 0.0
    joined: float = 0.0
    mixed: float = 0.0

    def __post_init__(self) -> None:
        """Refuses shares that cannot be."""
        check_range(self, *(entry.name for entry in fields(self)), least=0, most=1)


class Variant(NamedTuple):
    """One dress.

    Args:
        share: Of the pairs that it changes, those an epoch reads so.
        change: Returns a pair changed, or as it was.
    """

    share: float
    change: Change


def variants(config: AugmentationConfig) -> Iterator[Variant]:
    """Yields the dresses of text that are worn; a change that returns its pair as it was does not apply to it."""
    changes: dict[str, Change] = {
        "lower_case": lower_case,
        "unaccented": unaccented,
        "misspelled": misspelled,
        "unfinished": unfinished,
        "foreign": foreign,
        "decorated": decorated,
        "renamed": renamed,
        "renumbered": renumbered,
        "repeated": repeated,
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
    """Writes the source as on a keyboard without accents: "Öl" as "Ol" or, as often, as "Oel".

    Example:
        >>> unaccented(("Où est l'été ?", "Where is summer?"), random.Random(0))
        ("Ou est l'ete ?", 'Where is summer?')
    """
    source = pair[0].translate(DIGRAPHS) if chance.random() < 0.5 else pair[0]
    return without_accents(source), pair[1]


def misspelled(pair: Pair, chance: random.Random) -> Pair:
    """Makes a slip after the first letter of a word of the source, now and then two; short words are spared."""
    text = pair[0]
    for _ in range(chance.choice(SLIPS)):
        text = _with_slip(text, chance)
    return text, pair[1]


def _with_slip(text: str, chance: random.Random) -> str:
    long = [match.span(1) for match in _LONG_WORD.finditer(text)]
    if not long:
        return text
    start, end = chance.choice(long)
    at = chance.randrange(start + 1, end - 1)
    one, next_one = text[at], text[at + 1]
    slips = [next_one, one + one + next_one, next_one + one]
    if one in NEIGHBOURS:
        slips.append(chance.choice(NEIGHBOURS[one]) + next_one)
    slip = chance.choice(slips)
    return text[:at] + slip + text[at + 2 :]


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
        ('Նարե ruft dich.', 'Նարե is calling you.')
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


def renamed(pair: Pair, chance: random.Random) -> Pair:
    """Gives everybody in the pair another name.

    Example:
        >>> renamed(("Anna ruft dich.", "Anna is calling you."), random.Random(2))
        ('Caketz ruft dich.', 'Caketz is calling you.')
    """
    shared = sorted(_names(pair[0]) & _names(pair[1]))
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


def repeated(pair: Pair, chance: random.Random) -> Pair:
    """Says both sides two to four times, if they have at most two words each.

    Example:
        >>> repeated(("Warte!", "Wait!"), random.Random(0))
        ('Warte! Warte! Warte!', 'Wait! Wait! Wait!')
    """
    if not all(_UTTERANCE.fullmatch(side) for side in pair):
        return pair
    ended = any(side.endswith((".", "!", "?")) for side in pair)
    times, joint = chance.choice((2, 2, 3, 3, 4)), " " if ended else chance.choice((", ", " "))
    return joint.join([pair[0]] * times), joint.join([pair[1]] * times)


def without_accents(text: str) -> str:
    """Returns the text with accents and umlauts taken off its Latin letters; in other scripts marks are no ornament."""
    kept = ""
    for each in unicodedata.normalize("NFD", text):
        if unicodedata.category(each) != "Mn" or not kept or not kept[-1].isascii():
            kept += each
    return unicodedata.normalize("NFC", kept)


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
