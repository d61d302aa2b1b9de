"""Confidence: evidence by its definition, and a curve that is a probability whatever it is given."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.confidence import Calibration, Evidence, weigh
from translator.scoring import Hypothesis, coverage_penalty

CURVE = Calibration(
    source="en", target="de", bias=1.0, weights=Evidence(2.0, 0.5, 0.25, -1.0), right=60.0, test_set="made up",
    sentences=1000, expected_calibration_error=0.0,
)  # fmt: skip
numbers = st.floats(-1e6, 1e6)


def test_evidence_is_what_its_names_say() -> None:
    attention = np.array([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]], dtype=np.float32)
    hypothesis = Hypothesis((7, 3), (-0.5, -1.5), -2.0, -1.7, attention, attention, True)
    evidence = weigh(hypothesis)
    assert evidence.mean_log_prob == -1.0
    assert evidence.lowest_log_prob == -1.5
    assert evidence.log_length == math.log(2)
    # Attention in all: 0.75, 1.25 (counted as 1), and 0 (held at the floor).
    assert evidence.mean_log_coverage == pytest.approx((math.log(0.75) + 0 + math.log(1e-6)) / 3, rel=1e-6)


def test_coverage_is_weighed_as_the_search_weighs_it() -> None:
    attention = np.random.default_rng(1).random((5, 7), dtype=np.float32) / np.float32(3)
    evidence = weigh(Hypothesis((7, 3), (-0.5, -1.5), -2.0, -1.7, attention, attention, True))
    assert 7 * evidence.mean_log_coverage == pytest.approx(coverage_penalty(attention, 1.0), rel=1e-5)


def test_confidence_follows_the_logistic_curve() -> None:
    evidence = Evidence(-0.5, -2.0, -0.4, 1.0)
    logit = 1.0 + 2.0 * -0.5 + 0.5 * -2.0 + 0.25 * -0.4 - 1.0
    assert CURVE.confidence(evidence) == pytest.approx(1 / (1 + math.exp(-logit)))
    assert replace(CURVE, bias=0.0, weights=Evidence(0, 0, 0, 0)).confidence(evidence) == 0.5


@given(st.builds(Evidence, numbers, numbers, numbers, numbers))
def test_confidence_is_a_probability(evidence: Evidence) -> None:
    assert 0 <= CURVE.confidence(evidence) <= 1
