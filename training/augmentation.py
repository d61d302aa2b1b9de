"""Sentences in another dress: what people type is not what corpora hold.

A share of the text is read once more with its source changed as people change it: all in lower case, without accents,
with a slip of the finger; or with both sides left without their final stop. The translation stays what it was, so the
model learns to understand the careless and to write with care.

Others have modules of their own: those that teach copying (`training.copying`), words of another language in quotes
(`training.quotations`), a word said again (`training.emphasis`), an utterance said again inside of a sentence
(`training.insistence`), parts of sentences alone (`training.excerpts`), sentences made one by "and"
(`training.compounds`), the same text in other pieces (`training.resegmentation`). Where text becomes pieces
(`training.pieces`) pairs are joined to a long one, because a model that has read short sentences alone loses its way
in a long one; and such of which one pair needs no translating.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import NamedTuple

from training.copying import Pair, decorated, foreign, renamed, renumbered
from training.quotations import foreign_phrases, quoted
from training.records import check_range

Change = Callable[[Pair, random.Random], Pair]

MOST = 10  # a dress may be worn more often than the plain one: shares count from the weight of the corpus
STOPS = (".", "。")
DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})

SLIPS = (1, 1, 1, 2)  # in a sentence
KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in KEY_ROWS for at, key in enumerate(row)}

_UTTERANCE = re.compile(r"[¡¿]?\w+(?: \w+)?(?: ?[.!?])?")
_LONG_WORD = re.compile(r"(?<!\S)[^\w\s]*([^\W\d_]{4,})[^\w\s]*(?!\S)")  # between spaces, but for punctuation


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Of the pairs that a dress changes, the share that an epoch reads in it besides the plain one; 0 is off, 2 twice.

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
        emphasised: A word said several times where it stands, and its translation as often; asks for links.
        quoted: On both sides the same words, of another language or the target's, in quotes.
        insisted: A short sentence said several times as one, alone or before another.
        excerpted: What stands between commas on both sides or ends a sentence, as an utterance of its own; short
            sentences with another mark, and some words of a dictionary with one; asks for links.
        lengthy: Pairs of many words, as they are.
        resegmented: The source in other pieces than the likeliest (`training.resegmentation`).
        joined: Runs of two to five pairs, read as one long one.
        compounded: Two to four pairs made one sentence by "and", "but" or "because".
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
    emphasised: float = 0.0
    quoted: float = 0.0
    insisted: float = 0.0
    excerpted: float = 0.0
    lengthy: float = 0.0
    resegmented: float = 0.0
    compounded: float = 0.0
    joined: float = 0.0
    mixed: float = 0.0

    def __post_init__(self) -> None:
        """Refuses shares that cannot be."""
        check_range(self, *(entry.name for entry in fields(self)), least=0, most=MOST)


class Variant(NamedTuple):
    """One dress.

    Args:
        share: Of the pairs that it changes, those an epoch reads so.
        change: Returns a pair changed, or as it was.
    """

    share: float
    change: Change


def variants(
    config: AugmentationConfig, languages: tuple[str, str], corpora: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Variant]:
    """Yields the dresses of text that are worn; a change that returns its pair as it was does not apply to it.

    Args:
        config: What is worn.
        languages: Of source and target.
        corpora: What may be quoted besides, by language (`training.quotations.short_phrases`).
    """
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
        "quoted": partial(quoted, phrases=foreign_phrases(*languages, corpora) if config.quoted else []),
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
