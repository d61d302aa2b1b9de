"""Utterances said again inside of one sentence: "Stop, stop, stop!", "I know, I know.", "Wait, wait, I'm coming!".

People call so, and corpora hardly do. Where whole sentences are said again (`training.augmentation.repeated`) each has
marks and a capital of its own; here they become one sentence, with one of each.
"""

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from training.copying import Pair
from training.uncapitalised import Uncapitalised

TIMES = (2, 2, 2, 3, 3, 4)
CALL_WORDS, MOST_WORDS = 2, 4  # of what is said again before something else; of what is said again alone
CALLS = 3  # sentences that are made of each call, behind which something follows
UNMARKED = 0.2  # of what has no mark at its end, as in a dictionary, so much is said again

_SENTENCE = re.compile(r"([¡¿]?)([^¡¿.!?…:;\"“„«»()]*?\w)(\s?[.!?])?")


class _Said(NamedTuple):
    """A sentence in its parts.

    Args:
        opening: An inverted mark, or nothing.
        core: What is between the marks.
        closing: The mark at its end, or nothing.
    """

    opening: str
    core: str
    closing: str


def insisted(
    pairs: Sequence[Pair], chance: random.Random, *, inner: tuple[Uncapitalised, Uncapitalised] | None = None
) -> list[Pair]:
    """Returns sentences in which a short one of the pairs is said two to four times.

    The shortest, which are calls more often than not, are also said before others.

    Args:
        pairs: Sentence pairs.
        chance: Decides how often, and what follows.
        inner: Of either side, how a word that began a sentence is written inside of one; learned from the pairs if
            left out.

    Example:
        >>> insisted([("Halt an!", "Stop!")], random.Random(1), inner=(Uncapitalised(["Er, halt"]),) * 2)[0]
        ('Halt an, halt an!', 'Stop, stop!')
    """
    inner = inner or (Uncapitalised(source for source, _ in pairs), Uncapitalised(target for _, target in pairs))
    parts = [parsed for pair in pairs if (parsed := _parsed(pair))]
    sentences = [said for said in parts if said[0].closing]
    made = list[Pair]()
    for said in parts:
        words = max(len(side.core.split()) for side in said)
        if words > MOST_WORDS or any("," in side.core for side in said):
            continue
        followers: list[tuple[_Said, _Said] | None] = [None] if said[0].closing or chance.random() < UNMARKED else []
        if words <= CALL_WORDS and said[0].closing:
            followers += chance.choices(sentences, k=CALLS)
        for follower in followers:
            times = chance.choice(TIMES)
            source, target = (
                _joined(said[side], times, follower[side] if follower else None, inner[side]) for side in (0, 1)
            )
            made.append((source, target))
    return made


def _parsed(pair: Pair) -> tuple[_Said, _Said] | None:
    """The parts of both sides, if each is one sentence and they end alike: both with a mark, or both without."""
    source, target = (_SENTENCE.fullmatch(side) for side in pair)
    if not source or not target or bool(source[3]) != bool(target[3]):
        return None
    return _Said(source[1], source[2], source[3] or ""), _Said(target[1], target[2], target[3] or "")


def _joined(said: _Said, times: int, follows: _Said | None, inner: Uncapitalised) -> str:
    cores = [said.core] + [inner(said.core)] * (times - 1)
    if follows is None:
        return said.opening + ", ".join(cores) + said.closing
    asked = follows.opening if follows.opening == "¿" else ""  # stands before the question alone
    opening = "" if asked else follows.opening
    return opening + ", ".join([*cores, asked + inner(follows.core)]) + follows.closing
