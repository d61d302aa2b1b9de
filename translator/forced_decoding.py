"""Forced decoding: what the model says of a translation that somebody else made.

The target is known, so all its tokens are read at once, by the graph that trains. What comes out is a `Hypothesis` like
the search's: log-probabilities, score, attention.
"""

from collections.abc import Sequence

import torch

from translator.batch import pair
from translator.engine import DecodingEngine
from translator.scoring import Hypothesis, length_penalty
from translator.tokenizer import Tokenizer

MAX_BATCH_TOKENS = 8192  # of the longer side, padding included

Ids = Sequence[int]


@torch.no_grad()
def score_all(engine: DecodingEngine, pairs: Sequence[tuple[Ids, Ids]], *, alpha: float) -> list[Hypothesis]:
    """Scores targets that are given.

    Args:
        engine: The model.
        pairs: Source ids with language token and eos; target ids with eos.
        alpha: Of the length penalty.

    Returns:
        One hypothesis a pair, in order, whose tokens are the target's.
    """
    order = sorted(range(len(pairs)), key=lambda n: max(map(len, pairs[n])))
    found: dict[int, Hypothesis] = {}
    while order:
        room = max(1, MAX_BATCH_TOKENS // max(map(len, pairs[order[-1]])))
        chosen, order = order[-room:], order[:-room]
        found.update(zip(chosen, _score(engine, [pairs[n] for n in chosen], alpha), strict=True))
    return [found[n] for n in range(len(pairs))]


def _score(engine: DecodingEngine, pairs: Sequence[tuple[Ids, Ids]], alpha: float) -> list[Hypothesis]:
    sources, targets = zip(*pairs, strict=True)
    batch = pair(sources, targets, pad_id=Tokenizer.pad_id, bos_id=Tokenizer.bos_id).to(engine.device)
    output = engine.model(batch.source, batch.target_input)
    log_probs = engine.model.logits(output.readout).log_softmax(dim=-1)  # [B, T, V]
    wanted = log_probs.gather(2, batch.target_output.ids[..., None])[..., 0]  # [B, T]
    hypotheses = []
    for row, (source, target) in enumerate(pairs):
        token_log_probs = wanted[row, : len(target)].tolist()
        log_prob = sum(token_log_probs)
        hypotheses.append(
            Hypothesis(
                tuple(target),
                tuple(token_log_probs),
                log_prob,
                log_prob / length_penalty(len(target), alpha),
                output.attention_weights[row, : len(target), : len(source)],
                finished=True,
            )
        )
    return hypotheses
