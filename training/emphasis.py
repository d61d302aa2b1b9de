"""A word said again where it stands, on both sides: "the old, old house".

Which word answers which is told by the links of the corpus. Speech repeats itself and corpora rarely do, so a model
that has not met it says the word once, or loses the place.
"""

import random
from collections import Counter
from collections.abc import Collection

from training.copying import Pair
from training.links import link_words
from training.uncapitalised import Uncapitalised
from translator.alignment import Link, Span

JOINTS = (", ", ", ", ", ", " ")
TIMES = (2, 2, 2, 3, 4)
SHORTEST = 3  # letters


def emphasised(
    pair: Pair, links: Collection[Link], chance: random.Random, *, inner: tuple[Uncapitalised, Uncapitalised]
) -> Pair:
    """Says a word and its translation two to four times; both must be linked to each other alone.

    Args:
        pair: Source and target.
        links: Between their `link_words`.
        chance: Decides which word, and how often.
        inner: Of either side, how a word that began the sentence is written when it is said again.

    Example:
        >>> emphasised(("Das alte Haus", "The old house"), {(1, 1)}, random.Random(0), inner=(Uncapitalised([]),) * 2)
        ('Das alte, alte, alte Haus', 'The old, old, old house')
    """
    sides = [link_words(text) for text in pair]
    linked = [Counter(link[side] for link in links) for side in (0, 1)]
    candidates = [
        link
        for link in sorted(links)
        if all(
            linked[side][link[side]] == 1 and _can_be_said_again(pair[side], sides[side], link[side]) for side in (0, 1)
        )
    ]
    if not candidates:
        return pair
    link, times, joint = chance.choice(candidates), chance.choice(TIMES), chance.choice(JOINTS)
    source, target = (_said_again(pair[side], sides[side][link[side]], times, joint, inner[side]) for side in (0, 1))
    return source, target


def _can_be_said_again(text: str, spans: list[Span], place: int) -> bool:
    start, end = spans[place]
    apart = not text[start - 1 : start].strip() and text[end : end + 1] in {"", " ", ".", ",", "!", "?"}
    return apart and end - start >= SHORTEST and text[start:end].isalpha()


def _said_again(text: str, span: Span, times: int, joint: str, inner: Uncapitalised) -> str:
    start, end = span
    word = text[start:end]
    again = inner(word) if start == 0 and end < len(text) else word
    return text[:start] + joint.join([word] + [again] * (times - 1)) + text[end:]
