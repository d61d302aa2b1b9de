"""Sentences made one by "and" and its like: long ones that are a sentence, where joined pairs are many in a row."""

import random
from collections.abc import Sequence
from itertools import islice

from training.copying import Pair
from training.uncapitalised import Uncapitalised

CONJUNCTIONS = {  # after which all four languages leave a statement's words in their order
    "de": ("und", "aber", "denn"),
    "en": ("and", "but", "because"),
    "es": ("y", "pero", "porque"),
    "fr": ("et", "mais", "car"),
}
AND, BUT, BECAUSE = range(3)
FREQUENT = (AND, AND, AND, AND, BUT, BUT, BECAUSE, BECAUSE)
LENGTHS = (2, 2, 3, 4)  # clauses


def compounds(pairs: Sequence[Pair], languages: tuple[str, str], chance: random.Random) -> list[Pair]:
    """Returns compound sentences, each of two to four of the pairs in random order.

    A third of those with three clauses and more are lists: commas, and one "and" before the last.

    Only statements, which end in a full stop on both sides and have no other mark, take part, each once.

    Args:
        pairs: Sentence pairs.
        languages: Of source and target; both in `CONJUNCTIONS`.
        chance: Decides what goes together.
    """
    clauses = [pair for pair in pairs if all(_is_statement(side) for side in pair)]
    inner = [Uncapitalised(pair[side] for pair in pairs) for side in (0, 1)]
    order, made = iter(chance.sample(clauses, len(clauses))), list[Pair]()
    while len(run := list(islice(order, chance.choice(LENGTHS)))) > 1:
        listed = len(run) > 2 and chance.random() < 1 / 3
        which = [None] * (len(run) - 2) + [AND] if listed else [chance.choice(FREQUENT) for _ in run[1:]]
        source, target = (
            _joined(
                [pair[side][:-1] for pair in run],
                ["" if each is None else CONJUNCTIONS[languages[side]][each] + " " for each in which],
                inner[side],
            )
            for side in (0, 1)
        )
        made.append((source, target))
    return made


def _is_statement(text: str) -> bool:
    return text.endswith(".") and not text.endswith("..") and not any(mark in text[:-1] for mark in '.!?:;"“„«')


def _joined(clauses: list[str], conjunctions: list[str], inner: Uncapitalised) -> str:
    rest = (f"{word}{inner(clause)}" for word, clause in zip(conjunctions, clauses[1:], strict=True))
    return ", ".join([clauses[0], *rest]) + "."
