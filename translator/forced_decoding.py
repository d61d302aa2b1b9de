"""Forced decoding: what the model says of a translation that somebody else made.

The engine is told which token to take next instead of being asked, so it says what it would have said in a search. What
comes out is a `Hypothesis` like the search's: log-probabilities, score, attention.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.batch import pad
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
    wanted = pad(targets, engine.pad_id).ids.to(engine.device)  # [B, T]
    session, token_ids = engine.session(), torch.full_like(wanted[:, 0], Tokenizer.bos_id)
    session.admit(sources, beam_size=1)
    places = torch.arange(len(pairs), device=engine.device)
    attention, kept, log_probs = list[Tensor](), list[Tensor](), torch.empty(wanted.shape, device=engine.device)
    for step in range(wanted.shape[1]):
        all_log_probs, attention_weights, step_states, _ = session.step_in_full(token_ids, places)
        token_ids = wanted[:, step]
        log_probs[:, step] = all_log_probs.gather(1, token_ids[:, None])[:, 0]
        attention.append(attention_weights)
        kept.append(step_states)
    weights, states = torch.stack(attention, dim=1), torch.stack(kept, dim=1)  # [B, T, S], [B, T, E]
    origins = session.explain(places, wanted, weights, states)  # [B, T, S]
    hypotheses = []
    for row, (source, target) in enumerate(pairs):
        token_log_probs = log_probs[row, : len(target)].tolist()
        log_prob = sum(token_log_probs)
        looked, came_from = (part[row, : len(target), : len(source)] for part in (weights, origins))
        hypotheses.append(
            Hypothesis(
                tuple(target),
                tuple(token_log_probs),
                log_prob,
                log_prob / length_penalty(len(target), alpha),
                looked,
                came_from,
                finished=True,
            )
        )
    return hypotheses
