"""How a hypothesis is ranked: length and coverage penalties, and the record that carries the result.

Pure functions; the search that uses them is in `beam_search`.

Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 7.
"""

from dataclasses import dataclass

import numpy as np

from translator.arrays import Array

COVERAGE_FLOOR = 1e-6
"""The least attention a source token is taken to have had in all; keeps the logarithm of none finite."""


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One answer of the search.

    Attributes:
        token_ids: What was produced, the end-of-sentence token included if it was reached.
        token_log_probs: One natural logarithm a token, at most 0.
        log_prob: Their sum.
        score: What hypotheses are ranked by, log_prob / length_penalty + coverage_penalty. Higher is better.
        attention_weights: Where each token looked; its own source only. [T, S]
        posterior_weights: Where each token came from, now that it is known which it is; likewise. [T, S]
        finished: False when it was cut at the maximum length before an end-of-sentence token.
    """

    token_ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    attention_weights: Array
    posterior_weights: Array
    finished: bool


def length_penalty(length: int, alpha: float) -> float:
    """Divisor that keeps long hypotheses from losing for being long: ((5 + |Y|) / 6) ^ alpha.

    Args:
        length: |Y| in tokens, the end-of-sentence token counted; at least 1.
        alpha: Strength, at least 0; 0 is off.

    Returns:
        1.0 for one token, growing with the length.

    Example:
        >>> length_penalty(7, 1.0)
        2.0

    Source:
        Wu et al. 2016, equation 14, written there as (5 + |Y|)^alpha / (5 + 1)^alpha.
    """
    return float(((5 + length) / 6) ** alpha)


def coverage_penalty(attention_weights: Array, beta: float) -> float:
    """Price of source tokens looked at for less than one step in all: beta * sum_i log(min(sum_j a_ij, 1)).

    Args:
        attention_weights: One row a produced token, one column a source token, no padding. [T, S]
        beta: Strength, at least 0; 0 is off.

    Returns:
        0.0 for full coverage, else less.

    Source:
        Wu et al. 2016, equation 14. We depart from it by `COVERAGE_FLOOR` under the sum: attention can
        underflow to 0, and one such token would sink every hypothesis to the same minus infinity.
    """
    return float(log_coverage(attention_weights.sum(axis=0)).sum()) * beta if beta else 0.0


def log_coverage(coverage: Array) -> Array:
    """Logarithm of attention summed over the steps, held between `COVERAGE_FLOOR` and 1; any shape."""
    logarithms: Array = np.log(np.minimum(np.maximum(coverage, np.float32(COVERAGE_FLOOR)), np.float32(1)))
    return logarithms
