"""From the end of a search back to whole hypotheses: what sentences answer that are done.

Letters: M hypotheses · T tokens of the longest · S source length of the longest.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch

from translator.arrays import Array
from translator.beam_history import BeamHistory
from translator.beam_rows import DEAD, Place
from translator.beams import Beams
from translator.config import DecodingOptions
from translator.scoring import Hypothesis, coverage_penalty, length_penalty
from translator.stepper import Stepper


class _Ending(NamedTuple):
    position: int  # of the sentence
    length: int  # tokens, without eos
    row: int
    eos_log_prob: float | None  # None for what was cut


class _Said(NamedTuple):
    token_ids: list[int]
    log_probs: list[float]
    rows: list[int]  # whose attention chose each token


def read_answers(
    places: Mapping[int, Place],
    *,
    beams: Beams,
    history: BeamHistory,
    stepper: Stepper,
    options: DecodingOptions,
    eos_id: int,
) -> list[list[Hypothesis]]:
    """Returns the hypotheses of sentences that are done, finished before cut, best first, as many as each wants.

    Args:
        places: Of these sentences, by their position among the live ones.
        beams: Of all live ones.
        history: What they wrote.
        stepper: To say where the tokens came from; it still has the sentences.
        options: Of the search.
        eos_id: The token that ends a finished one.
    """
    endings = [ending for position, place in places.items() for ending in _endings(position, place, beams)]
    found: dict[int, list[Hypothesis]] = {position: [] for position in places}
    if endings:
        said = [_said(ending, places[ending.position].slot, history, eos_id) for ending in endings]
        owners = [places[ending.position] for ending in endings]
        attention_weights, states = history.recall(
            [place.slot for place in owners],
            [each.rows for each in said],
            max(place.source_length for place in owners),
        )
        device = attention_weights.device
        longest = attention_weights.shape[1]
        filled = [[*each.token_ids, *[0] * (longest - len(each.token_ids))] for each in said]
        positions = torch.tensor([ending.position for ending in endings], device=device)
        origins = stepper.explain(positions, torch.tensor(filled, device=device), attention_weights, states)
        both = (part.float().cpu().numpy() for part in (attention_weights, origins))
        for ending, place, each, *weights in zip(endings, owners, said, *both, strict=True):
            looked, came_from = (part[: len(each.token_ids), : place.source_length].copy() for part in weights)
            hypothesis = _hypothesis(each, looked, came_from, options, finished=ending.eos_log_prob is not None)
            found[ending.position].append(hypothesis)
    for position, hypotheses in found.items():
        hypotheses.sort(key=lambda hypothesis: (not hypothesis.finished, -hypothesis.score))
        del hypotheses[places[position].n_best :]
    return list(found.values())


def _endings(position: int, place: Place, beams: Beams) -> list[_Ending]:
    """Where what a sentence may answer ends: its best finished, and if they are too few all that was cut."""
    of_eos = (beams.finished_lengths, beams.finished_parents, beams.finished_log_probs)
    lengths, rows, log_probs = (field[position].tolist() for field in of_eos)
    count = min(place.n_best, int((beams.finished_scores[position] > DEAD).sum()))
    endings = [_Ending(position, lengths[i] - 1, rows[i], log_probs[i]) for i in range(count)]
    age = int(beams.ages[position])
    if count < place.n_best and age == place.max_length:
        live = beams.log_probs[position].tolist()
        endings += [_Ending(position, age, row, None) for row, each in enumerate(live) if each > DEAD]
    return endings


def _said(ending: _Ending, slot: int, history: BeamHistory, eos_id: int) -> _Said:
    token_ids, log_probs, rows = history.trace(slot, length=ending.length, row=ending.row)
    if ending.eos_log_prob is not None:
        token_ids, log_probs = [*token_ids, eos_id], [*log_probs, ending.eos_log_prob]
    # A token is chosen with the attention of the row before it, and a sentence begins in row 0.
    return _Said(token_ids, log_probs, [0, *rows][: len(token_ids)])


def _hypothesis(
    said: _Said, looked: Array, came_from: Array, options: DecodingOptions, *, finished: bool
) -> Hypothesis:
    log_prob = sum(said.log_probs)
    score = log_prob / length_penalty(len(said.token_ids), options.length_penalty)
    score += coverage_penalty(looked, options.coverage_penalty)
    return Hypothesis(tuple(said.token_ids), tuple(said.log_probs), log_prob, score, looked, came_from, finished)
