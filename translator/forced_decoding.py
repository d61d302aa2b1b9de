"""Forced decoding: what the model says of a translation that somebody else made.

The engine is told which token to take next instead of being asked, so it says what it would have said in a search. What
comes out is a `Hypothesis` like the search's: log-probabilities, score, attention.
"""

from collections.abc import Sequence

from translator.engine import DecodingEngine
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

MAX_BATCH_TOKENS = 8192  # of the longer side, padding included

Ids = Sequence[int]


def score_all(engine: DecodingEngine, pairs: Sequence[tuple[Ids, Ids]], *, alpha: float) -> list[Hypothesis]:
    """Scores targets that are given.

    Args:
        engine: The model.
        pairs: Source ids with language token and eos; target ids with eos.
        alpha: Of the length penalty.

    Returns:
        One hypothesis a pair, in order, whose tokens are the target's.

    Raises:
        ValueError: A target does not end with eos, or has one before its end.
    """
    for _, target in pairs:
        if Tokenizer.eos_id not in target or list(target).index(Tokenizer.eos_id) != len(target) - 1:
            raise ValueError(f"a target is {list(target)}, wanted ids with eos, {Tokenizer.eos_id}, at its end alone.")
    order = sorted(range(len(pairs)), key=lambda n: max(map(len, pairs[n])))
    found: dict[int, Hypothesis] = {}
    while order:
        room = max(1, MAX_BATCH_TOKENS // max(map(len, pairs[order[-1]])))
        chosen, order = order[-room:], order[:-room]
        found.update(
            zip(chosen, engine.force(*zip(*(pairs[n] for n in chosen), strict=True), alpha=alpha), strict=True)
        )
    return [found[n] for n in range(len(pairs))]
