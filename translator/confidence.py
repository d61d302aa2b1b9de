"""Confidence: how often a translation that looks like this one is right.

    p(right) = 1 / (1 + exp(-(bias + sum_i weight_i * evidence_i)))

The evidence is what one search leaves behind: the probabilities of the tokens, and where attention went. No second
model looks at it. A calibration is fitted on held-out text (`training.calibration`) and travels in the manifest;
without one there is no confidence, because a raw score only ranks.

Source: Platt 1999 (a logistic curve over a score); the evidence after Blatz et al. 2004, section 4.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from translator.errors import ConfigError
from translator.scoring import Hypothesis, log_coverage


class Evidence(NamedTuple):
    """What speaks for or against one translated sentence.

    Args:
        mean_log_prob: Of its tokens, nats.
        lowest_log_prob: Of its least likely token, nats.
        mean_log_coverage: Mean over source tokens of log(min(attention it got in all, 1)), at most 0: what was looked
            at for less than a step may be missing.
        log_length: Natural logarithm of the number of its tokens.
    """

    mean_log_prob: float
    lowest_log_prob: float
    mean_log_coverage: float
    log_length: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How evidence becomes confidence in one direction, and how well that held on the text it was fitted on.

    Args:
        source: Language code.
        target: Language code.
        bias: Of the logistic curve.
        weights: One for each entry of `Evidence`.
        right: A translation counts as right from this sentence chrF on, 0 to 100.
        test_set: Name of the text.
        sentences: It has so many.
        expected_calibration_error: Mean distance between confidence and the share that was right (Guo et al. 2017,
            equation 3, ten bins), on sentences that the curve was not fitted on.
    """

    source: str
    target: str
    bias: float
    weights: Evidence
    right: float
    test_set: str
    sentences: int
    expected_calibration_error: float

    def __post_init__(self) -> None:
        """Refuses numbers that make no curve.

        Raises:
            ConfigError: One is not finite, or no number.
        """
        for value in (self.bias, *self.weights, self.right, self.expected_calibration_error):
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"A calibration holds {value!r}, wanted a number; fit it again.")

    def confidence(self, evidence: Evidence) -> float:
        """Returns the share of translations with such evidence that are right, 0 to 1."""
        logit = self.bias + sum(weight * value for weight, value in zip(self.weights, evidence, strict=True))
        return 1 / (1 + math.exp(-max(-700.0, min(logit, 700.0))))  # beyond, exp() has no float for it


def weigh(hypothesis: Hypothesis) -> Evidence:
    """Returns the evidence of one hypothesis."""
    log_probs = hypothesis.token_log_probs
    coverage = log_coverage(hypothesis.attention_weights.sum(axis=0))  # [S]
    return Evidence(
        mean_log_prob=sum(log_probs) / len(log_probs),
        lowest_log_prob=min(log_probs),
        mean_log_coverage=float(coverage.mean()),
        log_length=math.log(len(log_probs)),
    )
