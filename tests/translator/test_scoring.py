"""Length and coverage penalties against their closed forms."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.scoring import COVERAGE_FLOOR, coverage_penalty, length_penalty


@given(length=st.integers(1, 1000))
def test_without_alpha_length_costs_nothing(length: int) -> None:
    assert length_penalty(length, 0.0) == 1.0


@given(alpha=st.floats(0, 5))
def test_one_token_is_the_unit_of_length(alpha: float) -> None:
    assert length_penalty(1, alpha) == 1.0  # (5 + 1) / 6 = 1


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0], ids=["as in Wu et al.", "proportional", "squared"])
def test_seven_tokens_count_double(alpha: float) -> None:
    assert length_penalty(7, alpha) == pytest.approx(2**alpha)  # (5 + 7) / 6 = 2


@given(length=st.integers(1, 1000), alpha=st.floats(0, 5))
def test_length_penalty_never_falls(length: int, alpha: float) -> None:
    assert length_penalty(length + 1, alpha) >= length_penalty(length, alpha)


def test_full_coverage_costs_nothing() -> None:
    assert coverage_penalty(np.eye(4, dtype=np.float32), 0.5) == 0.0  # every source token has a step of its own: log 1


def test_more_than_one_step_of_attention_earns_nothing() -> None:
    twice = np.concatenate((np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)))
    assert coverage_penalty(twice, 0.5) == 0.0  # min(2, 1) = 1


def test_one_step_spread_evenly() -> None:
    attention_weights = np.full((1, 8), 1 / 8, np.float32)
    assert coverage_penalty(attention_weights, 0.5) == pytest.approx(0.5 * 8 * log(1 / 8))


def test_steps_are_summed_before_the_logarithm() -> None:
    attention_weights = np.array([[0.5, 0.5], [0.25, 0.75]], dtype=np.float32)  # sums 0.75 and 1.25
    assert coverage_penalty(attention_weights, 0.5) == pytest.approx(0.5 * log(0.75))


def test_a_source_token_never_looked_at_is_finite() -> None:
    attention_weights = np.array([[1.0, 0.0]], dtype=np.float32)
    assert coverage_penalty(attention_weights, 0.5) == pytest.approx(0.5 * log(COVERAGE_FLOOR))


@given(seed=st.integers(0, 10**6), length=st.integers(1, 6), source_length=st.integers(1, 6), beta=st.floats(0, 2))
def test_coverage_is_never_a_gain(seed: int, length: int, source_length: int, beta: float) -> None:
    attention_weights = np.random.default_rng(seed).dirichlet(np.ones(source_length), length).astype(np.float32)
    assert coverage_penalty(attention_weights, beta) <= 0.0
    assert coverage_penalty(attention_weights, 0.0) == 0.0
